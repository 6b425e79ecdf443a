"""Read a whole run against its checksums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wdyn.errors import DamagedError
from wdyn.journal.frame import Kind
from wdyn.journal.scan import Frame
from wdyn.store.journal_source import JournalSource
from wdyn.store.layout import grid
from wdyn.store.packed_source import PackedSource
from wdyn.store.reader import open_source


@dataclass(frozen=True)
class Damage:
    """Values that are lost.

    Attributes:
        dataset: path in the run file; name of the segment for a journal, or what is lost of it.
        steps: first and last step whose values are lost, or None where the dataset is not about steps.
    """

    dataset: str
    steps: tuple[int, int] | None

    def __str__(self) -> str:
        return self.dataset + ("" if self.steps is None else ", steps {} to {}".format(*self.steps))


@dataclass(frozen=True)
class Verification:
    """What was checked and what was found.

    Attributes:
        path: the run file.
        condition: `finished`, `recording` or `interrupted`.
        datasets: number of datasets checked; of frames for a journal.
        chunks: number of checksums compared.
        damaged: what does not match its checksum, in the order of the file.
    """

    path: Path
    condition: str
    datasets: int
    chunks: int
    damaged: tuple[Damage, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, the file by its name."""
        damaged = [{"dataset": each.dataset, "steps": each.steps} for each in self.damaged]
        counts = {"datasets": self.datasets, "checksums": self.chunks}
        return {"file": self.path.name, "condition": self.condition, **counts, "damaged": damaged}

    def __str__(self) -> str:
        checked = f"{self.path}: {self.condition}, {self.datasets} datasets, {self.chunks} checksums"
        if self.good:
            return f"{checked}, all right"
        return "\n".join([f"{checked}, {len(self.damaged)} damaged:", *map(str, self.damaged)])


def verify(path: Path, *, progress: Callable[[float], object] | None = None) -> Verification:
    """Compare everything in a run with its checksums.

    Args:
        path: of the run, as for `open_run`.
        progress: called now and then with the fraction done, 0 to 1.

    Returns:
        What was found; damage in the values is reported, not raised.

    Raises:
        RunFileError: not a run, or so damaged that it cannot even be opened.
    """
    source = open_source(Path(path))
    report = progress or (lambda _: None)
    try:
        if isinstance(source, PackedSource):
            return _verify_packed(source, report)
        assert isinstance(source, JournalSource)
        return _verify_journal(source, report)
    finally:
        source.close()


def _verify_packed(source: PackedSource, report: Callable[[float], object]) -> Verification:
    damaged: list[Damage] = []
    entries, done = source.file.table.entries, 0
    for path, entry in entries.items():
        for offset in grid(entry.shape, entry.chunks):
            try:
                if entry.chunks is None:
                    source.file.whole(path)
                else:
                    source.file.chunk(path, offset)
            except DamagedError:
                damaged.append(Damage(path, _steps_of(source, path, offset)))
            done += 1
            report(done / len(source.file.table.crcs))
    return Verification(source.path, source.condition, len(entries), done, tuple(dict.fromkeys(damaged)))


def _steps_of(source: PackedSource, path: str, offset: tuple[int, ...]) -> tuple[int, int] | None:
    entry = source.file.table.entries[path]
    if entry.chunks is None:
        return None
    last = min(offset[0] + entry.chunks[0], entry.shape[0]) - 1
    return int(source.steps[offset[0]]), int(source.steps[last])


def _verify_journal(source: JournalSource, report: Callable[[float], object]) -> Verification:
    """Every frame, also those that a later one replaced, and the holes between them."""
    damaged = [Damage(each.where, each.steps) for each in source.losses.found]
    count = len(source.written)
    for done, frame in enumerate(source.written, start=1):
        if not source.whole(frame):
            damaged.append(_damage(frame))
        report(done / count)
    return Verification(source.path, source.condition, count, count, tuple(damaged))


def _damage(frame: Frame) -> Damage:
    kind, step = frame.header.kind, frame.header.step
    name = frame.path.name if kind is Kind.STEP else f"{frame.path.name}, {kind.name.lower()}"
    return Damage(name, None if kind in (Kind.SCHEMA, Kind.SAMPLE, Kind.PROGRAM) else (step, step))
