"""open_run(path) -> Run, from a finished file, a live journal or what a crash left."""

from __future__ import annotations

import os
from pathlib import Path

from wdyn.errors import ChangedMeanwhileError, RunFileError
from wdyn.journal.scan import segments
from wdyn.places import parts_folder
from wdyn.store.journal_source import JournalSource
from wdyn.store.packed_source import PackedSource
from wdyn.store.run import Run
from wdyn.store.sources import Source

_PARTS = ".parts"
_TRIES = 100  # to open a run that another process changes meanwhile


def open_run(path: str | os.PathLike[str], *, keep: int = 0) -> Run:
    """Open a recorded run.

    Args:
        path: of the run file, `checkpoints/a.h5`: finished, still being recorded, or left by a killed process. The
            journal folder `checkpoints/a.h5.parts` is understood as well.
        keep: bytes of a finished run's weights to keep in memory once they were read, so that going through them again
            takes a fraction of the time.

    Returns:
        The run as it stands now; of one still being recorded, open it again for later steps.

    Raises:
        RunFileError: no such run, or a file that wdyn did not write, is of a newer format, cut short or empty.
            Nothing was changed.
    """
    return Run(open_source(Path(path), keep))


def open_source(path: Path, keep: int = 0) -> Source:
    """The packed file where it is whole, else the journal; see `open_run`."""
    if path.name.endswith(_PARTS) and not path.is_file():
        path = path.with_name(path.name.removesuffix(_PARTS))
    for left in reversed(range(_TRIES)):
        before = _what_stands(path)
        try:
            return _open(path, keep, *before)
        except (ChangedMeanwhileError, FileNotFoundError):
            if not left:
                raise
        except RunFileError:
            if not left or _what_stands(path) == before:
                raise
    raise AssertionError("the last try ends in an answer or an error")


def _open(path: Path, keep: int, journal: bool, file: bool) -> Source:
    if not file and not journal:
        raise RunFileError(missing(path))
    if file:
        try:
            return PackedSource(path, keep)
        except RunFileError:
            if not journal:
                raise
    return JournalSource(path)


def _what_stands(path: Path) -> tuple[bool, bool]:
    """Whether there is a journal, and whether a file: both change when a run is packed, or resumed, meanwhile."""
    return bool(segments(parts_folder(path))), path.exists()


def missing(path: Path) -> str:
    """What to say where there is no run, with the runs that are beside."""
    if parts_folder(path).is_dir():
        return f"{path}: {parts_folder(path).name} is there, but nothing has been recorded in it."
    if not path.parent.is_dir():
        return f"{path}: no such run, nor its folder."
    nearby = {
        each.name.removesuffix(_PARTS) for pattern in ("*.h5", "*.h5.parts") for each in path.parent.glob(pattern)
    }
    if not nearby:
        return f"{path}: no such run; {path.parent} holds none."
    names = sorted(nearby)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{path}: no such run. Beside it: {', '.join(names[:5])}{more}."
