"""A promise of a ticket, and what an audit found of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Status = Literal["held", "broken", "not checked"]


@dataclass(frozen=True)
class Violation:
    """Where a promise is broken.

    Attributes:
        parameter: name of the parameter, or of the buffer.
        step: the first recorded step at which it is broken.
        count: how many weights are concerned at that step; units where whole units are pruned.
        first: index of the first of them in the parameter; None where it is not about single ones.
        text: what is wrong, without place and number.
    """

    parameter: str
    step: int
    count: int
    first: tuple[int, ...] | None
    text: str

    def __str__(self) -> str:
        place = "" if self.first is None else f" (first: {list(self.first)})"
        return f"{self.parameter}, step {self.step}: {self.text}{place}"


@dataclass(frozen=True)
class Promise:
    """What an audit found of one promise.

    Attributes:
        name: `sparse`, `mask`, `zeros`, `start`, `counts`, `choice` or `kept`.
        status: `held`, `broken`, or `not checked` where information is missing or damaged.
        text: one sentence: what was found, or how to provide what is missing.
        violations: where it is broken, each parameter once, by step; empty unless broken.
        damage: what could not be read of what was looked at.
    """

    name: str
    status: Status
    text: str
    violations: tuple[Violation, ...] = field(default=())
    damage: tuple[str, ...] = field(default=())


def verdict(
    name: str,
    held: str,
    violations: Sequence[Violation] = (),
    *,
    open_ends: Sequence[str] = (),
    damage: Sequence[str] = (),
) -> Promise:
    """Broken if there is a violation, else not checked if a part could not be, else held.

    Args:
        name: of the promise.
        held: the sentence where all is well.
        violations: what was found.
        open_ends: what could not be checked, each with what to do.
        damage: what could not be read.
    """
    if violations:
        found = sorted(violations, key=lambda each: each.step)
        more = f"; and in {len(found) - 1} more, such as {found[1].parameter}" if len(found) > 1 else ""
        return Promise(name, "broken", f"{found[0]}{more}.", tuple(found), tuple(damage))
    if missing := [*damage, *open_ends]:
        return Promise(name, "not checked", " ".join(missing), (), tuple(damage))
    return Promise(name, "held", held)


def unchecked(name: str, why: str) -> Promise:
    """A promise that nothing can be said of."""
    return Promise(name, "not checked", why)


def first_of(places: Array) -> tuple[int, ...] | None:
    """Index of the first True; None where there is none or no axis."""
    found = np.argwhere(places)
    return tuple(found[0].tolist()) if len(found) and places.ndim else None


def counted(number: int, what: str = "weight") -> str:
    """`1 weight`, `2,000 weights`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
