"""A report appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from wdyn.errors import MisuseError, OutputError
from wdyn.places import parts_folder


@contextmanager
def replacing(target: Path, *, keep: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes become `target` when the block ends well, and vanish when it does not.

    The temporary file is made at once, so a folder that cannot be written is told before minutes of computing.

    Args:
        target: path of the report; an older report there is replaced. Missing folders are made.
        keep: the run file, which no report may replace.

    Raises:
        MisuseError: the target is the run, or lies in its journal.
        OutputError: the folder cannot be written or the disk is full; nothing was left behind.
    """
    _refuse_the_run(target, keep)
    with ExitStack() as cleanup:
        try:
            _make_folder(target.parent, cleanup)
            handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", suffix=".tmp", dir=target.parent)
        except OSError as error:
            raise _output_error(target, error) from error
        cleanup.callback(_remove, name)
        with _open(handle, target) as stream:
            yield stream
        try:
            os.chmod(name, 0o666 & ~_umask())  # mkstemp makes it private to the user; a report is an ordinary file
            os.replace(name, target)
        except OSError as error:
            raise _output_error(target, error) from error
        cleanup.pop_all()


@contextmanager
def _open(handle: int, target: Path) -> Iterator[BinaryIO]:
    stream = _Stream(handle, target)
    try:
        yield stream  # type: ignore[misc]
    finally:
        os.close(handle)
