"""Which steps to keep: small functions from the step's number to yes or no. Step 0 is always kept."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import SupportsIndex

from wdyn.errors import MisuseError


@dataclass(frozen=True)
class Schedule:
    """A function from a step to whether it is kept, with the text that the run stores.

    Attributes:
        text: the call that made it, such as `every(10)`.
        keeps: the rule for steps after 0.
    """

    text: str
    keeps: Callable[[int], bool]

    def __call__(self, step: int) -> bool:
        """Whether the step, counted from 0, is kept."""
        return step == 0 or self.keeps(step)

    def __repr__(self) -> str:
        return self.text


def every(n: int) -> Schedule:
    """Steps 0, n, 2n, ...

    Args:
        n: at least 1.

    Raises:
        MisuseError: n is below 1.
    """
    n = _whole("every(n)", n, at_least=1)
    return Schedule(f"every({n})", lambda step: step % n == 0)


def log_spaced(per_decade: int = 20) -> Schedule:
    """Step 0 and the whole numbers nearest to 10**(i / per_decade): dense at first, then ever sparser.

    Args:
        per_decade: kept steps between step s and step 10s, once the numbers are far enough apart; at least 1.

    Raises:
        MisuseError: per_decade is below 1.
    """
    per_decade = _whole("log_spaced(per_decade)", per_decade, at_least=1)

    def keeps(step: int) -> bool:
        near = round(per_decade * math.log10(step))
        return any(round(10 ** (i / per_decade)) == step for i in (near - 1, near, near + 1))

    return Schedule(f"log_spaced({per_decade})", keeps)


def at(steps: Iterable[int]) -> Schedule:
    """Step 0 and exactly these steps.

    Args:
        steps: whole numbers from 0; order and repeats do not matter.

    Raises:
        MisuseError: one of them is negative or not a whole number.
    """
    chosen = sorted({_whole("at(steps)", step, at_least=0) for step in steps})
    listed = frozenset(chosen)
    text = f"at({chosen})" if len(chosen) <= 20 else f"at({len(chosen)} steps from {chosen[0]} to {chosen[-1]})"
    return Schedule(text, listed.__contains__)


def dense_then(dense: int, every: int) -> Schedule:
    """Each step up to `dense`, then the multiples of `every`.

    Args:
        dense: last step of the dense part; at least 0.
        every: distance of the kept steps after it; at least 1.

    Raises:
        MisuseError: a number is below its bound.
    """
    dense = _whole("dense_then(dense, ...)", dense, at_least=0)
    every = _whole("dense_then(..., every)", every, at_least=1)
    return Schedule(f"dense_then({dense}, {every})", lambda step: step <= dense or step % every == 0)


def from_text(text: str) -> Schedule:
    """The schedule that a text such as `every(10)` or `dense_then(100, 50)` stands for.

    Raises:
        MisuseError: it is none, or a number in it cannot be.
    """
    found = re.fullmatch(r"\s*(\w+)\s*\(([\d\s,\[\]]*)\)\s*", text)
    numbers = [int(number) for number in re.findall(r"\d+", found[2])] if found else []
    match (found[1] if found else "", numbers):
        case "every", [n]:
            return every(n)
        case "log_spaced", [] | [_]:
            return log_spaced(*numbers)
        case "dense_then", [first, n]:
            return dense_then(first, n)
        case "at", [_, *_]:
            return at(numbers)
    raise MisuseError(
        f"{text!r} is no schedule. Give every(10), log_spaced(20), dense_then(100, 50) or at(0, 10, 100)."
    )


def describe(schedule: Callable[[int], bool]) -> str:
    """The text stored with a run: a Schedule's own, else the name of the user's function."""
    if isinstance(schedule, Schedule):
        return schedule.text
    return str(getattr(schedule, "__qualname__", type(schedule).__name__))


def _whole(call: str, value: SupportsIndex, *, at_least: int) -> int:
    try:
        number = operator.index(value)  # NumPy's integers too
    except TypeError:
        number = at_least - 1
    if number < at_least:
        raise MisuseError(f"{call} takes whole numbers from {at_least}, but got {value!r}.")
    return number
