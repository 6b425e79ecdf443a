"""Where two trainings, looked at update by update, first differ, and in what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wdyn.record.watch import Line

MOST_NAMES = 2  # of a part that a sentence gives
ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """The first difference of two trainings.

    Attributes:
        when: in words.
        update: how many updates the model had had; 0 right after the Recorder was made.
        parts: what differs, such as `weights`, and the names that differ in it.
    """

    when: str
    update: int
    parts: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        return f"{self.when} in {', '.join(_part(part, names) for part, names in self.parts.items())}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"when": self.when, "update": self.update, "parts": {part: list(n) for part, n in self.parts.items()}}


def first_difference(some: Sequence[Line], others: Sequence[Line]) -> Difference | None:
    """Where two trainings first differ, or None.

    Args:
        some: lines that a Watch wrote.
        others: those of the other training.
    """
    for one, other in zip(some, others, strict=False):
        if (one["update"], one.get("end")) != (other["update"], other.get("end")):
            return _of_length(one if "end" in one else other)
        parts = _differing(one.get("seen", {}), other.get("seen", {}))
        if parts:
            return Difference(_when(one), one["update"], parts)
    if len(some) != len(others):
        return _of_length(min(some, others, key=len)[-1])
    return None


def _differing(some: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found = {}
    for part in {**some, **others}:
        one, other = some.get(part, {}), others.get(part, {})
        if one != other:
            found[part] = tuple(name for name in one | other if one.get(name, ABSENT) != other.get(name, ABSENT))
    return found


def _of_length(line: Line) -> Difference:
    return Difference(f"after update {line['update']}", line["update"], {"the number of updates": ()})


def _when(line: Line) -> str:
    if "end" in line:
        return "after the Recorder was closed"
    return f"at update {line['update']}" if line["update"] else "right after the Recorder was made"


def _part(part: str, names: Sequence[str]) -> str:
    shown = [name or "the model" for name in names[:MOST_NAMES]]
    if more := len(names) - len(shown):
        shown.append(f"{more} more")
    return f"{part} ({', '.join(shown)})" if shown else part
