"""The null of the frame potential against Monte Carlo and against a second derivation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import beta, chi2

from wdyn.analyses._uniform import null, tail_probability


def draws(rng: np.random.Generator, count: int, inputs: int, *, times: int) -> np.ndarray:
    """(times,) frame potentials of independent uniform directions, by the definition."""
    rows = rng.normal(size=(times, count, inputs))
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.sum((rows @ rows.transpose(0, 2, 1)) ** 2, axis=(1, 2))


@pytest.mark.parametrize(("count", "inputs"), [(2, 3), (5, 3), (10, 50), (30, 8)])
def test_moments_against_monte_carlo(rng: np.random.Generator, count: int, inputs: int) -> None:
    times = 20_000
    mean, variance, skewness = null(count, inputs)
    z = (draws(rng, count, inputs, times=times) - mean) / np.sqrt(variance)
    assert abs(z.mean()) < 4 / np.sqrt(times)  # four standard errors of the mean
    standard_error = np.sqrt(np.mean(z**4) / times)
    assert abs(np.mean(z**2) - 1) < 4 * standard_error
    assert abs(np.mean(z**3) - skewness) < 4 * np.sqrt(np.mean(z**6) / times)


@pytest.mark.parametrize("inputs", [2, 3, 9, 784])
def test_two_directions_follow_the_beta_law(inputs: int) -> None:
    mean, variance, skewness = null(2, inputs)  # FP = 2 + 2 cos², cos² ~ Beta(1/2, (d - 1)/2)
    expected = beta(0.5, (inputs - 1) / 2).stats(moments="mvs")
    # both are closed forms; the skewness of the plane is zero up to rounding
    assert_allclose(
        [mean, variance, skewness], [2 + 2 * expected[0], 4 * expected[1], expected[2]], atol=1e-12, rtol=1e-12
    )


@pytest.mark.parametrize("inputs", [2, 5, 20])
def test_many_directions_follow_binghams_law(inputs: int) -> None:
    count = 10**7
    mean, variance, skewness = null(count, inputs)
    freedom = (inputs - 1) * (inputs + 2) / 2
    scale = inputs * (inputs + 2) / (2 * count)  # (FP - N²/d) times this follows chi² with that freedom
    expected = chi2(freedom).stats(moments="mvs")
    # the laws differ by terms of order 1/N; the mean by cancellation of N²/d, 1e14 here
    assert_allclose(scale * (mean - count**2 / inputs), expected[0], rtol=1e-5)
    assert_allclose([scale**2 * variance, skewness], expected[1:], rtol=1e-5)


def test_nothing_to_compare_has_no_spread() -> None:
    mean, variance, skewness = null(np.array([0, 1, 4]), 1)
    assert_array_equal(mean, [0, 1, 16])
    assert_array_equal(variance, 0)
    assert_array_equal(skewness, np.nan)
    assert_array_equal(null(np.array([0, 1]), 9).variance, 0)


@pytest.mark.parametrize(("count", "inputs"), [(3, 10), (5, 3), (10, 100), (40, 12)])
def test_tail_probability_is_uniform_in_the_tail(rng: np.random.Generator, count: int, inputs: int) -> None:
    times = 20_000
    mean, variance, skewness = null(count, inputs)
    z = (draws(rng, count, inputs, times=times) - mean) / np.sqrt(variance)
    tail = tail_probability(z, np.full(times, skewness))
    for level in (0.05, 0.01):
        # four standard errors of a share, and the tenth that the docstring allows
        assert abs(np.mean(tail < level) - level) < 0.1 * level + 4 * np.sqrt(level / times)
    assert abs(np.mean(tail < 0.5) - 0.5) < 0.02


def test_tail_probability_ends() -> None:
    tail = tail_probability(np.array([-50.0, 0.0, 1e6, np.nan]), np.array([0.4, 1e-9, 0.4, 0.4]))
    assert_allclose(tail[:3], [1, 0.5, 0], atol=1e-6)
    assert np.isnan(tail[3])
    assert np.isnan(tail_probability(np.array(0.0), np.array(np.nan)))
