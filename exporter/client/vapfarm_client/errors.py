"""The one exception: a failed call with the farm's own code, what is wrong and what to do.

Every failed call carries a google.rpc.Status in its trailers (ErrorInfo, BadRequest); a call that never reached the farm does
not, and its code is gRPC's.
"""

from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2, status_pb2

from vapfarm.v1 import farm_pb2

_DETAILS_KEY = "grpc-status-details-bin"
_PASSING = frozenset({"UNAVAILABLE", "ABORTED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "CANCELLED"})
# Statuses that may pass, with reasons that do not.
_NEVER = frozenset({"REQUEST_TOO_LARGE", "UPLOADS_TOO_MANY"})


@dataclass(frozen=True)
class FieldViolation:
    """One field of a request that must be corrected."""

    field: str
    description: str


class FarmError(Exception):
    """A call that failed. `code` is the farm's (`JOB_UNKNOWN`) or gRPC's (`UNAVAILABLE`); `status` is always gRPC's."""

    def __init__(self, code: str, message: str, status: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.remedy = ""
        #: Seconds after which the farm asks to be asked again; 0 where it did not say.
        self.retry_after = 0.0
        self.fields: tuple[FieldViolation, ...] = ()

    @property
    def is_transient(self) -> bool:
        """Whether the same call may succeed a moment later: the farm is away, busy, or ended a stream that took too long."""
        return self.code not in _NEVER and self.status in _PASSING


def from_rpc_error(error: grpc.RpcError) -> FarmError:
    """Read what a failed call carried; trailers that cannot be read leave gRPC's code and message."""
    name = error.code().name
    # Only the message limit of either end has no details.
    code = "REQUEST_TOO_LARGE" if name == "RESOURCE_EXHAUSTED" else name
    failure = FarmError(code, error.details() or name, name)
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            _add_details(failure, status_pb2.Status.FromString(value))
    return failure


def from_status(status: status_pb2.Status) -> FarmError:
    """Read the outcome of one item of a batch."""
    name = next((code.name for code in grpc.StatusCode if code.value[0] == status.code), "UNKNOWN")
    failure = FarmError(name, status.message, name)
    _add_details(failure, status)
    return failure


def from_faults(answer: farm_pb2.SubmitManifestResponse) -> FarmError:
    """Read what is wrong with the rows of a manifest."""
    failure = FarmError("FIELD_INVALID", f"{answer.wrong_count} of {answer.render_count} renders are wrong", "INVALID_ARGUMENT")
    failure.fields = tuple(
        FieldViolation(f"renders[{fault.row}].{fault.field}", f"{fault.reason}; {fault.remedy}") for fault in answer.faults
    )
    return failure


def _add_details(failure: FarmError, status: status_pb2.Status) -> None:
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            failure.code = info.reason
            failure.remedy = info.metadata.get("remedy", "")
            failure.args = (f"{info.reason}: {failure.message}",)
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            failure.retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        request = error_details_pb2.BadRequest()
        if detail.Unpack(request):
            failure.fields = tuple(FieldViolation(each.field, each.description) for each in request.field_violations)
