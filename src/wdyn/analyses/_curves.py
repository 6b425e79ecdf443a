"""How a network does while units go one by one: curves, the area under them, and a verdict against random orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._copies import holm
from wdyn.analyses._evaluate import Mode, Network
from wdyn.analyses._unit_damage import GONE

LEVEL = 0.01  # of places where all orders are random orders in which any is told apart from them
BAND = 0.99  # of random orders have their area in the interval
TOLERANCE = 0.01  # of accuracy that may be lost
ROUNDING = 1e-12


class Units(NamedTuple):
    """Units of one place or several, one place after the other.

    Attributes:
        network: one recorded step.
        places: name and number of units of each place.
        looked_at: of each place, the units that go.
        mode: how they go.
    """

    network: Network
    places: Sequence[tuple[str, int]]
    looked_at: Sequence[Array]
    mode: Mode

    @property
    def total(self) -> int:
        """How many units go in all."""
        return sum(len(each) for each in self.looked_at)


class Curves(NamedTuple):
    """Each (O, P): one row per order, one column per number of units gone; the error is that of the loss."""

    loss: Array
    score: Array
    error: Array


def points_of(units: int, at_most: int) -> Array:
    """Evenly spaced numbers of units gone, from none to all: (min(units + 1, at_most),) int64."""
    return np.unique(np.linspace(0, units, min(units + 1, at_most)).round().astype(np.int64))


def score_variants(units: Units, orders: Array, variants: Array, told: Callable[[int], None]) -> Curves:
    """Score the network after some of the removals of some orders.

    Args:
        units: what goes.
        orders: (O, n) int, each a permutation.
        variants: (M, 2) int: which order, and how many of its units are gone.
        told: told the number of variants done.

    Returns:
        Three (M,) arrays; a loss that is not finite is NaN, and so is the score where the loss is NaN.
    """
    position = np.argsort(orders, axis=1)  # turn in which each unit goes
    together = max(1, GONE // max(sum(count for _, count in units.places), 1))
    parts: list[Array] = [np.empty((3, 0))]
    for at in range(0, len(variants), together):
        some = variants[at : at + together]
        gone = position[some[:, 0]] < some[:, 1:]
        masks, first = {}, 0
        for (name, count), looked_at in zip(units.places, units.looked_at, strict=True):
            masks[name] = np.zeros((len(some), count), dtype=bool)
            masks[name][:, looked_at] = gone[:, first : first + len(looked_at)]
            first += len(looked_at)
        found = units.network.scores(masks, units.mode)
        loss = np.where(np.isfinite(found.loss), found.loss, np.nan)
        score = np.where(np.isnan(found.loss), np.nan, found.score)  # the largest of NaN outputs is no answer
        parts.append(np.stack([loss, score, found.loss_error]))
        told(len(some))
    return Curves(*np.concatenate(parts, axis=1))


def curves(units: Units, orders: Array, points: Array, told: Callable[[int], None]) -> Curves:
    """Score the network along some orders; what is the same for all of them, none and all gone, is scored once.

    Args:
        units: what goes.
        orders: (O, n) int, each a permutation.
        points: (P,) int from `points_of`.
        told: told the number of variants done.

    Returns:
        The curves.
    """
    inner = points[1:-1]
    between = np.stack(np.meshgrid(np.arange(len(orders)), inner, indexing="ij"), axis=-1).reshape(-1, 2)
    found = score_variants(units, orders, np.concatenate([[(0, 0), (0, points[-1])], between]), told)
    whole = []
    for values in found:
        curve = np.empty((len(orders), len(points)))
        curve[:, 0], curve[:, -1] = values[:2]
        curve[:, 1:-1] = values[2:].reshape(len(orders), len(inner))
        whole.append(curve)
    return Curves(*whole)


def area(values: Array, points: Array) -> Array:
    """Area under curves over the share of units gone, by trapezoids.

    Args:
        values: (..., P).
        points: (P,) rising from 0, the last one above 0.

    Returns:
        (...) float64, a mean over the way: for accuracy in [0, 1].
    """
    width = np.diff(points) / points[-1]
    return np.asarray(((values[..., 1:] + values[..., :-1]) / 2 * width).sum(axis=-1))


class Verdicts(NamedTuple):
    """Orders against random orders.

    Attributes:
        chance: (O,) that a random order is as far from their mean, to either side.
        corrected: (O,) the same, corrected for the number of orders (Holm).
        verdict: (O,) 1 for better than random, -1 for worse, 0 for not told apart; NaN where an area is.
        mean: of the areas of random orders.
        low: 99 % of random orders have an area between this
        high: and this.
    """

    chance: Array
    corrected: Array
    verdict: Array
    mean: float
    low: float
    high: float


def verdicts(areas: Array, random: Array, *, larger_is_better: bool) -> Verdicts:
    """Hold the areas of some orders against those of random ones.

    An area is a sum of many small steps, so those of random orders are close to normal, and one more of them lies
    within the prediction interval of Student's t with R - 1 degrees of freedom. Ranks among R random orders would need
    thousands of them before one of ten orders could stand out at a level of 0.01. Where all random orders have one and
    the same area there is no spread to go by, and ranks it is.

    Args:
        areas: (O,) of the orders.
        random: (R,) of the random ones, at least 2.
        larger_is_better: whether the curve is of a score and not of a loss.

    Returns:
        The verdicts.

    Source:
        Hahn & Meeker, Statistical intervals (1991), section 4.7: prediction interval for one future observation.
    """
    from scipy.special import stdtr, stdtrit

    count = len(random)
    mean, spread = float(random.mean()), float(random.std(ddof=1)) * np.sqrt(1 + 1 / count)
    apart = areas - mean
    if spread > ROUNDING * max(abs(mean), ROUNDING):
        chance = 2 * stdtr(count - 1, -np.abs(apart) / spread)
    else:
        chance = np.where(np.abs(apart) > ROUNDING * max(abs(mean), 1.0), 2 / (count + 1), 1.0)
    chance = np.where(np.isfinite(apart), chance, np.nan)
    corrected = holm(chance)
    sign = np.sign(apart) if larger_is_better else -np.sign(apart)
    verdict = np.where(np.isfinite(corrected), np.where(corrected <= LEVEL, sign, 0.0), np.nan)
    side = float(stdtrit(count - 1, (1 + BAND) / 2)) * spread
    return Verdicts(chance, corrected, verdict, mean, mean - side, mean + side)


def harm(curve: Curves, *, accuracy: bool) -> tuple[Array, float]:
    """What is lost along curves, and how much of it may be.

    Args:
        curve: curves from none to all gone.
        accuracy: whether the score is an accuracy.

    Returns:
        (O, P), and the tolerance: 0.01 of accuracy, or 1 % of what the loss rises by when all units are gone.
    """
    if accuracy:
        return curve.score[:, :1] - curve.score, TOLERANCE + ROUNDING
    rise = curve.loss - curve.loss[:, :1]
    return rise, TOLERANCE * max(float(rise[0, -1]), 0.0) + ROUNDING


def spared(units: Units, orders: Array, points: Array, found: Curves, *, accuracy: bool,
           told: Callable[[int], None]) -> Array:  # fmt: skip
    """How many units can go before more is lost than may be, to the unit.

    Each number between the last point of the curve where all is well and the next is scored; what is lost and comes
    back between two points is not seen.

    Args:
        units: what goes.
        orders: (O, n).
        points: (P,).
        found: the curves at these points.
        accuracy: as for `harm`.
        told: told the number of variants done.

    Returns:
        (O,) float64 in [0, n], NaN where a loss is not finite.
    """
    lost, most = harm(found, accuracy=accuracy)
    too_much = lost > most
    known = np.isfinite(lost).all(axis=1)
    at = np.where(too_much.any(axis=1), too_much.argmax(axis=1), len(points))  # the first point that loses too much
    between = [
        (o, gone)
        for o in np.flatnonzero(known & (at < len(points)) & (at > 0))
        for gone in range(points[at[o] - 1] + 1, points[at[o]])
    ]
    count = np.append(points, points[-1] + 1)[at] - 1.0
    if between:
        variants = np.array(between)
        more = score_variants(units, orders, variants, told)
        now = found.score[0, 0] - more.score if accuracy else more.loss - found.loss[0, 0]
        for order, gone in variants[now > most][::-1]:  # the smallest comes last, and stays
            count[order] = gone - 1
    return np.where(known, count, np.nan)
