from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.reference.trustworthiness import trustworthiness as reference
from wdyn.analyses._embedding import motion, trustworthiness
from wdyn.analyses._neurons import unit_rows


@pytest.mark.parametrize(("count", "near"), [(4, 1), (5, 2), (20, 9), (21, 10), (60, 10)])
def test_agrees_with_the_definition(rng: np.random.Generator, count: int, near: int) -> None:
    unit, xy = unit_rows(rng.normal(size=(count, 5))), rng.normal(size=(count, 2))
    # whole numbers up to the last division
    assert_allclose(trustworthiness(unit, xy), reference(unit.tolist(), xy.tolist(), near), rtol=1e-12)


@pytest.mark.slow
def test_agrees_with_scikit_learn(rng: np.random.Generator) -> None:
    from sklearn.manifold import trustworthiness as theirs

    unit = unit_rows(rng.normal(size=(80, 3)))
    xy = unit[:, :2] + 0.1 * rng.normal(size=(80, 2))
    assert_allclose(trustworthiness(unit, xy), theirs(unit, xy, n_neighbors=10, metric="cosine"), rtol=1e-12)


def test_a_true_picture_is_trusted_and_a_shuffled_one_is_not(rng: np.random.Generator) -> None:
    angles = np.sort(rng.uniform(0, 2 * np.pi, size=400))
    circle = np.c_[np.cos(angles), np.sin(angles)]
    assert trustworthiness(circle, circle) == 1.0
    assert_allclose(trustworthiness(circle, rng.permutation(circle)), 0.5, atol=0.03)  # 4 standard deviations


def test_too_few_rows_to_tell() -> None:
    assert math.isnan(trustworthiness(np.eye(3), np.eye(3)[:, :2]))


def test_motion_is_the_distance_in_units_of_the_spread() -> None:
    square = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])  # each at sqrt(2) from the centre
    moved = square + np.array([3, 4])
    steps = np.stack([square, moved, 2 * moved, square])
    steps[3, 0] = np.nan
    expected = np.linalg.norm(steps[2] - steps[1], axis=1).mean() / np.sqrt(8)
    last = np.linalg.norm(steps[3, 1:] - steps[2, 1:], axis=1).mean() / np.sqrt(((square[1:] + 1 / 3) ** 2).sum() / 3)
    assert_allclose(motion(steps), [5 / np.sqrt(2), expected, last], rtol=1e-12)


def test_motion_of_none_or_of_all_at_one_place() -> None:
    assert_array_equal(motion(np.full((3, 2, 2), np.nan)), [np.nan, np.nan])
    assert_array_equal(motion(np.zeros((2, 4, 2))), [np.nan])
    assert motion(np.zeros((1, 4, 2))).shape == (0,)
