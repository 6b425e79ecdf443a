"""The kernels of neural collapse: how near classes and classifier are to a simplex, and what chance would give."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.errors import MisuseError

# A squared length below rounding of what it was subtracted from says nothing.
ROUNDING = 1e-12
DRAWN_NUMBERS = 2**22
MOST_DRAWS, FEWEST_DRAWS = 500, 12
DEVIATIONS = 2.5758  # 99 % of the normal law


class Simplex(NamedTuple):
    """NC2: three distances of centred vectors to a simplex, all 0 on a perfect one.

    Attributes:
        norm_variation: standard deviation of the norms over their mean.
        cosine_spread: standard deviation of the cosines over pairs; NaN where a centred vector has no direction.
        simplex_gap: mean |cos + 1 / (C - 1)| over pairs; NaN likewise.
    """

    norm_variation: float
    cosine_spread: float
    simplex_gap: float


class Collapse(NamedTuple):
    """NC1 to NC4 at one step, all 0 on a perfect simplex.

    Attributes:
        nc1: tr(Σ_W Σ_B⁺) / C.
        nc2: three distances of the centred class means to a simplex.
        nc3: ‖W/‖W‖ - M/‖M‖‖², in [0, 4].
        nc4: share of points whose nearest class mean is not the class the network says, in [0, 1].
    """

    nc1: float
    nc2: Simplex
    nc3: float
    nc4: float


def simplex(vectors: Array) -> Simplex:
    """How near the centred rows are to a simplex.

    Args:
        vectors: (C, p) real, finite; class means or the rows of a classifier.

    Returns:
        Three numbers; NaN for fewer than two rows, and where all rows are equal.

    Source:
        Papyan, Han & Donoho, Prevalence of neural collapse during the terminal phase of deep learning training, PNAS
        117 (2020).
    """
    count = len(vectors)
    norms, unit = _centred(vectors) if count > 1 else (np.zeros(count), vectors)
    if not norms.any():
        return Simplex(np.nan, np.nan, np.nan)
    variation = float(norms.std() / norms.mean())
    if not norms.all():
        return Simplex(variation, np.nan, np.nan)
    cosines = (unit @ unit.T)[~np.eye(count, dtype=np.bool_)]
    return Simplex(variation, float(cosines.std()), float(np.abs(cosines + 1 / (count - 1)).mean()))


def _centred(vectors: Array) -> tuple[Array, Array]:
    """Norms (C,), up to a common factor, and directions (C, p) of rows less their mean; 0 where only rounding is left.

    The common factor is a power of two, which is exact, so squares neither overflow nor underflow.
    """
    wide = np.asarray(vectors, dtype=np.float64)
    wide = wide / np.ldexp(1.0, np.frexp(np.abs(wide).max())[1] - 1)
    centred = wide - wide.mean(axis=0)
    norms = np.sqrt(np.einsum("cp,cp->c", centred, centred))
    norms[norms <= ROUNDING * np.sqrt(wide.shape[1])] = 0.0
    return norms, np.divide(centred, norms[:, None], out=np.zeros_like(centred), where=norms[:, None] > 0)


def simplex_by_chance(rows: int, inputs: int, *, rng: np.random.Generator) -> Array:
    """What `simplex` gives for independent entries: 99 % lie inside, whether entries are normal or uniform.

    Uniform entries, the default of torch, have rows of more equal length than normal ones. An orthogonal initialisation
    is not of this kind: centred, its rows are a perfect simplex from the start.

    Args:
        rows: C.
        inputs: p.
        rng: draws 12 matrices of each kind for large classifiers, up to 500 for small ones.

    Returns:
        (3, 2) float64, low and high end for each number of `Simplex`; NaN for fewer than two rows.
    """
    draws = int(np.clip(DRAWN_NUMBERS // max(rows * inputs, 1), FEWEST_DRAWS, MOST_DRAWS))
    ends = []
    laws: tuple[Callable[[tuple[int, int]], Array], ...] = (rng.standard_normal, lambda size: rng.uniform(-1, 1, size))
    for law in laws:
        drawn = np.array([simplex(law((rows, inputs))) for _ in range(draws)])  # (draws, 3)
        middle, reach = drawn.mean(axis=0), DEVIATIONS * drawn.std(axis=0, ddof=1)
        ends += [middle - reach, middle + reach, *np.quantile(drawn, (0.005, 0.995), axis=0)]  # the wider of the two
    low, high = np.min(ends, axis=0), np.max(ends, axis=0)
    return np.stack([np.maximum(low - ROUNDING, 0.0), high + ROUNDING], axis=1)  # two rows are always a simplex


def within_variability(features: Array, labels: Array) -> float:
    """NC1: spread within the classes against the spread of their means, tr(Σ_W Σ_B⁺) / C.

    Each class counts alike, however many points it has, which for equal classes is the definition of the source. Σ_B⁺
    is the pseudo-inverse, since C centred means span at most C - 1 directions.

    Args:
        features: (n, p) real, finite.
        labels: (n,) int, 0 to C - 1, each at least once.

    Returns:
        At least 0, which it is where every class is one point; NaN where all class means are equal.

    Raises:
        MisuseError: a class has no point.

    Source:
        Papyan, Han & Donoho (2020).
    """
    features = np.asarray(features, dtype=np.float64)
    means, sizes = class_means(features, labels)
    classes, inputs = means.shape
    _, values, axes = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    rounding = max(classes, inputs) * np.finfo(np.float64).eps * np.linalg.norm(means)
    kept = values > rounding
    if not kept.any():
        return float("nan")
    within = (features - means[labels]) @ (axes[kept].T / values[kept])  # (n, r)
    return float((np.einsum("nr,nr->n", within, within) / sizes[labels]).sum() / classes)


def class_means(features: Array, labels: Array) -> tuple[Array, Array]:
    """Mean of the points of each class, and their number.

    Args:
        features: (n, p) real.
        labels: (n,) int, 0 to C - 1, each at least once.

    Returns:
        (C, p) float64 and (C,) int64.

    Raises:
        MisuseError: a class has no point.
    """
    sizes = np.bincount(labels)
    if not len(sizes) or not sizes.all():
        raise MisuseError(f"class {sizes.argmin() if len(sizes) else 0} has no point. Number the classes from 0.")
    order = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.add.reduceat(features[order], starts, axis=0, dtype=np.float64) / sizes[:, None], sizes


def self_duality(weights: Array, means: Array) -> float:
    """NC3: squared distance of the classifier to the centred class means, both scaled to length one.

    Args:
        weights: (C, p) real.
        means: (C, p) real, centred here.

    Returns:
        In [0, 4]; NaN where either is all zero.

    Source:
        Papyan, Han & Donoho (2020).
    """
    weights, means = np.asarray(weights, dtype=np.float64), means - means.mean(axis=0)
    lengths = np.linalg.norm(weights), np.linalg.norm(means)
    if not all(lengths):
        return float("nan")
    return float(((weights / lengths[0] - means / lengths[1]) ** 2).sum())


def disagreement(features: Array, means: Array, logits: Array) -> float:
    """NC4: share of points whose nearest class mean is not the class of the largest logit; ties go to the first.

    Args:
        features: (n, p) real.
        means: (C, p) real.
        logits: (n, C) real.

    Returns:
        In [0, 1].

    Source:
        Papyan, Han & Donoho (2020).
    """
    middle = means.mean(axis=0)  # distances of points far from the origin would lose digits
    centred, centres = features - middle, means - middle
    distances = np.einsum("cp,cp->c", centres, centres) - 2 * (centred @ centres.T)
    return float((distances.argmin(axis=1) != logits.argmax(axis=1)).mean())


def collapse(features: Array, labels: Array, *, weights: Array, bias: Array) -> Collapse:
    """NC1 to NC4 of features and a linear classifier on them.

    Args:
        features: (n, p) real, finite, n at least 1.
        labels: (n,) int, 0 to C - 1, each at least once.
        weights: (C, p) real, finite.
        bias: (C,) real, finite.

    Returns:
        All four.

    Raises:
        MisuseError: shapes do not fit, or a class has no point.
    """
    features, weights = (np.asarray(each, dtype=np.float64) for each in (features, weights))
    means, _ = class_means(features, labels)
    if means.shape != weights.shape or len(labels) != len(features) or len(bias) != len(weights):
        raise MisuseError(
            f"features {features.shape}, labels {np.shape(labels)}, weights {weights.shape} and bias {np.shape(bias)} "
            f"do not fit: expected (n, p), (n,) with {len(weights)} classes, (C, p) and (C,)."
        )
    return Collapse(
        within_variability(features, labels),
        simplex(means),
        self_duality(weights, means),
        disagreement(features, means, features @ weights.T + bias),
    )
