"""How many weights each round of pruning leaves: exact counts, without the rounding of floating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction

from wdyn.errors import MisuseError

Rates = float | Mapping[str, float]


def kept(total: int, rate: float, rounds: int) -> int:
    """How many of a layer's weights are left after some rounds.

    Args:
        total: weights of the intact layer.
        rate: share of those left that goes in each round, in [0, 1), taken as the decimal number it is written as.
        rounds: 0 or more.

    Returns:
        The whole number nearest to `total * (1 - rate) ** rounds`, halves up. It does not depend on how the rounds
        before were rounded.

    Raises:
        MisuseError: the rate is not in [0, 1).
    """
    share = (1 - checked_rate(rate)) ** rounds
    return int(total * share + Fraction(1, 2))


def checked_rate(rate: float) -> Fraction:
    """A rate as the decimal number it is written as: 0.2 is a fifth, not the nearest binary number to it.

    Raises:
        MisuseError: it is not in [0, 1).
    """
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 <= rate < 1:
        raise MisuseError(f"a pruning rate is the share that goes in a round, from 0 up to but not 1, not {rate!r}.")
    return Fraction(repr(float(rate)))  # NumPy spells its own numbers otherwise


def rate_of(names: Sequence[str], rates: Rates) -> float | None:
    """The rate of one parameter.

    Args:
        names: what it goes by: its own name and those of the modules it is in.
        rates: one rate for all, or globs to rates, of which the first that fits holds.

    Returns:
        None where no glob fits: the parameter is left alone.
    """
    if not isinstance(rates, Mapping):
        return rates
    return next((rate for glob, rate in rates.items() if any(fnmatchcase(name, glob) for name in names)), None)
