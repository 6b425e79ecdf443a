"""All that is undamaged of a run, as a new run file."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wdyn.errors import DamagedError, RunExistsError, RunFileError, WdynError
from wdyn.journal.lock import live_holder
from wdyn.journal.scan import segments
from wdyn.places import parts_folder
from wdyn.store.compare import same
from wdyn.store.describe import note_text, printable
from wdyn.store.journal_source import JournalSource
from wdyn.store.pack import drop_damaged
from wdyn.store.packed_source import PackedSource
from wdyn.store.placing import place, reason
from wdyn.store.reader import missing
from wdyn.store.salvage import Salvage
from wdyn.store.structure import look
from wdyn.store.write import write_run

Report = Callable[[str, float], object]
_JOURNAL = re.compile(r"(.+)\.parts(\.damaged(-\d+)?)?")


@dataclass(frozen=True)
class Repair:
    """What was saved of a damaged run.

    Attributes:
        path: the damaged run.
        written: the new run file.
        steps: number of steps saved.
        before: number of steps that could be told apart in the damaged run.
        lost: what was left out, as notes of the new run.
    """

    path: Path
    written: Path
    steps: int
    before: int
    lost: tuple[Mapping[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, the files by their names."""
        files = {"file": self.path.name, "written": self.written.name}
        return {**files, "steps": {"saved": self.steps, "before": self.before}, "lost": list(map(dict, self.lost))}

    def __str__(self) -> str:
        saved = f"{self.written}: {self.steps} of {self.before} steps of {self.path} saved"
        if not self.lost:
            return f"{saved}, nothing was lost"
        return "\n".join([f"{saved}. Lost:", *(printable(note_text(note)) for note in self.lost)])


def repair(path: Path, written: Path | None = None, *, progress: Report | None = None) -> Repair:
    """Write everything undamaged of a run file or journal into a new run file, and read that back.

    A step is left out where any value of it, or a mask that held there, is damaged. The damaged run stays as it is.

    Args:
        path: of the run, as for `open_run`, or of a journal that packing kept, `<run>.parts.damaged`.
        written: of the new file; `<name>.repaired.h5` beside the old one when omitted.
        progress: called now and then with what is being done and which fraction of it is ready, 0 to 1.

    Returns:
        What was saved and what was lost.

    Raises:
        RunExistsError: something is at the path of the new file.
        RunFileError: nothing can be saved, or the new file could not be written. Nothing was changed.
    """
    run, folder = _run_and_journal(path)
    written = written or run.with_name(f"{run.stem}.repaired.h5")
    if written.exists() or written.is_symlink() or segments(parts_folder(written)):
        raise RunExistsError(f"{written}: stands already, and nothing was touched. Name another file with -o.")
    tell = progress or (lambda stage, done: None)
    source, before, lost = _undamaged(run, folder, lambda done: tell("looking for damage", done))
    try:
        place(written, lambda temporary: _write(temporary, source, tell))
    except (OSError, RuntimeError) as error:  # libhdf5 raises the latter where closing a file fails
        if isinstance(error, WdynError):
            raise
        raise RunFileError(f"{written}: could not be written: {reason(error)}. {path} stands as it was.") from error
    finally:
        source.close()
    return Repair(path, written, len(source.steps), before, tuple(lost))


def _run_and_journal(path: Path) -> tuple[Path, Path | None]:
    """The run file, and the journal folder if it was named."""
    named = _JOURNAL.fullmatch(path.name)
    if named is None or path.is_file():
        return path, None
    return path.with_name(named[1]), path


def _undamaged(
    run: Path, folder: Path | None, tell: Callable[[float], object]
) -> tuple[Salvage | JournalSource, int, list[dict[str, Any]]]:
    """What is undamaged, the number of steps that there were, and what is left out."""
    if folder is None and run.exists():
        try:
            salvage = Salvage(run, tell)
        except RunFileError as error:
            if not segments(parts_folder(run)):
                _point_to_journal(error, run)
                raise
        else:
            return salvage, salvage.before, salvage.notes
    folder = folder or parts_folder(run)
    if not segments(folder):
        raise RunFileError(missing(run))
    if live_holder(folder) is not None:
        raise RunFileError(f"{run}: is being recorded. Close its Recorder first; then repair what needs it.")
    source = JournalSource(run, folder)
    before = len(source.steps)
    try:
        drop_damaged(source, tell)
    except BaseException:
        source.close()
        raise
    return source, before, [note for note in source.meta["notes"] if note.get("what") == "damaged"]


def _point_to_journal(error: RunFileError, run: Path) -> None:
    for kept in sorted(run.parent.glob(f"{glob.escape(run.name)}.parts.damaged*")):
        error.add_note(f"The journal it was made from was kept: wdyn repair {kept}")


def _write(temporary: Path, source: Salvage | JournalSource, tell: Report) -> None:
    write_run(temporary, source, progress=lambda done: tell("writing", done))
    packed = PackedSource(temporary, look=look)  # this very process has written it
    try:
        if not same(packed, source, progress=lambda done: tell("reading it back", done)):
            raise DamagedError(
                f"{temporary}: does not hold what was written to it, so it was deleted. Is the disk sound?"
            )
    finally:
        packed.close()
