from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import adjusted_rand_score

from tests.reference import graph as reference
from wdyn.analyses._agreement import adjusted_rand, agreement_by_chance


def alone(labels: np.ndarray) -> np.ndarray:
    """A label of its own for each -1."""
    return np.where(labels < 0, 100 + np.arange(len(labels)), labels)


def test_agrees_with_counting_pairs_and_with_scikit_learn(rng: np.random.Generator) -> None:
    for _ in range(50):
        first, second = rng.integers(-1, 3, size=(2, 14))
        found = adjusted_rand(first, second)
        assert_allclose(found, reference.adjusted_rand(first.tolist(), second.tolist()), rtol=1e-12, atol=1e-15)
        assert_allclose(found, adjusted_rand_score(alone(first), alone(second)), rtol=1e-12, atol=1e-15)


def test_known_values() -> None:
    groups = np.array([0, 0, 1, 1, -1])
    assert adjusted_rand(groups, np.array([5, 5, 2, 2, -1])) == 1
    assert adjusted_rand(np.zeros(4, dtype=int), np.zeros(4, dtype=int)) == 1
    # 2 pairs each of 6, none in common: (0 - 2/3) / (2 - 2/3)
    assert_allclose(adjusted_rand(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])), -0.5, rtol=1e-14)


@pytest.mark.parametrize("labels", [[], [-1, -1, -1], [0, 1, -1]])
def test_nothing_to_agree_on(rng: np.random.Generator, labels: list[int]) -> None:
    nothing = np.array(labels, dtype=int)
    groups = np.zeros(len(labels), dtype=int)
    assert np.isnan(adjusted_rand(nothing, groups))
    assert np.isnan(adjusted_rand(groups, nothing))
    assert np.isnan(agreement_by_chance(nothing, groups, rng=rng))


def test_chance_is_zero_on_average_and_its_probability_even(rng: np.random.Generator) -> None:
    first = np.repeat([0, 1, 2, -1], 6)
    second = [rng.permutation(np.repeat([0, 1, -1], 8)) for _ in range(300)]
    index = np.array([adjusted_rand(first, each) for each in second])
    assert abs(index.mean()) < 4 * index.std() / np.sqrt(300)
    chance = np.array([agreement_by_chance(first, each, rng=rng) for each in second])
    assert (chance <= 0.05).mean() < 0.1  # 5 % expected, four standard errors are 5 %
    assert agreement_by_chance(first, first, rng=rng) == 1 / 200
