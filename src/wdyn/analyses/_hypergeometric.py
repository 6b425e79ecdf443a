"""Tails of the hypergeometric law and of sums of independent ones, exact in double precision however far out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array

STEEPEST = 40.0  # of the tilt: e**40 to one for one more in common
HALVINGS = 30
NEAR = 3.0  # standard deviations up to which the law as it is rounds little enough
REACH = 40.0  # standard deviations beyond which a law adds nothing to a sum of its own terms
FAINT = 45.0  # e**-45 is far below the rounding of 1


def hypergeometric_tail(common: int, first: int, second: int, places: int) -> float:
    """Chance that two random sets have at least so many places in common.

    Args:
        common: how many they have.
        first: size of one set.
        second: size of the other.
        places: of which both are drawn.

    Returns:
        P(X >= common) in [0, 1], X ~ Hypergeometric(places, first, second), with a relative error of about 1e-12; 0
        only below the least float.

    Source:
        The ratio of neighbouring terms, (K₁ - x)(K₂ - x) / ((x + 1)(n - K₁ - K₂ + x + 1)), summed up from the mode.
    """
    fewest, most = max(0, first + second - places), min(first, second)
    if common <= fewest or common > most:
        return float(common <= fewest)
    mode = (first + 1) * (second + 1) // (places + 2)
    share = first * second / places
    reach = int(REACH * np.sqrt(share * (places - first) / places * (places - second) / places) + REACH)
    low, high = max(fewest, mode - reach), min(most, max(mode, common) + reach)
    if common <= low:
        return 1.0
    x = np.arange(low, high, dtype=np.float64)  # to the next
    up = np.log((first - x) * (second - x)) - np.log((x + 1) * (places - first - second + x + 1))
    terms = np.concatenate([[0.0], np.cumsum(up)])
    return min(1.0, float(np.exp(_log_sum(terms[common - low :]) - _log_sum(terms))))


class Strata(NamedTuple):
    """Places of which two sets are drawn stratum by stratum; U kinds of strata.

    Attributes:
        sizes: (U,) int, places of such a stratum.
        first: (U,) int, how many of them are in one set.
        second: (U,) int, in the other.
        counts: (U,) int, how many strata are like this.
    """

    sizes: Array
    first: Array
    second: Array
    counts: Array


def strata_tail(common: int, strata: Strata) -> float:
    """The same where both sets are drawn stratum by stratum.

    Args:
        common: places in common, in all strata together.
        strata: of which they are drawn.

    Returns:
        P(X >= common) in [0, 1] for the sum of independent hypergeometric numbers, with a relative error of about
        1e-10; 0 only below the least float.

    Source:
        The law of the sum is the inverse Fourier transform of the product of the characteristic functions, which is
        exact near its middle. So the law is first tilted by e**(θx) until its mean is `common`: P(X >= c) =
        M(θ) Σ f_θ(x) e**(-θx) over x >= c, with M the moment generating function. A hypergeometric number is a sum
        of independent indicators, hence |φ(ω)| <= exp(-Var (1 - cos ω)), and frequencies above are left out.
    """
    counts = strata.counts
    if common > int(counts @ np.minimum(strata.first, strata.second)):
        return 0.0
    logs = _laws(strata)
    tilt = _tilt(logs, counts, common)
    log_mass, tilted, mean, variance = _tilted(logs, counts, tilt)
    length = 1 << int(np.ceil(np.log2(64 + 24 * np.sqrt(variance))))
    x = round(mean) - length // 2 + np.arange(length)
    law = _law_of_sum(tilted, counts, variance, length=length)[x % length]
    beyond = x >= common
    if beyond.all():
        return 1.0
    tail = float(np.sum(law[beyond] * np.exp(-tilt * (x[beyond] - common))))
    return float(np.clip(np.exp(log_mass - tilt * common) * max(tail, 0.0), 0.0, 1.0))


def strata_moments(strata: Strata) -> tuple[float, float]:
    """Mean and variance of that sum."""
    n, a, b, counts = (np.asarray(each, dtype=np.float64) for each in strata)
    variance = a * b / n * (n - a) / n * (n - b) / np.maximum(n - 1, 1)
    return float(counts @ (a * b / n)), float(counts @ variance)


def _laws(strata: Strata) -> Array:
    """(U, X) logarithms of the laws of the kinds of strata, -inf where a number cannot be."""
    from scipy.special import gammaln

    n, a, b = (each[:, None] for each in strata[:3])
    x = np.arange(int(np.minimum(a, b).max(initial=0)) + 1)
    can = (x >= a + b - n) & (x <= np.minimum(a, b))

    def log_choose(of: Array, some: Array) -> Array:
        some = np.clip(some, 0, of)
        return np.asarray(gammaln(of + 1) - gammaln(some + 1) - gammaln(of - some + 1))

    logs = log_choose(a, x) + log_choose(n - a, b - x) - log_choose(n, b)
    return np.where(can, logs, -np.inf)


def _tilted(logs: Array, counts: Array, tilt: float) -> tuple[float, Array, float, float]:
    """Logarithm of M(θ) of the sum, the tilted laws (U, X), and mean and variance of their sum."""
    x = np.arange(logs.shape[1])
    leaning = logs + tilt * x
    peak = leaning.max(axis=1, keepdims=True)
    weights = np.exp(leaning - peak)
    mass = weights.sum(axis=1, keepdims=True)
    laws = weights / mass
    means = laws @ x
    variances = (laws * (x - means[:, None]) ** 2).sum(axis=1)
    log_mass = float(counts @ (np.log(mass) + peak)[:, 0])
    return log_mass, laws, float(counts @ means), float(counts @ variances)


def _tilt(logs: Array, counts: Array, common: int) -> float:
    """θ at which the mean is `common`, or 0 where it nearly is. Any θ would do, this one rounds least."""
    _, _, mean, variance = _tilted(logs, counts, 0.0)
    if common <= mean + NEAR * np.sqrt(variance):
        return 0.0
    low, high = 0.0, STEEPEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _tilted(logs, counts, middle)[2] < common:
            low = middle
        else:
            high = middle
    return low


def _law_of_sum(laws: Array, counts: Array, variance: float, *, length: int) -> Array:
    """(length,) chance of each number modulo `length`, of a sum of `counts` numbers of each of the laws."""
    angles = 2 * np.pi / length * np.arange(length // 2 + 1)
    angles = angles[variance * (1 - np.cos(angles)) < FAINT]
    waves = np.exp(-1j * np.outer(np.arange(laws.shape[1]), angles))
    with np.errstate(divide="ignore", invalid="ignore"):  # a law may have no part in a frequency: log 0
        spectrum = np.exp(counts @ np.log(laws @ waves))
    return np.asarray(np.fft.irfft(np.nan_to_num(spectrum), n=length))


def _log_sum(terms: Array) -> float:
    peak = float(terms.max())
    return peak + float(np.log(np.sum(np.exp(terms - peak))))
