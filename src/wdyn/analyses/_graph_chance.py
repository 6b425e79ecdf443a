"""What random directions make of a similarity graph, and random neurons of the largest norm in a component."""

from __future__ import annotations

from math import comb

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._graph import closest_tree, component_curves, joining_cosines
from wdyn.analyses._groups import cosines
from wdyn.analyses._neurons import directions

DRAWS = 99
NEARLY_ONE = 1.0 - 1e-12  # artanh of 1 is infinite
NORMAL_HIGH = 1.96  # 95 % of the normal law lie within


def random_cosines(count: int, inputs: int, *, rng: np.random.Generator) -> Array:
    """Cosines of independent uniform random directions.

    Args:
        count: N, number of directions.
        inputs: D, their dimension. A large one costs no more than `count`: the inner products of normal vectors are
            those of the rows of a triangular matrix.
        rng: draws them.

    Returns:
        (N, N) float64.

    Source:
        Bartlett, On the theory of statistical regression, Proc. Royal Society of Edinburgh 53 (1933).
    """
    if inputs <= count:
        rows = rng.standard_normal((count, inputs))
    else:
        rows = np.tril(rng.standard_normal((count, count)), -1)
        np.fill_diagonal(rows, np.sqrt(rng.chisquare(inputs - np.arange(count))))
    return cosines(directions(rows).unit)


def curve_band(count: int, inputs: int, cutoffs: Array, *, rng: np.random.Generator) -> Array:
    """Band that holds both curves of `component_curves` of random directions, whole, in 99 of 100 cases.

    Every cutoff at which components join or the largest grows has a mean and a deviation over 99 random layers. The
    band is as many deviations wide, everywhere, as any of the layers is off anywhere. Cosines are first spread by
    artanh, which makes their laws more even.

    Args:
        count: N, number of directions, at least 1.
        inputs: D, their dimension.
        cutoffs: (C,) cosines.
        rng: draws the directions.

    Returns:
        (2, 2, C) float64: low and high end, of the number of components and of the size of the largest.

    Source:
        Myllymäki et al., Global envelope tests for spatial processes, J. Royal Statistical Society B 79 (2017).
    """
    drawn = []
    for _ in range(DRAWS):
        tree = closest_tree(random_cosines(count, inputs, rng=rng))
        drawn.append(np.arctanh(np.clip(joining_cosines(tree, count), -NEARLY_ONE, NEARLY_ONE)))
    mean, deviation = np.mean(drawn, axis=0), np.maximum(np.std(drawn, axis=0), 1.0 - NEARLY_ONE)
    reach = np.abs((drawn - mean) / deviation).max(initial=0.0) * deviation
    earliest, latest = (component_curves(np.tanh(mean + side * reach), cutoffs) for side in (1, -1))
    return np.stack([[earliest[0], latest[1]], [latest[0], earliest[1]]]).astype(np.float64)


def distance_band(pairs: Array, inputs: int) -> tuple[Array, Array]:
    """Mean distance (1 - cos) / 2 over pairs of random directions.

    The cosine has mean 0 and variance 1/D, and pairs are independent two by two.

    Args:
        pairs: number of pairs, any shape.
        inputs: D.

    Returns:
        Low and high end of the band that holds it in 95 of 100 cases (normal approximation); NaN without a pair.
    """
    with np.errstate(divide="ignore"):
        reach = NORMAL_HIGH * 0.5 / np.sqrt(inputs * np.asarray(pairs, dtype=np.float64))
    reach = np.where(np.isfinite(reach), reach, np.nan)
    return np.maximum(0.5 - reach, 0.0), np.minimum(0.5 + reach, 1.0)


def norm_by_chance(norms: Array, members: Array) -> tuple[float, float]:
    """Chance that the largest norm among so many random neurons is as large, and as small, as in a component.

    Args:
        norms: (N,) finite, of the live neurons.
        members: (N,) bool, those in the component, at least one.

    Returns:
        Two floats in [0, 1], exact.
    """
    largest, size, count = norms[members].max(), int(members.sum()), len(norms)
    below, up_to = int((norms < largest).sum()), int((norms <= largest).sum())
    every = comb(count, size)
    return 1.0 - comb(below, size) / every, comb(up_to, size) / every
