"""Bytes in and out of the farm: both go on where a broken stream stopped, and both are checked by SHA-256."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from vapfarm.v1 import farm_pb2
from vapfarm_client.backoff import Patience
from vapfarm_client.errors import FarmError

CHUNK_BYTES = 256 * 1024

Calls = Callable[..., object]


def hash_file(path: Path) -> str:
    """SHA-256 of a file, lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def upload_file(call: Calls, path: Path, patience: Patience) -> farm_pb2.UploadMediaResponse:
    """Upload a file unless the farm has its bytes. Raises FarmError: MEDIA_* when it is no media that the farm takes."""
    size = path.stat().st_size
    request = farm_pb2.BeginUploadRequest(file_name=path.name, size_bytes=size, sha256=hash_file(path))
    upload = call("BeginUpload", request).upload
    while not upload.HasField("media"):
        try:
            messages = _messages(path, upload.upload_id, upload.received_bytes)
            return call("UploadMedia", messages)
        except FarmError as error:
            patience.wait_or_raise(error)
            upload = _where(call, upload, patience)
    return upload.media


def _where(call: Calls, upload: farm_pb2.Upload, patience: Patience) -> farm_pb2.Upload:
    while True:
        try:
            now = call("GetUpload", farm_pb2.GetUploadRequest(upload_id=upload.upload_id)).upload
        except FarmError as error:
            patience.wait_or_raise(error)
            continue
        if now.received_bytes > upload.received_bytes:
            patience.note_progress()
        return now


def _messages(path: Path, upload_id: str, offset: int) -> Iterator[farm_pb2.UploadMediaRequest]:
    header = farm_pb2.UploadMediaHeader(file_name=path.name, upload_id=upload_id, offset_bytes=offset)
    yield farm_pb2.UploadMediaRequest(header=header)
    with path.open("rb") as file:
        file.seek(offset)
        while chunk := file.read(CHUNK_BYTES):
            yield farm_pb2.UploadMediaRequest(chunk=chunk)


def download_file(call: Calls, request: farm_pb2.DownloadArtifactRequest, path: Path, patience: Patience) -> farm_pb2.Artifact:
    """Write an artifact whole or not at all. Raises FarmError, ARTIFACT_CORRUPT when the bytes have another hash."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    while True:
        received = partial.stat().st_size if partial.exists() else 0
        request.offset_bytes = received
        try:
            artifact = _append(call("DownloadArtifact", request), partial)
            break
        except FarmError as error:
            if partial.exists() and partial.stat().st_size > received:
                patience.note_progress()
            patience.wait_or_raise(error)
    if hash_file(partial) != artifact.sha256:
        partial.unlink()
        raise FarmError("ARTIFACT_CORRUPT", f"{request.name} does not have its hash {artifact.sha256}", "DATA_LOSS")
    partial.replace(path)
    return artifact


def _append(answers: Iterator[farm_pb2.DownloadArtifactResponse], partial: Path) -> farm_pb2.Artifact:
    artifact = farm_pb2.Artifact()
    with partial.open("ab") as file:
        for answer in answers:
            if answer.HasField("artifact"):
                artifact = answer.artifact
            file.write(answer.chunk)
    return artifact
