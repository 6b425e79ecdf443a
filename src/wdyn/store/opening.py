"""Open a stranger's file and learn where its datasets lie, without letting libhdf5 into this process."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

from wdyn.errors import DamagedError, RunFileError
from wdyn.store.answer import OddError, Structure, decode
from wdyn.store.describe import printable
from wdyn.store.helper import HelperError, StartError

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAD = struct.Struct("<8sBBBBQQQ")  # signature, version, sizes of offsets and lengths, flags, base, extension, end
_SUPERBLOCK = 48  # bytes


def open_file(path: Path) -> int:
    """Open a file for reading, without touching or locking it.

    Returns:
        Its descriptor.

    Raises:
        RunFileError: a folder or device, not HDF5, cut short, or not readable.
    """
    try:
        # a pipe that nobody writes to would hold up the opening for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise RunFileError(f"{path}: cannot be read ({error.strerror}).") from error
    try:
        _check_start(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_start(descriptor: int, path: Path) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        what = "a folder, not a run file" if stat.S_ISDIR(found.st_mode) else "no ordinary file, so no run"
        raise RunFileError(f"{path}: {what}.")
    head = os.pread(descriptor, _HEAD.size, 0)
    if not head:
        raise RunFileError(f"{path}: the file is empty (0 bytes), so no run is in it.")
    if head[: len(_SIGNATURE)] != _SIGNATURE:
        raise RunFileError(f"{path}: not an HDF5 file, so not a run that wdyn wrote.")
    if found.st_size < _SUPERBLOCK:
        raise DamagedError(f"{path}: cut short, only {found.st_size} bytes are there. Copy the file again.")
    _, version, offsets, lengths, _, base, _, end = _HEAD.unpack(head)
    if (version, offsets, lengths, base) != (3, 8, 8, 0):
        raise stranger(path)
    if end > found.st_size:
        raise DamagedError(f"{path}: cut short, {found.st_size:,} of {end:,} bytes are there. Copy the file again.")


class StrangerError(RunFileError):
    """A file of somebody else's, that does not even look like a run."""


def stranger(path: Path) -> StrangerError:
    """What to say of somebody else's file."""
    return StrangerError(f"{path}: an HDF5 file, but not a run that wdyn wrote.")


def odd(path: Path, error: OddError) -> RunFileError:
    """What to say of a file with something in it that no run has."""
    name = error.name if len(error.name) <= 200 else error.name[:196] + " ..."
    return RunFileError(f"{path}: {name!r} {error.what}, which no run that wdyn wrote has. Nothing was read from it.")


def examine(descriptor: int, path: Path, look: Callable[[int], bytes]) -> Structure:
    """Have the structure of a file looked at, and see that all it says lies within the file.

    Args:
        descriptor: of the file, from `open_file`.
        path: of the file, for the text of errors.
        look: gives the `Structure` in bytes.

    Raises:
        RunFileError: the file cannot be what it says, or changed meanwhile.
        DamagedError: libhdf5 cannot read it.
    """
    before = os.fstat(descriptor)
    try:
        structure = decode(look(descriptor))
    except (HelperError, ValueError) as error:
        what = str(error) if isinstance(error, HelperError) else "gave an answer that makes no sense"
        raise DamagedError(
            f"{path}: HDF5's library {what} on this file in a helper process, so nothing was read from it. The file is "
            f"damaged, or was made to do harm; use another copy of it."
        ) from error
    except StartError as error:
        raise RunFileError(
            f"{path}: the process that reads the structure of HDF5 files did not start: {error}."
        ) from error
    after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise RunFileError(f"{path}: changed while it was opened. Open it again.")
    if structure.failed:
        said = printable(structure.failed)
        raise DamagedError(f"{path}: its structure cannot be read, the file is damaged or cut short ({said}).")
    return structure
