from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from tests.reference import ablation as reference
from wdyn.analyses._rank_correlation import PERMUTATIONS, pairs, spearman, spearman_chance, spearman_interval


@pytest.mark.parametrize("count", [4, 5, 30])
def test_agrees_with_the_definition_and_with_scipy(rng: np.random.Generator, count: int) -> None:
    first, second = rng.integers(0, 4, size=(2, count)).astype(float)  # many ties
    first[0], second[0] = 9, -9
    assert_allclose(spearman(first, second), reference.spearman(first.tolist(), second.tolist()), rtol=1e-12)
    assert_allclose(spearman(first, second), stats.spearmanr(first, second).statistic, rtol=1e-12)


def test_pairs_that_are_not_finite_do_not_count(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(2, 12))
    first[3], second[5] = np.nan, np.inf
    assert pairs(first, second) == 10
    kept = np.isfinite(first) & np.isfinite(second)
    assert_allclose(spearman(first, second), spearman(first[kept], second[kept]))


def test_only_the_order_matters(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(2, 20))
    assert_allclose(spearman(np.exp(first), second**3), spearman(first, second))
    assert_allclose(spearman(-first, second), -spearman(first, second))


def test_no_correlation_without_spread_or_with_too_few() -> None:
    assert np.isnan(spearman(np.ones(9), np.arange(9.0)))
    assert np.isnan(spearman(np.arange(3.0), np.arange(3.0)))
    assert np.isnan(spearman_chance(np.ones(9), np.arange(9.0), rng=np.random.default_rng(0)))
    assert np.isnan(spearman_interval(np.nan, 9)).all()
    assert np.isnan(spearman_interval(0.5, 3)).all()


@pytest.mark.parametrize("true", [0.0, 0.6])
def test_the_interval_holds_what_it_says(rng: np.random.Generator, true: float) -> None:
    rank_correlation = 6 / np.pi * np.arcsin(true / 2)  # of a normal pair with this correlation
    held = 0
    for _ in range(1000):
        x = rng.normal(size=(2, 60))
        found = spearman(x[0], true * x[0] + np.sqrt(1 - true**2) * x[1])
        low, high = spearman_interval(found, 60)
        held += low <= rank_correlation <= high
    assert 925 <= held <= 975  # 950 ± 3.6 standard deviations of 6.9


def test_the_interval_of_a_perfect_correlation_has_width() -> None:
    low, high = spearman_interval(1.0, 10)
    assert 0.9 < low < high == 1.0
    assert spearman_interval(-1.0, 10) == (-1.0, -low)


def test_chance_is_right_where_all_orders_can_be_counted(rng: np.random.Generator) -> None:
    # of the 24 orders of four values, only two give a correlation of 1 or -1
    chance = spearman_chance(np.arange(4.0), np.arange(4.0), rng=rng)
    assert abs(chance - 2 / 24) < 4 * np.sqrt(2 / 24 / PERMUTATIONS)
    assert spearman_chance(np.arange(50.0), np.arange(50.0), rng=rng) == 1 / (PERMUTATIONS + 1)
