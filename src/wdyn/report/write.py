"""A report appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from wdyn.errors import MisuseError, OutputError
from wdyn.places import parts_folder

_HDF5 = b"\x89HDF\r\n\x1a\n"


@contextmanager
def replacing(target: Path, *, keep: Path | Sequence[Path]) -> Iterator[Callable[[bytes], None]]:
    """A function that writes `target` in one go; without a call, nothing appears.

    The temporary file is made at once, so a folder that cannot be written is told before minutes of computing.

    Args:
        target: path of the report; an older report there is replaced. Missing folders are made.
        keep: the run file or files, which no report may replace.

    Yields:
        The function; it takes all bytes of the report.

    Raises:
        MisuseError: the target is the run or another one, or lies in its journal.
        OutputError: the folder cannot be written or the disk is full; nothing was left behind.
    """
    _refuse_a_run(target, [keep] if isinstance(keep, Path) else keep)
    with ExitStack() as cleanup:
        with _explained(target):
            _make_folders(target.parent, cleanup)
            handle, name = tempfile.mkstemp(prefix=".wdyn-", suffix=".tmp", dir=target.parent)
        cleanup.callback(_remove_file, name)
        os.close(handle)

        def write(data: bytes) -> None:
            with _explained(target):
                Path(name).write_bytes(data)
                os.chmod(name, 0o666 & ~_umask())  # mkstemp made it private; a report is an ordinary file
                os.replace(name, target)
            cleanup.pop_all()

        yield write


def _refuse_a_run(target: Path, run_files: Sequence[Path]) -> None:
    place, runs = target.resolve(), [run_file.resolve() for run_file in run_files]
    if place in runs or any(parts_folder(run) in (place, *place.parents) for run in runs):
        raise MisuseError(f"{target}: this is the run itself. Give the report another path with -o")
    if place.is_dir():
        raise OutputError(f"{target}: this is a folder. Give a file name with -o, such as {target / 'report.html'}")
    if place.exists() and not place.is_file():  # replacing a device or a pipe would take it from everybody else
        raise OutputError(f"{target}: this is not an ordinary file. Give another path with -o")
    if parts_folder(place).exists() or _holds_hdf5(place):
        raise MisuseError(
            f"{target}: another run stands here, and a report may not replace it. Give another path with -o"
        )


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{target}: cannot write here: {reason}. Choose another place with -o") from error


def _make_folders(folder: Path, cleanup: ExitStack) -> None:
    """Make the missing folders; the cleanup removes exactly those, if they are empty."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir()
        cleanup.callback(_remove_folder, each)


def _holds_hdf5(path: Path) -> bool:
    if not path.is_file():
        return False
    with _explained(path), path.open("rb") as file:
        return file.read(len(_HDF5)) == _HDF5


def _remove_file(name: str) -> None:
    with suppress(OSError):
        os.unlink(name)


def _remove_folder(folder: Path) -> None:
    with suppress(OSError):  # no longer empty: somebody else uses it by now
        folder.rmdir()


def _umask() -> int:
    mask = os.umask(0o022)  # can only be read by setting it
    os.umask(mask)
    return mask
