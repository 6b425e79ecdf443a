"""How high in the tree of random directions groups of each size are joined: what a group is held against."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from wdyn.analyses._cache import remembered
from wdyn.analyses._charts import Array
from wdyn.analyses._groups import FALSE_CLAIM, ROUNDING, Mode, chance_distance
from wdyn.analyses._lowest_joins import lowest_joins

MOST_SIMULATED = 320
"""Neurons up to which trees of random layers are grown; in larger layers a group is held against pairs."""

DRAWS = 3000  # random layers of up to 64 neurons; fewer in larger ones
FEWEST_DRAWS = 600
NUMBERS = 192_000  # draws * neurons
AT_ONCE = 2**18  # cosines, which the processor then keeps at hand
CUBE_INPUTS = 32  # below, weights drawn from a cube show more aligned neurons than uniform directions do
SEED = 1
EDGE = 0.05  # share of the random layers that each size's tail is read from
FARTHER = 4  # the level is read at this multiple of it as well, where more draws tell


class Null(NamedTuple):
    """Lowest joins of random layers: below its edge, the logarithm of the height falls short by an exponential.

    Attributes:
        edge: (K,) logarithm of the height that 5 of 100 layers undercut, for groups of at least 2, 3, ... rows.
        slope: (K,) mean shortfall of those layers.
        level: what the smallest chance of any size must not exceed, for a layer to show a group in 1 of 100 cases.
    """

    edge: Array
    slope: Array
    level: float


def chance_heights(count: int, inputs: int, mode: Mode, *, level: float = FALSE_CLAIM) -> Array:
    """Height that a group of each size must not exceed, so that random directions rarely show one of any size.

    Many neurons within a distance are far less likely by chance than two. So for each size the lowest height at which
    a tree of random directions joins as many rows or more is looked at in simulated layers, and turned into a chance
    by an exponential tail fitted to its logarithm. All sizes then share one bound on that chance, such that the
    smallest one of a layer falls below it in 1 of 100 simulated layers. The fit decides how the error is shared among
    sizes; that it is no more than 1 of 100 in all is counted. With fewer than 32 inputs half of the layers are drawn
    from a cube, as by most initializations, whose directions crowd at its corners, and the level holds for either.

    Layers are simulated for numbers of neurons in steps of an eighth of an octave, and the next larger one is used:
    among more neurons groups come closer. Above 320 neurons, too many to grow thousands of trees, each size is held
    against pairs.

    Args:
        count: N, number of directions.
        inputs: D, their dimension.
        mode: as for `merge_tree`.
        level: chance that a random layer shows any group. Below 1 % it is scaled by the fitted tails, not counted.

    Returns:
        (N + 1,) float64, rising with size, at most 1 (no cosine in common); 0 where nothing can be claimed, as for
        sizes 0 and 1.

    Source:
        The smallest of many p-values as a statistic: Westfall & Young, Resampling-based multiple testing (1993).
    """
    heights = np.zeros(count + 1)
    if count < 2 or inputs < 2:
        return heights
    if count > MOST_SIMULATED:
        heights[2:] = chance_distance(count, inputs, mode, pairs=level)
        return heights
    size = _next_size(count)
    null = _null(size, inputs, mode)
    bound = null.level * level / FALSE_CLAIM
    heights[2:] = np.exp(null.edge - null.slope * np.log(EDGE / bound))[: count - 1]
    heights[heights < ROUNDING] = 0.0
    return np.minimum(np.maximum.accumulate(heights), 1.0)


def carried_over(heights: Array, inputs: int, part: int) -> Array:
    """Heights of `chance_heights` for part of the inputs: where pairs of random directions are as seldom as close.

    Exact for pairs and, since for many inputs all cosines shrink alike, close for larger groups: of random layers
    held against half of 300 inputs 2 in 100 were measured to show a group, of 27 inputs 5, in place of 1.

    Args:
        heights: (K,) float64 in [0, 1], for layers of all inputs.
        inputs: D of the whole layer.
        part: how many of them are looked at, at least 2.

    Returns:
        (K,) float64 in [0, 1].
    """
    from scipy.special import betainc, betaincinv

    whole, half = (inputs - 1) / 2, (part - 1) / 2
    return np.asarray(2.0 * betaincinv(half, half, betainc(whole, whole, heights / 2)))


def _next_size(count: int) -> int:
    """The smallest number of neurons that is simulated and no smaller."""
    step = 1 << max(0, count.bit_length() - 4)
    return -(-count // step) * step


@functools.cache
def _null(count: int, inputs: int, mode: Mode) -> Null:
    kept = remembered({"null": "groups", "count": count, "inputs": inputs}, lambda: _simulated(count, inputs))
    return Null(kept[f"{mode}_edge"], kept[f"{mode}_slope"], float(kept[f"{mode}_level"]))


def _simulated(count: int, inputs: int) -> dict[str, Array]:
    """The fields of `Null` for both modes, from the same draws."""
    rng = np.random.default_rng(SEED)
    draws = int(np.clip(NUMBERS // count, FEWEST_DRAWS, DRAWS))
    at_once = max(AT_ONCE // count**2, 1)
    joins: dict[Mode, list[Array]] = {"ray": [], "line": []}
    for draw in (_uniform, _cube) if inputs < CUBE_INPUTS else (_uniform,):
        found: dict[Mode, list[Array]] = {mode: [] for mode in joins}
        for done in range(0, draws, at_once):
            cosine = draw(min(at_once, draws - done), count, inputs, rng)
            for mode in joins:
                found[mode].append(lowest_joins(cosine, mode))
        for mode, heights in found.items():
            joins[mode].append(np.concatenate(heights))
    nulls = {mode: _fitted(each) for mode, each in joins.items()}
    return {
        f"{mode}_{name}": np.asarray(value) for mode, null in nulls.items() for name, value in null._asdict().items()
    }


def _fitted(joins: list[Array]) -> Null:
    """The null from lowest joins (draws, K) of one or two kinds of random layers."""
    draws = len(joins[0])
    logs = [np.log(np.maximum(each, ROUNDING)) for each in joins]
    fitted = draws // 3  # the rest tells the level, unseen by the fit
    together = np.sort(np.concatenate([each[:fitted] for each in logs]), axis=0)
    few = int(len(together) * EDGE)
    edge = together[few]
    slope = np.maximum((edge - together[:few]).mean(axis=0), ROUNDING)
    return Null(edge, slope, min(_level((edge - each[fitted:]) / slope) for each in logs))


def _uniform(layers: int, count: int, inputs: int, rng: np.random.Generator) -> Array:
    """(layers, N, N) cosines of random directions."""
    if inputs <= count:
        return _cosines(rng.standard_normal((layers, count, inputs)))
    # the triangular factor of as many normal rows (Bartlett 1933) has their inner products
    rows = np.empty((layers, count, count))
    for each in rows:
        rng.standard_normal(out=each)
        np.fill_diagonal(each, np.sqrt(rng.chisquare(inputs - np.arange(count))))
    return _cosines(np.tril(rows))


def _cube(layers: int, count: int, inputs: int, rng: np.random.Generator) -> Array:
    """(layers, N, N) cosines of weights uniform in a cube, as most initializations draw them."""
    return _cosines(rng.uniform(-1, 1, size=(layers, count, inputs)))


def _cosines(rows: Array) -> Array:
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    return np.asarray(np.clip(rows @ rows.swapaxes(1, 2), -1.0, 1.0))


def _level(shortfall: Array) -> float:
    """What the smallest chance of a layer falls below in 1 of 100 of the layers (M, K)."""
    smallest = np.sort(EDGE * np.exp(-shortfall.max(axis=1)))
    at, farther = (int(len(shortfall) * share) - 1 for share in (FALSE_CLAIM, FARTHER * FALSE_CLAIM))
    return float(min(smallest[at], smallest[farther] / FARTHER))
