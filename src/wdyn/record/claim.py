"""Take a path for a run, so that no other Recorder can, and without touching what stands there."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from wdyn.errors import MisuseError, RunExistsError
from wdyn.journal.append import sync_path
from wdyn.journal.lock import LOCK, acquire, live_holder
from wdyn.places import RUNS, parts_folder


def checked_path(path: object) -> Path | None:
    """Where the user wants the run, or None for the default place.

    Raises:
        MisuseError: it is not the path of a file.
    """
    if path is None:
        return None
    if not isinstance(path, str | os.PathLike) or not isinstance(text := os.fspath(path), str):
        slip = "Did you mean optimizer=...?" if hasattr(path, "param_groups") else "Give text such as 'runs/a.h5'."
        raise MisuseError(f"path is the run file to make, but got {type(path).__name__}. {slip}")
    if not text or "\0" in text:
        raise MisuseError(f"path {text!r} names no file. Give one such as 'runs/a.h5', or leave path out.")
    if os.path.isdir(text):
        raise MisuseError(f"{text} is a folder. Give the path of a file in it, such as {Path(text, 'run.h5')}.")
    return Path(text)


def default_path(model: str) -> Path:
    """`checkpoints/<model>-<UTC time>.h5`.

    Args:
        model: name of a class, which need not be a fit name for a file.
    """
    stem = re.sub(r"[^\w.-]+", "_", model).strip("._")[:50] or "model"
    return RUNS / f"{stem}-{datetime.now(UTC):%Y%m%d-%H%M%S}.h5"


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
    _refuse_standing(run_file, path)
    try:
        made = [each for each in folder.parents if not each.exists()]
        run_file.parent.mkdir(parents=True, exist_ok=True)
        _make(folder, run_file, path)
    except RunExistsError:
        raise
    except OSError as error:
        raise MisuseError(f"{path} cannot be recorded to ({error}). Choose a folder that can be written.") from error
    for each in (folder, *made):  # else a power cut could take the folder, and all that was synced in it
        with suppress(OSError):  # of a folder that may be written to and not be read
            sync_path(each.parent)
    return run_file


def claim_default(model: str) -> Path:
    """`claim` of `default_path`, with -2, -3, ... where that is taken."""
    first = default_path(model)
    for number in itertools.count(1):
        try:
            return claim(first if number == 1 else first.with_stem(f"{first.stem}-{number}"))
        except RunExistsError:
            continue
    raise AssertionError("the numbers do not end")


def abandon(run_file: Path) -> None:
    """Remove the journal folder of a recording that failed to start."""
    shutil.rmtree(parts_folder(run_file), ignore_errors=True)


def _refuse_standing(run_file: Path, path: Path) -> None:
    if os.path.lexists(run_file):
        raise RunExistsError(
            f"{path} exists already. A run is never overwritten: give another path, move it away, or go on with it by "
            f"resume=True."
        )


def _make(folder: Path, run_file: Path, path: Path) -> None:
    try:
        folder.mkdir()  # of any number of processes exactly one succeeds
    except FileExistsError as error:
        raise RunExistsError(taken(folder)) from error
    try:
        _refuse_standing(run_file, path)  # another's run may have been packed since, and its folder be gone
        acquire(folder)
    except OSError:  # RunExistsError is one
        shutil.rmtree(folder, ignore_errors=True)
        raise


def taken(folder: Path) -> str:
    """What to say of a journal that stands where a new one was wanted."""
    holder = live_holder(folder)
    if holder is not None and holder.elsewhere:
        return (
            f"{folder} is being written by process {holder.pid} on {holder.host}, which cannot be seen from this "
            f"machine. Give another path, or delete {folder / LOCK} if that process is gone."
        )
    if holder is not None:
        return f"{folder} is being written by process {holder.pid} on {holder.host}. Give another path."
    return (
        f"{folder} holds what an interrupted recording left, and wdyn.open_run reads it. "
        f"Give another path, move it away, or go on with it by resume=True."
    )
