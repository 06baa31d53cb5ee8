"""A farm as a Python program uses it.

`Farm` holds one connection. What can be repeated safely goes on by itself when a coordinator restarts: watches by event number,
uploads and downloads by offset, submits by idempotency key.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import grpc

from vapfarm.v1 import farm_pb2, farm_pb2_grpc
from vapfarm_client.backoff import Patience
from vapfarm_client.errors import FarmError, from_faults, from_rpc_error, from_status
from vapfarm_client.transfer import download_file, manifest_messages, upload_file

_MAX_MESSAGE_BYTES = 4 * 1024**2
# A stream that lasts longer is taken up again.
_STREAM_SECONDS = 3600.0
_STREAMS = frozenset({"SubmitManifest", "UploadMedia", "DownloadArtifact", "WatchJob"})
_ENDED = frozenset({farm_pb2.JOB_STATE_SUCCEEDED, farm_pb2.JOB_STATE_FAILED, farm_pb2.JOB_STATE_CANCELLED})


class Farm:
    """One connection to a farm's coordinators at `host:port`; every failure is a FarmError.

    `stub` has every method of FarmService, for what has no method here.
    """

    def __init__(self, address: str, *, token: str | None = None, timeout: float = 30.0, patience: float = 120.0, traceparent: str | None = None) -> None:
        """`timeout`: seconds for a call; `patience`: seconds for which transfers and watches wait for a farm that is away."""
        limits = [("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES), ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES)]
        self._channel = grpc.insecure_channel(address, options=limits)
        self.stub = farm_pb2_grpc.FarmServiceStub(self._channel)
        credentials = () if token is None else (("authorization", f"Bearer {token}"),)
        self._metadata = credentials + (() if traceparent is None else (("traceparent", traceparent),))
        self._timeout = timeout
        self._patience = patience

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls that run end with CANCELLED."""
        self._channel.close()

    def call(self, method: str, request: object) -> object:
        """Call any method of FarmService by name; streams of answers are iterators that raise FarmError too."""
        timeout = _STREAM_SECONDS if method in _STREAMS else self._timeout
        try:
            answer = getattr(self.stub, method)(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        return _stream(answer) if isinstance(answer, grpc.Call) and hasattr(answer, "__next__") else answer

    def upload(self, path: str | Path) -> farm_pb2.MediaReference:
        """Upload an image or a clip, or find it there; returns what a RenderSpec names."""
        media = upload_file(self.call, Path(path), Patience(self._patience))
        return farm_pb2.MediaReference(sha256=media.sha256)

    def submit(self, render: farm_pb2.RenderSpec, *, idempotency_key: str | None = None, **settings: object) -> farm_pb2.Job:
        """Submit one render; a farm that does not answer is asked again, and stores it once.

        `settings` are SubmitRenderRequest's other fields, e.g. `priority=5`.
        """
        key = idempotency_key or str(uuid.uuid4())
        request = farm_pb2.SubmitRenderRequest(render=render, idempotency_key=key, **settings)
        return self._repeat("SubmitRender", request).job

    def submit_many(
        self, renders: Sequence[farm_pb2.RenderSpec], *, idempotency_key: str | None = None, **settings: object
    ) -> tuple[farm_pb2.Job, dict[int, FarmError]]:
        """Submit up to 1,000 renders as one job; returns it and the errors of items that were left out (`allow_partial=True`).

        Raises the first item's FarmError when nothing was stored.
        """
        key = idempotency_key or str(uuid.uuid4())
        request = farm_pb2.SubmitRendersRequest(renders=renders, idempotency_key=key, **settings)
        answer = self._repeat("SubmitRenders", request)
        errors = {outcome.index: from_status(outcome.error) for outcome in answer.outcomes if outcome.HasField("error")}
        if not answer.HasField("job") and errors:
            raise next(iter(errors.values()))
        return answer.job, errors

    def submit_manifest(
        self, renders: Iterable[farm_pb2.RenderSpec], *, idempotency_key: str | None = None, **settings: object
    ) -> farm_pb2.Job:
        """Submit any number of renders as one job, all or none; `renders` is gone through again for each try, so hand in a list.

        `settings` are ManifestHeader's other fields. Raises FarmError FIELD_INVALID with the first faults when rows are wrong.
        """
        header = farm_pb2.ManifestHeader(idempotency_key=idempotency_key or str(uuid.uuid4()), **settings)
        answer = self._repeat("SubmitManifest", lambda: manifest_messages(header, renders))
        if answer.wrong_count > 0:
            raise from_faults(answer)
        return answer.job

    def get_job(self, job_id: str) -> farm_pb2.Job:
        """Get one job as it is now."""
        return self.call("GetJob", farm_pb2.GetJobRequest(job_id=job_id)).job

    def jobs(self, **filters: object) -> Iterator[farm_pb2.Job]:
        """List jobs page by page; `filters` are ListJobsRequest's fields."""
        token = ""
        while True:
            page = self.call("ListJobs", farm_pb2.ListJobsRequest(**filters, page_token=token))
            yield from page.jobs
            token = page.next_page_token
            if token == "":
                return

    def watch(self, job_id: str, after_event_number: int = 0) -> Iterator[farm_pb2.WatchJobResponse]:
        """Follow a job to its end: each event exactly once and in order, live progress between them.

        A broken stream is taken up again after the last event, for as long as `patience` allows.
        """
        patience = Patience(self._patience)
        while True:
            request = farm_pb2.WatchJobRequest(job_id=job_id, after_event_number=after_event_number)
            try:
                for update in self.call("WatchJob", request):
                    patience.note_progress()
                    if update.HasField("event"):
                        after_event_number = update.event.number
                    yield update
                # A coordinator that stops ends its streams in order, too.
                job = self.get_job(job_id)
                if has_ended(job) and job.last_event_number <= after_event_number:
                    return
            except FarmError as error:
                patience.wait_or_raise(error)

    def wait(self, job_id: str) -> farm_pb2.Job:
        """Wait for a job's end; returns it, however it ended."""
        for _ in self.watch(job_id):
            pass
        return self.get_job(job_id)

    def download(self, job_id: str, name: str, path: str | Path, render_position: int = 0) -> farm_pb2.Artifact:
        """Write an artifact, e.g. "mp4", to a file: whole and with its hash, or not at all."""
        request = farm_pb2.DownloadArtifactRequest(job_id=job_id, name=name, render_position=render_position)
        return download_file(self.call, request, Path(path), Patience(self._patience))

    def _repeat(self, method: str, request: object) -> object:
        patience = Patience(self._patience)
        while True:
            try:
                return self.call(method, request() if callable(request) else request)
            except FarmError as error:
                patience.wait_or_raise(error)


def has_ended(job: farm_pb2.Job) -> bool:
    """Whether every render of the job has ended."""
    return job.state in _ENDED


def _stream(answers: Iterator[object]) -> Iterator[object]:
    try:
        yield from answers
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
