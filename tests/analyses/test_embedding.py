from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.reference.trustworthiness import trustworthiness as reference
from wdyn.analyses._embedding import trustworthiness
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
