from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import gamma

from wdyn.analyses._random_matrix import (
    TRACY_WIDOM_HIGH,
    TRACY_WIDOM_LOW,
    TRACY_WIDOM_MEAN,
    angles_by_chance,
    largest_eigenvalue,
    participation_ratio_by_chance,
    stable_rank_by_chance,
    typical_eigenvalues,
)


def eigenvalues(rng: np.random.Generator, draws: int, rows: int, columns: int) -> np.ndarray:
    drawn = rng.normal(size=(draws, rows, columns))
    return np.linalg.svd(drawn, compute_uv=False) ** 2


def test_tracy_widom_against_chianis_gamma_law() -> None:
    # Chiani, J. Multivariate Analysis 129 (2014): TW1 + 9.848 is nearly a gamma law; he states errors below 0.01
    law = gamma(46.446, scale=0.186054, loc=-9.84801)
    assert_allclose([TRACY_WIDOM_LOW, TRACY_WIDOM_HIGH], law.ppf([0.01, 0.99]), atol=0.02)
    assert law.mean() == pytest.approx(TRACY_WIDOM_MEAN, abs=1e-3)


@pytest.mark.parametrize(("rows", "columns"), [(10, 100), (64, 9), (30, 30)])
def test_law_of_the_largest_eigenvalue(rng: np.random.Generator, rows: int, columns: int) -> None:
    top = eigenvalues(rng, 2000, rows, columns)[:, 0]
    # 1 % of 2,000 is 20 with a deviation of 4.5; the law itself is good to a few tenths of that here
    assert 5 <= (top > largest_eigenvalue(rows, columns, TRACY_WIDOM_HIGH)).sum() <= 38
    # standard error 0.5 %; the law's mean is off by about as much in small matrices
    assert_allclose(top.mean(), largest_eigenvalue(rows, columns, TRACY_WIDOM_MEAN), rtol=0.02)


def test_the_law_sits_at_the_marchenko_pastur_edge_of_large_matrices() -> None:
    edge = (np.sqrt(4000) + np.sqrt(90000)) ** 2
    assert_allclose(largest_eigenvalue(4000, 90000, TRACY_WIDOM_HIGH), edge, rtol=0.01)


@pytest.mark.parametrize(("rows", "columns"), [(10, 100), (100, 10), (6, 25), (27, 32)])
@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_ranks_by_chance(rng: np.random.Generator, rows: int, columns: int, law: str) -> None:
    draw = rng.standard_normal if law == "normal" else lambda size: rng.uniform(-1, 1, size)
    squares = np.linalg.svd(draw((1000, rows, columns)), compute_uv=False) ** 2
    stable = squares.sum(axis=1) / squares[:, 0]
    ratio = squares.sum(axis=1) ** 2 / (squares**2).sum(axis=1)
    for values, chance in (
        (stable, stable_rank_by_chance(rows, columns)),
        (ratio, participation_ratio_by_chance(rows, columns)),
    ):
        low, middle, high = chance
        # 2 % are expected outside, at most; 40 of 1,000 has a chance below 1e-4
        assert ((values < low) | (values > high)).sum() < 40
        # uniform entries lie up to 5 % above normal ones at these sizes
        assert_allclose(values.mean(), middle, rtol=0.06 if law == "uniform" else 0.01)


def test_purity_has_the_mean_of_two_by_two_matrices_in_closed_form() -> None:
    # there the purity is 1 - u² / 2 with u uniform on [-1, 1]: mean 5 / 6, variance 1 / 45
    low, middle, high = participation_ratio_by_chance(2, 2)
    assert_allclose(1 / middle, 5 / 6, rtol=1e-14)
    assert (low, high) == (1, 2)  # 2.3 deviations pass what is possible on both sides


@pytest.mark.parametrize(("rows", "columns"), [(4, 6), (7, 5), (10, 30)])
def test_purity_variance_against_simulation(rng: np.random.Generator, rows: int, columns: int) -> None:
    squares = eigenvalues(rng, 20_000, rows, columns)
    purity = (squares**2).sum(axis=1) / squares.sum(axis=1) ** 2
    size = rows * columns
    mean = (rows + columns + 1) / (size + 2)
    assert_allclose(purity.mean(), mean, rtol=0.005)  # standard error below 0.1 %
    low, _, _ = participation_ratio_by_chance(rows, columns)
    assert_allclose((1 / low - mean) / 2.3263, purity.std(), rtol=0.03)  # standard error 0.5 %


def test_one_row_has_no_choice() -> None:
    for chance in (stable_rank_by_chance, participation_ratio_by_chance):
        assert_allclose(chance(1, 9), 1)
        assert np.isnan(chance(0, 9)).all()
        assert chance(np.array([3, 4]), 9).shape == (2, 3)


@pytest.mark.parametrize(("rows", "columns"), [(300, 784), (784, 300), (200, 200)])
def test_typical_eigenvalues_follow_a_large_gaussian_matrix(rng: np.random.Generator, rows: int, columns: int) -> None:
    found = eigenvalues(rng, 1, rows, columns)[0]
    expected = typical_eigenvalues(rows, columns)
    # eigenvalues repel: each strays from its place by less than the spacing, which is largest at the edges
    assert np.abs(found - expected).max() < 0.03 * found[0]
    assert_allclose(expected.sum(), rows * columns, rtol=0.005)
    low, high = ((np.sqrt(rows) + side * np.sqrt(columns)) ** 2 for side in (-1, 1))
    assert low < expected[-1]
    assert 0.96 * high < expected[0] < high


@pytest.mark.parametrize(("dimension", "inputs"), [(1, 3), (2, 30), (3, 8), (3, 5), (10, 60)])
def test_angles_of_random_subspaces(rng: np.random.Generator, dimension: int, inputs: int) -> None:
    found = angles_by_chance(dimension, inputs, rng=rng)
    bases = np.linalg.qr(rng.normal(size=(2, 2000, inputs, dimension)))[0]
    cosines = np.linalg.svd(bases[0].swapaxes(-1, -2) @ bases[1], compute_uv=False)
    expected = np.degrees(np.arccos(np.clip(cosines, 0, 1)))
    # standard errors: 23 degrees / sqrt(2000) at most, in both
    assert_allclose(found.mean(axis=0), expected.mean(axis=0), atol=3)
    assert_allclose(found.std(axis=0), expected.std(axis=0), atol=2)
    assert_allclose((np.cos(np.radians(found)) ** 2).mean(), dimension / inputs, rtol=0.1)


def test_ten_directions_of_16384() -> None:
    angles = angles_by_chance(10, 16384, rng=np.random.default_rng(0))
    assert np.quantile(angles, 0.001) > 86.9  # published: 87 to 90 degrees
    assert angles.max() <= 90


def test_subspaces_that_must_meet() -> None:
    rng = np.random.default_rng(0)
    assert_allclose(angles_by_chance(4, 4, rng=rng), 0)
    assert_allclose(angles_by_chance(3, 5, rng=rng)[:, 0], 0)
    assert angles_by_chance(3, 5, rng=rng)[:, 1].min() > 0
