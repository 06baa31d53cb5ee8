"""Putting a finished folder in place in one step.

The content is built in a hidden folder beside its destination and renamed when it is whole, so that a reader sees the
old folder, the new one, or for an instant none, but never a part. After a failure the old folder is still there.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .errors import OutputError


def _swap_in(built: Path, out: Path, scratch: Path) -> None:
    old = scratch / "old"
    if out.exists():
        out.rename(old)
    try:
        built.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise


@contextlib.contextmanager
def replaced_folder(out: Path, force: bool) -> Iterator[Path]:
    """An empty folder to fill; it becomes `out` when the block ends well. `force` allows an existing `out`."""
    if out.exists() and not force:
        raise OutputError(f"{out} exists already; --force replaces it")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is not a folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise OutputError(f"{out.parent} cannot be written: {error.strerror}") from error
    try:
        built = scratch / "new"
        built.mkdir()
        yield built
        try:
            _swap_in(built, out, scratch)
        except OSError as error:
            raise OutputError(f"{out} cannot be put in place: {error.strerror}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
