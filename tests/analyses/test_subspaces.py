from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kstest

from tests.reference import subspace as reference
from wdyn.analyses._subspaces import (
    at_same_error,
    chance_below,
    factors,
    haar,
    ladder,
    random_parts,
    rank_part,
    stable_rank_up,
    sufficient,
    turned_part,
)

SHAPES = [(1, 1), (1, 4), (4, 1), (3, 5), (5, 3), (6, 6)]


@pytest.mark.parametrize("shape", SHAPES)
def test_rank_part_agrees_with_power_iteration(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    matrix = rng.normal(size=shape)
    for rank in range(min(shape) + 1):
        # power iteration of 3,000 rounds leaves (s_2 / s_1)**6000 of the wrong direction
        assert_allclose(rank_part(factors(matrix), rank), reference.rank_part(matrix, rank), atol=1e-9)


@settings(max_examples=40)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_best_approximation(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, columns))
    whole, full = factors(matrix), min(rows, columns)
    rotation = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    for rank in range(full + 1):
        part = rank_part(whole, rank)
        # Eckart & Young: the distance is what the values left out amount to, and a projection is no closer
        assert_allclose(np.linalg.norm(matrix - part), np.linalg.norm(whole.values[rank:]), rtol=1e-10, atol=1e-13)
        assert np.linalg.matrix_rank(part) == rank
        assert_allclose(rank_part(factors(3 * matrix @ rotation), rank), 3 * part @ rotation, atol=1e-6)
        for random in random_parts(whole, [rank], rng):
            assert np.linalg.norm(matrix - random) >= np.linalg.norm(matrix - part) - 1e-12
    assert_allclose(rank_part(whole, full), matrix, atol=1e-12)


def test_rank_is_that_of_the_matrix(rng: np.random.Generator) -> None:
    low = rng.normal(size=(7, 2)) @ rng.normal(size=(2, 9))
    assert len(factors(low).values) == 2
    assert_allclose(rank_part(factors(low), 5), low, atol=1e-12)
    nothing = factors(np.zeros((3, 4)))
    assert len(nothing.values) == stable_rank_up(nothing.values) == 0
    assert_array_equal(rank_part(nothing, 2), np.zeros((3, 4)))


@pytest.mark.parametrize(("full", "expected"), [
    (1, [0, 1]), (2, [0, 1, 2]), (5, [0, 1, 2, 3, 4, 5]), (8, [0, 1, 2, 3, 4, 6, 8]),
    (30, [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 30]),
])  # fmt: skip
def test_ladder(full: int, expected: list[int]) -> None:
    assert ladder(full).tolist() == expected


def test_random_parts_are_projections_and_contain_one_another(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(4, 9))
    parts = list(random_parts(factors(matrix), [1, 2, 4, 7], rng))
    for rank, part in zip([1, 2, 4], parts, strict=False):
        assert np.linalg.matrix_rank(part) == rank
        projector = np.linalg.pinv(part) @ part
        assert_allclose(part, matrix @ projector, atol=1e-10)
        assert_allclose(part, parts[2] @ projector, atol=1e-10)
    assert_allclose(parts[2], matrix, atol=1e-12)  # all directions that the rows use
    assert_array_equal(parts[3], parts[2])


def test_random_parts_keep_their_share_of_the_squares(rng: np.random.Generator) -> None:
    whole = factors(np.diag([5.0, 1, 1, 1, 0.1])[:, :4])
    kept = np.array([(part**2).sum() for _ in range(4000) for part in random_parts(whole, [1, 2, 3], rng)])
    mean, error = kept.reshape(-1, 3).mean(axis=0), kept.reshape(-1, 3).std(axis=0) / np.sqrt(4000)
    assert (np.abs(mean - 28 * np.array([1, 2, 3]) / 4) < 4 * error).all()


def test_haar_directions_are_uniform(rng: np.random.Generator) -> None:
    drawn = np.stack([haar(3, 2, rng) for _ in range(2000)])
    assert_allclose(drawn.swapaxes(1, 2) @ drawn, np.broadcast_to(np.eye(2), (2000, 2, 2)), atol=1e-12)
    for entry in drawn.reshape(2000, -1).T:  # Archimedes: each coordinate of a point on the sphere in R³ is uniform
        assert kstest(entry, "uniform", (-1, 2)).pvalue > 1e-4


def test_a_turned_part_has_the_same_values_and_output_directions(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(5, 8))
    part, turned = rank_part(factors(matrix), 3), turned_part(factors(matrix), 3, rng)
    assert_allclose(turned @ turned.T, part @ part.T, atol=1e-12)
    assert np.abs(turned - part).max() > 0.1
    assert turned_part(factors(matrix[:, :2]), 9, rng).shape == (5, 2)


@pytest.mark.parametrize(("values", "expected"), [([2.0], 1), ([1.0, 1.0, 1.0], 3), ([2.0, 1.0], 2), ([], 0)])
def test_stable_rank_rounded_up(values: list[float], expected: int) -> None:
    assert stable_rank_up(np.array(values)) == expected
    assert stable_rank_up(np.array(values) * 1e200) == expected


@pytest.mark.parametrize(("worse", "expected"), [
    ([0.5, 0.2, 0.0, 0.0], 4), ([0.5, 0.0, 0.3, 0.0], 8), ([-1, -1, -1, 0], 0), ([0.5, 0.01, 0.01, 0], 1),
    ([0, 0, 0, np.nan], np.nan), ([np.nan, 0, 0, 0], 1),
])  # fmt: skip
def test_sufficient_rank(worse: list[float], expected: float) -> None:
    ranks = np.array([0, 1, 4, 8])
    assert_array_equal(sufficient(ranks, np.array(worse), 0.01), expected)
    assert_array_equal(reference.sufficient(ranks.tolist(), worse, 0.01), expected)


def test_same_error_reads_the_random_curve_at_the_kept_squares() -> None:
    errors, shares = np.array([1, np.sqrt(0.5), np.sqrt(0.1), 0]), np.array([0, 0.2, 0.6, 1])
    found = at_same_error(errors, shares, np.array([9.0, 7, 3, 1]))
    assert_allclose(found, [9, 4, 1.5, 1], rtol=1e-12)


def test_chance_counts_the_observed_one_too() -> None:
    drawn = np.arange(99.0)
    assert chance_below(-1.0, drawn) == 0.01
    assert chance_below(0.0, drawn) == 0.02  # a tie is no win
    assert chance_below(200.0, drawn) == 1
    assert np.isnan(chance_below(np.nan, drawn))
    drawn[7] = np.nan
    assert chance_below(-1.0, drawn) == 0.02
