"""Bytes in and out of the farm: both go on where a broken stream stopped, and both are checked by SHA-256."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from vapfarm.v1 import farm_pb2
from vapfarm_client.backoff import Patience
from vapfarm_client.errors import FarmError

CHUNK_BYTES = 256 * 1024
_RENDERS_OF_MESSAGE = 500
# A message of 4 MiB is the farm's limit.
_BYTES_OF_MESSAGE = 2 * 1024**2

Calls = Callable[..., object]


def hash_file(path: Path) -> str:
    """SHA-256 of a file, lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def upload_file(call: Calls, path: Path, patience: Patience) -> farm_pb2.UploadMediaResponse:
    """Upload a file unless the farm has its bytes. Raises FarmError: MEDIA_* when it is no media that the farm takes."""
    size = path.stat().st_size
    request = farm_pb2.BeginUploadRequest(file_name=path.name, size_bytes=size, sha256=hash_file(path))
    upload = _patiently(patience, lambda: call("BeginUpload", request).upload)
    while not upload.HasField("media"):
        before = upload.received_bytes
        try:
            return call("UploadMedia", _messages(path, upload.upload_id, before))
        except FarmError as error:
            if error.code != "UPLOAD_UNKNOWN":
                patience.wait_or_raise(error)
        upload = _patiently(patience, partial(_where, call, request, upload.upload_id))
        if upload.received_bytes > before:
            patience.note_progress()
    return upload.media


def _where(call: Calls, request: farm_pb2.BeginUploadRequest, upload_id: str) -> farm_pb2.Upload:
    """Ask how far an upload is; one that expired is begun anew."""
    try:
        return call("GetUpload", farm_pb2.GetUploadRequest(upload_id=upload_id)).upload
    except FarmError as error:
        if error.code != "UPLOAD_UNKNOWN":
            raise
        return call("BeginUpload", request).upload


def _patiently(patience: Patience, ask: Callable[[], farm_pb2.Upload]) -> farm_pb2.Upload:
    while True:
        try:
            return ask()
        except FarmError as error:
            patience.wait_or_raise(error)


def _messages(path: Path, upload_id: str, offset: int) -> Iterator[farm_pb2.UploadMediaRequest]:
    header = farm_pb2.UploadMediaHeader(file_name=path.name, upload_id=upload_id, offset_bytes=offset)
    yield farm_pb2.UploadMediaRequest(header=header)
    with path.open("rb") as file:
        file.seek(offset)
        while chunk := file.read(CHUNK_BYTES):
            yield farm_pb2.UploadMediaRequest(chunk=chunk)


def download_file(call: Calls, request: farm_pb2.DownloadArtifactRequest, path: Path, patience: Patience) -> farm_pb2.Artifact:
    """Write an artifact whole or not at all. Raises FarmError, ARTIFACT_CORRUPT when the bytes have another hash."""
    unfinished = path.with_name(path.name + ".partial")
    unfinished.unlink(missing_ok=True)
    while True:
        received = unfinished.stat().st_size if unfinished.exists() else 0
        request.offset_bytes = received
        try:
            artifact = _append(call("DownloadArtifact", request), unfinished)
            break
        except FarmError as error:
            if unfinished.exists() and unfinished.stat().st_size > received:
                patience.note_progress()
            patience.wait_or_raise(error)
    if hash_file(unfinished) != artifact.sha256:
        unfinished.unlink()
        raise FarmError("ARTIFACT_CORRUPT", f"{request.name} does not have its hash {artifact.sha256}", "DATA_LOSS")
    unfinished.replace(path)
    return artifact


def _append(answers: Iterator[farm_pb2.DownloadArtifactResponse], unfinished: Path) -> farm_pb2.Artifact:
    artifact = farm_pb2.Artifact()
    with unfinished.open("ab") as file:
        for answer in answers:
            if answer.HasField("artifact"):
                artifact = answer.artifact
            file.write(answer.chunk)
    return artifact


def manifest_messages(
    header: farm_pb2.ManifestHeader, renders: Iterable[farm_pb2.RenderSpec]
) -> Iterator[farm_pb2.SubmitManifestRequest]:
    """Cut a manifest into messages: its header, then its renders, as many as a message takes."""
    yield farm_pb2.SubmitManifestRequest(header=header)
    some: list[farm_pb2.RenderSpec] = []
    size = 0
    for render in renders:
        bytes_ = render.ByteSize()
        if some and (len(some) == _RENDERS_OF_MESSAGE or size + bytes_ > _BYTES_OF_MESSAGE):
            yield farm_pb2.SubmitManifestRequest(renders=farm_pb2.ManifestRenders(renders=some))
            some, size = [], 0
        some.append(render)
        size += bytes_
    if some:
        yield farm_pb2.SubmitManifestRequest(renders=farm_pb2.ManifestRenders(renders=some))
