"""Which of the steps that a schedule keeps stay in a record of bounded size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wdyn.errors import MisuseError

_WHAT = "thinned"
FEWEST = 8  # steps that a bounded record must have room for


@dataclass(frozen=True)
class Thinned:
    """What thinning leaves.

    Attributes:
        keep: the steps that stay.
        count: of how many.
        stride: of the steps that the schedule keeps, every `stride`-th stays.
        step: the last that was recorded.
    """

    keep: frozenset[int]
    count: int
    stride: int
    step: int

    def note(self) -> bytes:
        """The payload of its NOTE frame."""
        reason = f"of the steps that the schedule keeps, one in {self.stride} has room in max_bytes"
        return json.dumps({"what": _WHAT, "reason": reason, "stride": self.stride}).encode()


class Thinning:
    """Every step at first; every second, fourth, ... of them each time that the record is full.

    So the kept steps are spread over the whole run as evenly as the schedule spreads them, between half as many as fit
    and all of them, however long the run turns out to be. The first step always stays.

    Attributes:
        stride: of the steps that the schedule keeps, every `stride`-th stays.
    """

    def __init__(self, most: int) -> None:
        """Begin with an empty record.

        Args:
            most: steps that fit.
        """
        self._most, self.stride = most, 1
        self._kept: list[int] = []
        self._seen = 0

    def go_on(self, kept: Iterable[int], stride: int, *, scheduled: Iterable[int], step: int) -> Thinned | None:
        """Begin with a record that stands.

        Args:
            kept: steps that are there, in order; those after `step` hold no more.
            stride: what they were last thinned with. A process that died may have thinned only some of them.
            scheduled: all steps of the schedule up to `step`, in order.
            step: that the recording goes on from.

        Returns:
            None, or what stays so that the record is even again, and what it is thinned with.
        """
        there = list(kept)
        before = [each for each in there if each <= step]
        self._kept, self.stride = self._even(before, stride, scheduled), stride
        while len(self._kept) > self._most:
            self._kept, self.stride = self._kept[::2], self.stride * 2
        if self.stride == 1:
            return None
        stays = frozenset(self._kept).union([step], there[len(before) :])
        return Thinned(stays, len(there), self.stride, step)

    def _even(self, there: list[int], stride: int, scheduled: Iterable[int]) -> list[int]:
        """Those of the steps that a recording which never ended would have kept."""
        known, number = set(there), {}
        self._seen = 0
        for each in scheduled:
            if each in known:
                number[each] = self._seen
            self._seen += 1
        if stride == 1 or 2 * len(number) >= len(there):
            return [each for each in there if number.get(each, -1) % stride == 0]
        self._seen = (len(there) - 1) * stride + 1  # the schedule is another one now
        return there

    def admits(self) -> bool:
        """Whether the next step of the schedule stays for now."""
        number, self._seen = self._seen, self._seen + 1
        return number % self.stride == 0

    def keep(self, step: int) -> Thinned | None:
        """Count a step in.

        Returns:
            None, or, where there are more steps now than fit, those that stay.
        """
        self._kept.append(step)
        count = len(self._kept)
        if count <= self._most:
            return None
        self._kept, self.stride = self._kept[::2], self.stride * 2
        return Thinned(frozenset(self._kept), count, self.stride, step)


def stride_of(notes: Iterable[Mapping[str, Any]]) -> int:
    """What a run's notes say of how it was thinned last; 1 where it was not."""
    return next((int(each["stride"]) for each in reversed(list(notes)) if each.get("what") == _WHAT), 1)


def stride_for(steps: int, max_bytes: int, step_bytes: int) -> int:
    """What a record of so many steps ends up thinned with.

    Raises:
        MisuseError: fewer steps fit than is worth recording.
    """
    most, stride = steps_that_fit(max_bytes, step_bytes), 1
    while -(-steps // stride) > most:
        stride *= 2
    return stride


def steps_that_fit(max_bytes: int, step_bytes: int) -> int:
    """How many steps a bounded record may hold, with room for the segment that is written anew while it is thinned.

    Raises:
        MisuseError: fewer than is worth recording.
    """
    most = max_bytes // step_bytes * 7 // 8
    if most < FEWEST:
        raise MisuseError(
            f"max_bytes={max_bytes:,} has no room for {FEWEST} steps of {step_bytes:,} bytes each. Give at least "
            f"{step_bytes * FEWEST * 8 // 7 + step_bytes:,}, or leave out tensors with exclude."
        )
    return most
