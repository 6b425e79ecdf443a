"""Take a path for a run, so that no other Recorder can, and without touching what stands there."""

from __future__ import annotations

import itertools
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from wdyn.errors import MisuseError, RunExistsError
from wdyn.journal.lock import acquire, live_holder
from wdyn.places import RUNS, parts_folder


def claim(path: Path) -> Path:
    """Make the journal folder of a run, with this process's lock in it.

    Args:
        path: where the run file shall be.

    Returns:
        The run file's absolute path, so that a later change of the working folder does not move it.

    Raises:
        RunExistsError: a run or a journal stands there.
        MisuseError: the folder cannot be made.
    """
    run_file = Path(os.path.abspath(path))
    folder = parts_folder(run_file)
    if os.path.lexists(run_file):
        raise RunExistsError(f"{path} exists already. A run is never overwritten: give another path or move it away.")
    try:
        run_file.parent.mkdir(parents=True, exist_ok=True)
        _make(folder)
    except RunExistsError:
        raise
    except OSError as error:
        raise MisuseError(f"{path} cannot be recorded to ({error}). Choose a folder that can be written.") from error
    return run_file


def claim_default(model: str) -> Path:
    """`claim` of `checkpoints/<model>-<UTC time>.h5`, with -2, -3, ... where that is taken."""
    stem = f"{model}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    for number in itertools.count(1):
        try:
            return claim(RUNS / (f"{stem}.h5" if number == 1 else f"{stem}-{number}.h5"))
        except RunExistsError:
            continue
    raise AssertionError("the numbers do not end")


def abandon(run_file: Path) -> None:
    """Remove the journal folder of a recording that failed to start."""
    shutil.rmtree(parts_folder(run_file), ignore_errors=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir()  # of any number of processes exactly one succeeds
    except FileExistsError as error:
        raise RunExistsError(_taken(folder)) from error
    try:
        acquire(folder)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _taken(folder: Path) -> str:
    holder = live_holder(folder)
    if holder is not None:
        return f"{folder} is being written by process {holder.pid} on {holder.host}. Give another path."
    return (
        f"{folder} holds what an interrupted recording left, and wdyn.open_run reads it. "
        f"Give another path or move it away."
    )
