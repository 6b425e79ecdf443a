"""Journal → run.h5, in a process of its own: `python -m wdyn.store.pack RUN.h5`."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from wdyn.errors import DamagedError, RunFileError, WdynError
from wdyn.journal.append import sync_path
from wdyn.journal.lock import LOCK, Holder, alone, live_holder
from wdyn.journal.scan import segments
from wdyn.places import parts_folder
from wdyn.store.compare import compare
from wdyn.store.journal_source import JournalSource, damage_note
from wdyn.store.placing import place, reason
from wdyn.store.structure import look
from wdyn.store.write import write_run


def pack(path: Path) -> None:
    """Turn the journal of a run into its file, and delete the journal once the file is known to be whole.

    What is damaged in the journal is left out and noted in the file; such a journal is kept as `<path>.parts.damaged`.
    May be interrupted at any point and done again.

    Args:
        path: of the run file; its journal is `<path>.parts`.

    Raises:
        RunFileError: nothing to pack, a Recorder is still at work, or the file could not be written. The journal
            stands.
    """
    folder = parts_folder(path)
    _refuse_live(path, folder)
    shutil.rmtree(_packed(folder), ignore_errors=True)  # of a packer that was killed while it deleted it
    if not segments(folder):
        if path.exists():
            return
        raise RunFileError(f"{path}: no journal {folder.name} to pack.")
    try:
        with alone(folder, wait=True):
            _refuse_live(path, folder)  # it may have been resumed while another packed it
            if segments(folder) or not path.exists():
                _pack_or_compare(path, folder)
    except (OSError, RuntimeError) as error:  # libhdf5 raises the latter where closing a file fails
        if isinstance(error, WdynError):
            raise
        if isinstance(error, FileNotFoundError) and path.exists() and not segments(folder):
            return  # another process packed the same run meanwhile
        raise RunFileError(
            f"{path}: could not be packed: {reason(error)}. The journal {folder.name} stands."
        ) from error


def _refuse_live(path: Path, folder: Path) -> None:
    if (holder := live_holder(folder)) is not None:
        raise RunFileError(f"{path}: {_still_recording(holder, folder)}")


def _pack_or_compare(path: Path, folder: Path) -> None:
    source = JournalSource(path)
    try:
        drop_damaged(source)
        compare(path, source) if path.exists() else _pack(path, source)
    finally:
        source.close()
    _put_away(folder, damaged=any(note["what"] == "damaged" for note in source.meta["notes"]))


def _still_recording(holder: Holder, folder: Path) -> str:
    if not holder.elsewhere:
        return f"process {holder.pid} is still recording it. Close its Recorder, then pack."
    return (
        f"{folder / LOCK} says that process {holder.pid} of {holder.host} is recording it, which cannot be seen from "
        f"this machine. Pack it there, or delete {folder / LOCK} if that process is gone, then pack."
    )


def _packed(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.packed")


def _put_away(folder: Path, *, damaged: bool) -> None:
    """Delete a journal that was packed, after it lost its name so that no half of it is taken for one."""
    if damaged:
        names = (f"{folder.name}.damaged{'' if n == 1 else f'-{n}'}" for n in itertools.count(1))
        folder.rename(next(kept for name in names if not (kept := folder.with_name(name)).exists()))
        return
    packed = folder.rename(_packed(folder))
    sync_path(folder.parent)  # else a power cut could leave the name with half of the segments
    shutil.rmtree(packed, ignore_errors=True)


def _pack(path: Path, source: JournalSource) -> None:
    def write(temporary: Path) -> None:
        write_run(temporary, source)
        compare(temporary, source, look=look)  # this very process has written it

    place(path, write)


def drop_damaged(source: JournalSource, progress: Callable[[float], object] = lambda done: None) -> None:
    """Leave out of a journal what does not match its checksum or is not known any more, and note it.

    Args:
        source: the journal.
        progress: called now and then with the fraction that was looked at, 0 to 1.

    Raises:
        DamagedError: no step of it is undamaged.
    """
    damaged = []
    for position, step in enumerate(source.steps.tolist()):
        try:
            source.check(position)
        except DamagedError as error:
            damaged.append(position)
            if step not in source.losses.unsure:  # those are noted already
                source.meta["notes"].append(damage_note(step, str(error)))
        progress((position + 1) / len(source.steps))
    if len(damaged) == len(source.steps):
        raise DamagedError(f"{source.path}: no step of its journal is undamaged, so nothing can be kept of it.")
    source.drop(damaged)
    try:
        _ = source.sample
    except DamagedError as error:
        source.drop_sample()
        source.meta["notes"].append({"what": "damaged", "reason": f"sample lost: {error}", "step": 0})


def main(arguments: list[str]) -> int:
    """Pack the one run named, at low priority.

    Args:
        arguments: path of the run file.

    Returns:
        Exit status: 0, or 1 after one sentence on stderr.
    """
    os.nice(19)
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m wdyn.store.pack RUN.h5\n")
        return 1
    try:
        pack(Path(arguments[0]))
    except WdynError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
