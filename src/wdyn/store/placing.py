"""Give a new file its name only once it is whole, and never one that something has already."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from wdyn.errors import RunExistsError
from wdyn.journal.append import sync_path
from wdyn.journal.lock import runs

_SAID = re.compile(r"error message = '([^']+)'")  # in the text of libhdf5


def place(path: Path, write: Callable[[Path], object]) -> None:
    """Have a file written beside, hand it to the disk, and only then give it its name.

    Args:
        path: of the file; what stands there stays as it is.
        write: writes the file to the path it is given, and sees that it is whole.

    Raises:
        RunExistsError: something appeared at the path meanwhile.
        OSError: the file could not be written.
    """
    sweep(path)
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        write(temporary)
        sync_path(temporary)
        _rename_exclusively(temporary, path)
        sync_path(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Remove what processes left beside a file or folder that were killed while they wrote it."""
    for left in path.parent.glob(f"{path.name}.tmp-*"):
        pid = left.name.rpartition("-")[2]
        if pid.isdecimal() and (int(pid) == os.getpid() or not runs(int(pid))):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def reason(error: Exception) -> str:
    """One sentence of why a file could not be written; libhdf5 has several lines, with addresses in memory."""
    if said := _SAID.search(str(error)):
        return said[1]
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return words.partition("\n")[0].split(" (")[0].strip().rstrip(".")


def _rename_exclusively(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise _appeared(path) from None
    except OSError:  # a file system without hard links
        if path.exists():
            raise _appeared(path) from None
        temporary.rename(path)


def _appeared(path: Path) -> RunExistsError:
    return RunExistsError(f"{path}: appeared while a file of that name was written. Neither was touched.")
