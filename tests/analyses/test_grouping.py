from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.test_groups import MODES, as_sets, distances
from tests.reference import linkage as reference
from wdyn.analyses._group_chance import MOST_SIMULATED, chance_heights
from wdyn.analyses._grouping import groups_at, prominent
from wdyn.analyses._groups import FALSE_CLAIM, Mode, chance_distance, cosines, merge_tree
from wdyn.analyses._lowest_joins import TOGETHER, lowest_joins
from wdyn.analyses._neurons import unit_rows


def groups(rows: np.ndarray, mode: Mode = "ray") -> set[frozenset[int]]:
    return as_sets(groups_at(cosines(unit_rows(rows)), np.ones(len(rows), dtype=bool), rows.shape[1], mode))


def bundle(rng: np.random.Generator, centre: np.ndarray, count: int, spread: float) -> np.ndarray:
    return centre + spread / np.sqrt(len(centre)) * rng.normal(size=(count, len(centre)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (11, 3), (TOGETHER + 1, 5)])
def test_lowest_joins_agree_with_linkage_by_definition(
    rng: np.random.Generator, mode: Mode, shape: tuple[int, int]
) -> None:
    layers = [rng.normal(size=shape) for _ in range(5)]
    trees = [reference.average_linkage(distances(rows, mode)) for rows in layers]
    expected = [
        [min(height for height, members in joins if len(members) >= size) for size in range(2, shape[0] + 1)]
        for joins in trees
    ]
    found = lowest_joins(np.stack([cosines(unit_rows(rows)) for rows in layers]), mode)
    # ours updates means step by step instead of averaging all pairs anew
    assert_allclose(found, expected, rtol=1e-12)


def test_groups_chosen_are_the_best_of_all_choices(rng: np.random.Generator) -> None:
    sizes_found = set()
    for _ in range(200):
        rows = rng.normal(size=(7, 3))
        tree, heights = merge_tree(cosines(unit_rows(rows)), "ray"), np.sort(np.r_[0, 0, rng.uniform(0, 1, size=6)])
        joins = [(heights[len(m)] - h, m) for h, m in reference.average_linkage(distances(rows, "ray"))]
        claimed = [(excess * len(members), members) for excess, members in joins if excess >= 0]
        apart = (
            choice for count in range(len(claimed) + 1) for choice in itertools.combinations(claimed, count)
            if not any(a & b for (_, a), (_, b) in itertools.combinations(choice, 2))
        )  # fmt: skip
        best = max(apart, key=lambda choice: sum(excess for excess, _ in choice))
        assert as_sets(prominent(tree, heights)) == {members for _, members in best}
        sizes_found.add(len(best))
    assert {0, 1, 2} <= sizes_found


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("shape", "cube"), [((64, 9), True), ((12, 6), False), ((40, 60), False)])
def test_random_layers_show_a_group_in_one_of_a_hundred(mode: Mode, shape: tuple[int, int], cube: bool) -> None:
    rng, claims, layers = np.random.default_rng(8), 0, 1500
    for _ in range(layers):
        claims += bool(groups(rng.uniform(-1, 1, size=shape) if cube else rng.normal(size=shape), mode))
    assert claims <= 25  # 15 expected at most, standard deviation 3.9


@pytest.mark.parametrize("mode", MODES)
def test_more_neurons_may_be_farther_apart(mode: Mode) -> None:
    heights = chance_heights(50, 6, mode)
    assert_array_equal(heights[:2], 0)
    assert (np.diff(heights) >= 0).all()
    assert 0 < heights[2] < chance_distance(50, 6, mode) < heights[5]
    assert heights[25] > 0.5
    assert heights[-1] <= 1
    assert (chance_heights(50, 6, mode, level=1e-4)[2:] < heights[2:] + (heights[2:] == 1)).all()


@pytest.mark.parametrize("mode", MODES)
def test_large_layers_and_impossible_claims(mode: Mode) -> None:
    large = chance_heights(MOST_SIMULATED + 1, 9, mode)
    assert_array_equal(large[2:], chance_distance(MOST_SIMULATED + 1, 9, mode, pairs=FALSE_CLAIM))
    for count, inputs in ((0, 5), (1, 5), (9, 1)):
        assert_array_equal(chance_heights(count, inputs, mode), np.zeros(count + 1))


def test_many_neurons_within_a_wide_cone_are_a_group_that_no_pair_would_be(rng: np.random.Generator) -> None:
    rows = np.concatenate([bundle(rng, np.eye(6)[0], 25, 0.5), rng.normal(size=(25, 6))])
    assert 1 - chance_distance(50, 6, "ray") > 0.99
    found = max(groups(rows), key=len)
    assert len(found & set(range(25))) >= 23
    assert len(found) <= 30  # some random rows lie in the cone


@pytest.mark.parametrize("inputs", [6, 50])
def test_opposite_bundles_are_two_groups_or_one_line(rng: np.random.Generator, inputs: int) -> None:
    centre = np.eye(inputs)[0]
    rows = np.concatenate([bundle(rng, centre, 27, 0.1), bundle(rng, -centre, 23, 0.1)])
    assert groups(rows) == {frozenset(range(27)), frozenset(range(27, 50))}
    assert groups(rows, "line") == {frozenset(range(50))}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("inputs", [6, 50])
def test_three_groups_at_right_angles_are_three(rng: np.random.Generator, inputs: int, mode: Mode) -> None:
    rows = np.concatenate([bundle(rng, np.eye(inputs)[k], 15, 0.2) for k in range(3)])
    assert groups(rows, mode) == {frozenset(range(k, k + 15)) for k in (0, 15, 30)}


@pytest.mark.parametrize(("cosine", "expected"), [(0.97, 1), (0.5, 2)])
def test_nested_groups_are_one_where_they_are_close(rng: np.random.Generator, cosine: float, expected: int) -> None:
    other = np.array([cosine, np.sqrt(1 - cosine**2), 0, 0, 0, 0])
    rows = np.concatenate([bundle(rng, np.eye(6)[0], 20, 0.1), bundle(rng, other, 20, 0.1)])
    parts = {frozenset(range(20)), frozenset(range(20, 40))}
    assert groups(rows) == (parts if expected == 2 else {frozenset(range(40))})
