"""The exporter's errors: each kind has its own exit code, so that scripts can tell them apart.

Exit code 2 is wrong usage, as with argparse. An error that is none of these is a defect and leaves a traceback.
"""


class ExportError(Exception):
    """An export that was refused; the message says what is wrong and where."""

    exit_code = 1


class CheckpointError(ExportError):
    """The checkpoint folder is missing files, unreadable, or its tensors are not the model's tensors."""

    exit_code = 3


class UnsupportedConfigError(ExportError):
    """The checkpoint asks for something that this exporter does not build."""

    exit_code = 4


class VerificationError(ExportError):
    """An exported engine computes something else than the module it was made from."""

    exit_code = 5


class OutputError(ExportError):
    """The output folder exists already or cannot be written."""

    exit_code = 6


class RequestError(ExportError):
    """The caller asks for sizes that the checkpoint cannot have."""

    exit_code = 2
