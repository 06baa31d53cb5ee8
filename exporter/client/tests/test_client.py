"""The client against a farm that breaks streams and refuses, played by a gRPC server in this process."""

import hashlib
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from vapfarm.v1 import farm_pb2, farm_pb2_grpc
from vapfarm_client import Farm, FarmError, RenderSpec
from vapfarm_client.backoff import Patience

BYTES = bytes(range(256)) * 4096


class BrokenFarm(farm_pb2_grpc.FarmServiceServicer):
    """Breaks each kind of stream once in the middle; keeps what it was asked."""

    def __init__(self) -> None:
        self.watched_from: list[int] = []
        self.downloaded_from: list[int] = []
        self.keys: list[str] = []
        self.received = b""
        self.sha256 = hashlib.sha256(BYTES).hexdigest()
        self.authorization: object = None
        self.forget = False
        self.was_broken = False
        self.state = farm_pb2.JOB_STATE_SUCCEEDED
        self.last_event = 6
        self.break_with: grpc.StatusCode | None = grpc.StatusCode.UNAVAILABLE

    def WatchJob(self, request, context):  # noqa: N802
        self.watched_from.append(request.after_event_number)
        first = request.after_event_number + 1
        for number in range(first, first + 2):
            yield farm_pb2.WatchJobResponse(event=farm_pb2.JobEvent(number=number))
        if len(self.watched_from) < 2 and self.break_with is not None:
            context.abort(self.break_with, "going away")

    def BeginUpload(self, request, context):  # noqa: N802
        return farm_pb2.BeginUploadResponse(upload=farm_pb2.Upload(upload_id="one", size_bytes=request.size_bytes))

    def GetUpload(self, request, context):  # noqa: N802
        if self.forget:
            self.forget, self.received = False, b""
            details = (("grpc-status-details-bin", refusal("UPLOAD_UNKNOWN").SerializeToString()),)
            context.set_trailing_metadata(details)
            context.abort(grpc.StatusCode.NOT_FOUND, "no such upload")
        return farm_pb2.GetUploadResponse(upload=farm_pb2.Upload(upload_id="one", received_bytes=len(self.received)))

    def UploadMedia(self, requests, context):  # noqa: N802
        is_first = not self.was_broken
        for message in requests:
            if message.HasField("header"):
                assert message.header.offset_bytes == len(self.received)
            else:
                self.received += message.chunk
            if is_first and len(self.received) > len(BYTES) // 2:
                self.was_broken = True
                context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        return farm_pb2.UploadMediaResponse(sha256=hashlib.sha256(self.received).hexdigest())

    def DownloadArtifact(self, request, context):  # noqa: N802
        self.downloaded_from.append(request.offset_bytes)
        artifact = farm_pb2.Artifact(name=request.name, sha256=self.sha256, size_bytes=len(BYTES))
        yield farm_pb2.DownloadArtifactResponse(artifact=artifact)
        end = len(BYTES) // 2 if len(self.downloaded_from) < 2 else len(BYTES)
        yield farm_pb2.DownloadArtifactResponse(chunk=BYTES[request.offset_bytes : end])
        if end < len(BYTES):
            context.abort(grpc.StatusCode.UNAVAILABLE, "going away")

    def SubmitRender(self, request, context):  # noqa: N802
        self.keys.append(request.idempotency_key)
        if len(self.keys) < 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        return farm_pb2.SubmitRenderResponse(job=farm_pb2.Job(job_id="one"))

    def SubmitRenders(self, request, context):  # noqa: N802
        wrong = farm_pb2.RenderOutcome(index=1, error=refusal())
        right = farm_pb2.RenderOutcome(index=0, position=0)
        job = farm_pb2.Job(job_id="one") if request.allow_partial else None
        return farm_pb2.SubmitRendersResponse(job=job, outcomes=[right, wrong] if request.allow_partial else [wrong])

    def GetJob(self, request, context):  # noqa: N802
        if request.job_id == "one":
            return farm_pb2.GetJobResponse(job=farm_pb2.Job(job_id="one", state=self.state, last_event_number=self.last_event))
        self.authorization = dict(context.invocation_metadata()).get("authorization")
        details = (("grpc-status-details-bin", refusal().SerializeToString()),)
        context.set_trailing_metadata(details)
        return context.abort(grpc.StatusCode.INVALID_ARGUMENT, "job_id: is no job id")


def refusal(reason: str = "FIELD_INVALID") -> status_pb2.Status:
    """Build the status that the farm sends for a wrong field."""
    status = status_pb2.Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message="job_id: is no job id")
    info = error_details_pb2.ErrorInfo(reason=reason, domain="vapfarm", metadata={"remedy": "correct the field"})
    request = error_details_pb2.BadRequest()
    request.field_violations.add(field="job_id", description="is no job id")
    for detail in (info, request):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


@pytest.fixture
def broken() -> Iterator[tuple[BrokenFarm, Farm]]:
    servicer = BrokenFarm()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    farm_pb2_grpc.add_FarmServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Farm(f"127.0.0.1:{port}", token="a-token-of-the-farm", patience=20) as farm:
        yield servicer, farm
    server.stop(None).wait()


@pytest.mark.parametrize(
    "break_with", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED, None]
)
def test_a_watch_goes_on_after_the_last_event_however_its_stream_ended(broken, break_with) -> None:
    servicer, farm = broken
    servicer.break_with = break_with
    servicer.last_event = 4
    assert [update.event.number for update in farm.watch("one")] == [1, 2, 3, 4]
    assert servicer.watched_from == [0, 2]


def test_an_upload_goes_on_at_the_farm_s_offset(broken, tmp_path: Path) -> None:
    servicer, farm = broken
    path = tmp_path / "clip.mp4"
    path.write_bytes(BYTES)
    assert farm.upload(path).sha256 == servicer.sha256
    assert servicer.received == BYTES


def test_an_upload_that_the_farm_forgot_is_begun_anew(broken, tmp_path: Path) -> None:
    servicer, farm = broken
    servicer.forget = True
    path = tmp_path / "clip.mp4"
    path.write_bytes(BYTES)
    assert farm.upload(path).sha256 == servicer.sha256


def test_a_download_goes_on_where_it_broke(broken, tmp_path: Path) -> None:
    servicer, farm = broken
    farm.download("one", "mp4", tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == BYTES
    assert servicer.downloaded_from == [0, len(BYTES) // 2]


def test_bytes_with_another_hash_leave_no_file(broken, tmp_path: Path) -> None:
    servicer, farm = broken
    servicer.sha256 = "0" * 64
    with pytest.raises(FarmError) as caught:
        farm.download("one", "mp4", tmp_path / "a.mp4")
    assert caught.value.code == "ARTIFACT_CORRUPT"
    assert list(tmp_path.iterdir()) == []


def test_a_submit_is_repeated_under_its_key(broken) -> None:
    servicer, farm = broken
    assert farm.submit(RenderSpec(model="demo")).job_id == "one"
    assert len(servicer.keys) == 2
    assert servicer.keys[0] == servicer.keys[1] != ""


def test_a_refused_batch_raises_its_first_error(broken) -> None:
    _, farm = broken
    with pytest.raises(FarmError) as caught:
        farm.submit_many([RenderSpec(), RenderSpec()])
    assert (caught.value.code, caught.value.status) == ("FIELD_INVALID", "INVALID_ARGUMENT")


def test_a_partial_batch_names_what_was_left_out(broken) -> None:
    _, farm = broken
    job, errors = farm.submit_many([RenderSpec(), RenderSpec()], allow_partial=True)
    assert job.job_id == "one"
    assert {index: error.code for index, error in errors.items()} == {1: "FIELD_INVALID"}


def test_an_error_tells_code_field_and_remedy(broken) -> None:
    servicer, farm = broken
    with pytest.raises(FarmError) as caught:
        farm.get_job("nonsense")
    error = caught.value
    assert (error.code, error.remedy, error.is_transient) == ("FIELD_INVALID", "correct the field", False)
    assert [(field.field, field.description) for field in error.fields] == [("job_id", "is no job id")]
    assert servicer.authorization == "Bearer a-token-of-the-farm"


def test_a_farm_that_is_away_is_named_as_such() -> None:
    with Farm("127.0.0.1:1", timeout=5) as farm, pytest.raises(FarmError) as caught:
        farm.get_job("one")
    assert caught.value.code == "UNAVAILABLE"
    assert caught.value.is_transient


AWAY = FarmError("UNAVAILABLE", "away", "UNAVAILABLE")


def test_patience_counts_from_the_first_failure_and_not_from_the_last_message() -> None:
    now = [1000.0]
    pauses: list[float] = []
    patience = Patience(limit_seconds=60, sleep=pauses.append, clock=lambda: now[0])
    now[0] += 3600
    patience.wait_or_raise(AWAY)
    now[0] += 59
    patience.wait_or_raise(AWAY)
    assert len(pauses) == 2
    assert pauses[1] > pauses[0]
    now[0] += 1
    with pytest.raises(FarmError):
        patience.wait_or_raise(AWAY)
    patience.note_progress()
    patience.wait_or_raise(AWAY)


def test_what_waiting_cannot_mend_is_raised_at_once() -> None:
    for status in ("INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL"):
        with pytest.raises(FarmError):
            Patience(60).wait_or_raise(FarmError(status, "wrong", status))
    with pytest.raises(FarmError):
        Patience(60).wait_or_raise(FarmError("REQUEST_TOO_LARGE", "too large", "RESOURCE_EXHAUSTED"))
