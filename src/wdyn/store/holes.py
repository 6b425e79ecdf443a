"""What a hole in a journal costs: the steps in it, and those whose masks, or whose last version, it may have held."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import groupby

from wdyn.journal.frame import HEADER_SIZE, Kind
from wdyn.journal.scan import Frame, Hole
from wdyn.journal.schema import Schema

_LEAST = HEADER_SIZE + len("{}")  # bytes of the smallest frame
_SMALL = 4096  # bytes that no frame of metrics or a note is taken to exceed, unless one that was found does


@dataclass(frozen=True)
class Loss:
    """Something of a journal that is lost.

    Attributes:
        where: which part of it.
        steps: first and last step that may be concerned, or None where none is.
        after: last step that was recorded before.
        reason: what happened, as a sentence.
    """

    where: str
    steps: tuple[int, int] | None
    after: int
    reason: str


@dataclass
class Losses:
    """All that a journal lost.

    Attributes:
        found: in order of writing.
        unsure: recorded step → why its values are not known, although its own frame may be whole.
    """

    found: list[Loss] = field(default_factory=list)
    unsure: dict[int, str] = field(default_factory=dict)


def losses(
    entries: list[Frame | Hole], schema: Schema, unreadable: Collection[Frame], *, program_lost: bool = False
) -> Losses:
    """Go through a journal in order of writing and keep account of what a hole makes unknown.

    A hole that may have held masks makes the masks unknown until the next MASKS frame. Where the whole journal has
    none, they are known to be none again at the next segment, since a Recorder repeats the masks that hold there.

    Args:
        entries: of `survey`.
        schema: of the run.
        unreadable: MASKS frames that do not match their checksums.
        program_lost: whether a hole may have held the program, which is as large as it likes.
    """
    account = _Account(_Sizes.of(entries, schema, program_lost=program_lost))
    following = _steps_behind(entries)
    for entry, then in zip(entries, following, strict=True):
        if isinstance(entry, Hole):
            account.hole(entry, then)
        else:
            account.frame(entry, unreadable)
    account.result.found += _rows(account.result.unsure, [e for e in entries if isinstance(e, Frame)])
    return account.result


class _Account:
    def __init__(self, sizes: _Sizes) -> None:
        self.result = Losses()
        self._sizes = sizes
        self._step: int | None = None  # last one recorded
        self._masks: str | None = None  # why they are unknown

    def hole(self, hole: Hole, then: int | None) -> None:
        after = -1 if self._step is None else self._step
        steps = None
        if self._sizes.may_hold_steps(hole) and then is not None and then > after + 1:
            steps = after + 1, then - 1
        self.result.found.append(Loss(str(hole), steps, max(after, 0), f"the journal's {hole}"))
        if self._sizes.may_hold_masks(hole):
            self._masks = f"{hole.path}: {hole}, maybe the pruning masks of step {{}}"
        if self._step == 0 and self._sizes.may_hold_steps(hole):  # step 0 is written again when training begins
            self.result.unsure[0] = f"{hole.path}: {hole}, maybe the last version of step 0"

    def frame(self, frame: Frame, unreadable: Collection[Frame]) -> None:
        kind, step = frame.header.kind, frame.header.step
        if kind is Kind.MASKS:
            lost = f"{frame.path}: the masks frame at byte {frame.offset - HEADER_SIZE} is damaged, which held the "
            self._masks = f"{lost}pruning masks of step {{}}" if frame in unreadable else None
        elif kind is Kind.SCHEMA and not self._sizes.masked:
            self._masks = None
        elif kind is Kind.STEP:
            self._step = step
            self.result.unsure.pop(step, None)
            if self._masks is not None:
                self.result.unsure[step] = self._masks.format(step)


@dataclass(frozen=True)
class _Sizes:
    """Bytes that frames take with their headers: bounds on what a hole can have held."""

    masked: bool  # whether the journal has a MASKS frame
    schema: int
    step: int
    small: int  # most that metrics and notes take
    masks: tuple[int, int]  # least and most
    program: bool  # whether one may be in a hole

    @classmethod
    def of(cls, entries: Iterable[Frame | Hole], schema: Schema, *, program_lost: bool) -> _Sizes:
        headers = [entry.header for entry in entries if isinstance(entry, Frame)]
        small = [each.length for each in headers if each.kind in (Kind.METRICS, Kind.NOTE)]
        masked = any(each.kind is Kind.MASKS for each in headers)
        bits = {t.name: -(-math.prod(t.shape) // 8) for t in schema.tensors if t.role == "weight"}
        # where masks are known, they may also have been taken away: an empty set
        least = _masks_frame({}) if masked else min((_masks_frame({n: b}) for n, b in bits.items()), default=_LEAST)
        text = len(schema.to_json())
        return cls(masked, HEADER_SIZE + text, HEADER_SIZE + schema.nbytes,
                   max([_SMALL, *small]) + HEADER_SIZE, (least, _masks_frame(bits)), program_lost)  # fmt: skip

    def may_hold_steps(self, hole: Hole) -> bool:
        lost, room = self._unexplained(hole)
        return lost is None or (lost > 0 and room >= self.step)

    def may_hold_masks(self, hole: Hole) -> bool:
        """Whether one frame of masks, some of steps and some small ones can add up to the hole."""
        lost, room = self._unexplained(hole)
        if lost is None:
            return True
        any_size = hole.index < 2 or self.program  # a sample, too, is as large as it likes
        small = max(self.small, room) if any_size else self.small
        least, most = self.masks
        for steps in range(lost):
            others = lost - steps - 1
            if least + others * _LEAST <= room - steps * self.step <= most + others * small:
                return True
        return False

    def _unexplained(self, hole: Hole) -> tuple[int | None, int]:
        """Frames and bytes of a hole without the schema that opens a segment; None where their number is not known."""
        lost, room = hole.frames, hole.end - hole.start
        if lost is None or room < lost * _LEAST:  # bytes were cut out as well
            return None, room
        return (lost - 1, room - self.schema) if hole.index == 0 and lost else (lost, room)


def _masks_frame(bits: dict[str, int]) -> int:
    """Bytes of a MASKS frame of these parameters, each with the bytes of its mask."""
    text = json.dumps([[name, "|u1", [size]] for name, size in bits.items()])
    return HEADER_SIZE + 4 + len(text) + sum(bits.values())


def _steps_behind(entries: list[Frame | Hole]) -> list[int | None]:
    """For each entry the first step recorded after it."""
    behind: list[int | None] = []
    then: int | None = None
    for entry in reversed(entries):
        behind.append(then)
        if isinstance(entry, Frame) and entry.header.kind is Kind.STEP:
            then = entry.header.step
    return behind[::-1]


def _rows(unsure: dict[int, str], frames: list[Frame]) -> list[Loss]:
    """Steps whose values are not known, those that were recorded in a row as one."""
    recorded = sorted({frame.header.step for frame in frames if frame.header.kind is Kind.STEP})
    rows = []
    for why, group in groupby(recorded, key=lambda step: step in unsure):
        if why:
            steps = list(group)
            reason = f"not known any more, although recorded: {unsure[steps[0]]}"
            rows.append(Loss("steps that a hole makes unknown", (steps[0], steps[-1]), steps[0], reason))
    return rows
