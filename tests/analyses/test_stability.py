from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.reference import graph as reference
from wdyn.analyses._grouping import groups_at
from wdyn.analyses._groups import Method, cosines
from wdyn.analyses._neurons import directions
from wdyn.analyses._stability import best_overlap, stability, stability_by_chance, stability_of_neurons

METHODS: list[Method] = ["average", "hdbscan"]


def sets(labels: np.ndarray) -> list[set[int]]:
    return [set(np.flatnonzero(labels == group).tolist()) for group in range(labels.max(initial=-1) + 1)]


def test_best_overlap_agrees_with_sets(rng: np.random.Generator) -> None:
    for _ in range(20):
        first, second = (np.unique(rng.integers(-1, 3, size=12), return_inverse=True)[1] - 1 for _ in range(2))
        expected = [reference.best_jaccard(group, sets(second)) for group in sets(first)]
        assert_allclose(best_overlap(first, second), expected, rtol=1e-15)


def test_best_overlap_by_hand() -> None:
    assert_array_equal(best_overlap(np.array([0, 0, 0, 1, 1]), np.array([0, 0, -1, -1, -1])), [2 / 3, 0])
    assert_array_equal(best_overlap(np.array([0, 0]), np.array([-1, -1])), [0])
    assert best_overlap(np.array([-1, -1]), np.array([0, 0])).shape == (0,)


@pytest.mark.parametrize("method", METHODS)
def test_a_tight_bundle_always_comes_back_and_one_held_by_few_inputs_does_not(
    rng: np.random.Generator, method: Method
) -> None:
    rows = rng.normal(size=(20, 60))
    rows[:5] = rows[0] + 0.1 * rng.normal(size=(5, 60))  # alike in all inputs
    rows[5:8, 7] = 30.0  # alike in a single one
    unit, _, live = directions(rows)
    groups = groups_at(cosines(unit), live, 60, "ray", method=method)
    assert sets(groups) == [{0, 1, 2, 3, 4}, {5, 6, 7}]
    found = stability(rows, groups, method, rng=rng, halves=200)
    assert found[0] == 1
    assert 0.36 < found[1] < 0.64  # comes back with the one input, in half of the cases: four standard errors


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_groups_of_chance_seldom_beat_the_most_stable_of_twenty(method: Method) -> None:
    beaten = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows, joins = rng.standard_normal((12, 10)), 4
        unit, _, live = directions(rows)
        groups = groups_at(cosines(unit), live, 10, "ray", method=method, pairs=joins)
        found = stability(rows, groups, method, rng=rng, halves=10, pairs=joins)
        beaten += found.max(initial=0) > stability_by_chance(12, 10, joins, method, rng=rng)
    assert beaten <= 7  # 40 / 21 = 2 expected; more than 7 has probability below 0.1 %


def test_stability_of_neurons_speaks_of_groups_under_any_number(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(12, 200))
    rows[:4] = rows[0]
    labels = np.where(np.arange(12) < 4, 7, -1)
    each, by_chance = stability_of_neurons(rows, labels, "average", rng=rng)
    assert_array_equal(each, [1] * 4 + [np.nan] * 8)
    assert 0 <= by_chance < 1


def test_nothing_is_measured_without_groups_with_few_inputs_or_too_many_neurons(rng: np.random.Generator) -> None:
    nothing = stability_of_neurons(rng.normal(size=(5, 9)), np.full(5, -1), "average", rng=rng)
    few = stability_of_neurons(np.ones((5, 3)), np.zeros(5, dtype=int), "average", rng=rng)
    many = stability_of_neurons(np.ones((513, 4)), np.zeros(513, dtype=int), "average", rng=rng)
    for each, by_chance in (nothing, few, many):
        assert np.isnan(each).all()
        assert np.isnan(by_chance)


def test_dead_and_duplicate_rows(rng: np.random.Generator) -> None:
    rows = np.outer([1, 1, 1, -1, -1, np.nan], rng.normal(size=16))  # opposite, so no half shows all as one group
    labels = np.array([0, 0, 0, 1, 1, -1])
    for method in METHODS:
        each, _ = stability_of_neurons(rows, labels, method, rng=rng)
        assert_array_equal(each, [1] * 5 + [np.nan])
