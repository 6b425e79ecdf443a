from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.reference import linkage as reference
from wdyn.analyses._grouping import groups_at
from wdyn.analyses._groups import (
    FALSE_CLAIM,
    Mode,
    average,
    chance_distance,
    cosines,
    cut,
    dense,
    leaf_order,
    merge_tree,
    persistent,
    spaced,
)
from wdyn.analyses._neurons import directions, unit_rows

MODES: list[Mode] = ["ray", "line"]


def as_sets(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels[labels >= 0])}


def distances(rows: np.ndarray, mode: Mode) -> list[list[float]]:
    return [[1 - (abs(c) if mode == "line" else c) for c in row] for row in reference.cosine_matrix(rows.tolist())]


def test_cosines_agree_with_the_double_loop(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(9, 4))
    # both in float64; only the order of addition differs
    assert_allclose(cosines(unit_rows(rows)), reference.cosine_matrix(rows.tolist()), rtol=0, atol=1e-14)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(2, 3), (7, 2), (15, 5)])
def test_tree_agrees_with_linkage_by_definition(rng: np.random.Generator, mode: Mode, shape: tuple[int, int]) -> None:
    rows = rng.normal(size=shape)
    joins = reference.average_linkage(distances(rows, mode))
    tree = merge_tree(cosines(unit_rows(rows)), mode)
    # ours updates means step by step instead of averaging all pairs anew
    assert_allclose(tree[:, 2], [height for height, _ in joins], rtol=1e-12)
    for height in (joins[0][0] * 1.001, joins[len(joins) // 2][0] * 1.001, 2.1):
        assert as_sets(cut(tree, height)) == reference.groups_below(joins, height)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spread", [0.05, 0.5, 5.0])
def test_leaving_out_rows_without_a_close_one_changes_no_group(
    rng: np.random.Generator, mode: Mode, spread: float
) -> None:
    rows = rng.normal(size=(6, 8))[rng.integers(6, size=40)] * rng.choice([-1, 1], 40)[:, None]
    rows = np.concatenate([rows + spread * rng.normal(size=rows.shape), rows[:5]])  # some coincide, opposite or not
    joins, cosine = reference.average_linkage(distances(rows, mode)), cosines(unit_rows(rows))
    tree = merge_tree(cosine, mode)
    sizes = set()
    for at in range(0, len(joins), 4):
        height = joins[at][0] + 1e-9
        found = average(cosine, mode, height)
        assert as_sets(found) == reference.groups_below(joins, height)
        assert_array_equal(found, cut(tree, height))
        sizes.add(int((found >= 0).sum()))
    assert len(sizes) > 3
    assert_array_equal(average(cosine, mode, 0.0), -1)


def test_groups_are_numbered_by_size_then_first_row() -> None:
    rows = np.repeat(np.eye(4), [2, 3, 1, 2], axis=0)[[0, 5, 2, 3, 4, 1, 6, 7]]  # groups e0 {0,5}, e1 {2,3,4}, e3 {6,7}
    assert_array_equal(cut(merge_tree(cosines(rows), "ray"), 1e-6), [1, -1, 0, 0, 0, 1, 2, 2])


@pytest.mark.parametrize("count", [2, 10, 100])
def test_chance_distance_where_the_sphere_is_elementary(count: int) -> None:
    share = FALSE_CLAIM / math.comb(count, 2)
    # circle: the angle is uniform on [0, π]; sphere in three dimensions: the cosine is uniform on [-1, 1]
    assert_allclose(chance_distance(count, 3, "ray"), 2 * share, rtol=1e-9)
    assert_allclose(chance_distance(count, 3, "line"), share, rtol=1e-9)
    assert_allclose(chance_distance(count, 2, "ray"), 2 * math.sin(math.pi * share / 2) ** 2, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_can_be_claimed_for_one_neuron_one_input_or_a_crowded_circle(mode: Mode) -> None:
    assert chance_distance(0, 5, mode) == chance_distance(1, 5, mode) == chance_distance(50, 1, mode) == 0
    assert chance_distance(2048, 2, mode) == 0
    signs = np.array([[1.0], [1.0], [-1.0]])
    assert_array_equal(groups_at(cosines(signs), np.ones(3, dtype=bool), 1, mode), [-1, -1, -1])


@pytest.mark.parametrize("mode", MODES)
def test_distance_is_undercut_in_one_of_a_hundred_layers(rng: np.random.Generator, mode: Mode) -> None:
    limit, hits, layers = chance_distance(12, 6, mode), 0, 6000
    unit = directions(rng.normal(size=(layers, 12, 6))).unit
    cosine = unit @ unit.transpose(0, 2, 1)
    cosine[:, range(12), range(12)] = 0
    closest = np.abs(cosine).max(axis=(1, 2)) if mode == "line" else cosine.max(axis=(1, 2))
    hits = int((1 - closest < limit).sum())
    # 60 expected (the bound over pairs is nearly sharp), standard deviation 7.7
    assert 40 <= hits <= 80


LENET = [(300, 784), (100, 300), (10, 100)]
CONV_2 = [(64, 27), (64, 576), (64, 9), (6, 25)]


@pytest.mark.parametrize("draw", ["normal", "cube"])
def test_random_initialisations_show_no_group(rng: np.random.Generator, draw: str) -> None:
    claims = dict.fromkeys(MODES, 0)
    for n, d in (LENET + CONV_2) * 20:
        weights = rng.normal(size=(n, d)) if draw == "normal" else rng.uniform(-1, 1, size=(n, d)) / np.sqrt(d)
        unit, _, live = directions(weights.astype(np.float32))
        for mode in MODES:
            claims[mode] += groups_at(cosines(unit), live, d, mode).max() >= 0
    # 140 layers a mode, 1.4 expected and up to 3 for the cube; more than 7 has probability 1 %
    assert max(claims.values()) <= 7


def test_planted_groups_are_found_and_opposite_ones_told_apart(rng: np.random.Generator) -> None:
    centre = rng.normal(size=50)
    bundle = np.concatenate([np.tile(centre, (8, 1)), np.tile(-centre, (5, 1))])
    rows = np.concatenate([bundle, rng.normal(size=(20, 50))]) + 0.2 * rng.normal(size=(33, 50))
    cosine, live = cosines(unit_rows(rows)), np.ones(33, dtype=bool)
    one, other = frozenset(range(8)), frozenset(range(8, 13))
    assert as_sets(groups_at(cosine, live, 50, "ray")) == {one, other}
    assert as_sets(groups_at(cosine, live, 50, "line")) == {one | other}


def test_dead_rows_are_in_no_group_and_last_in_order(rng: np.random.Generator) -> None:
    rows = np.repeat(rng.normal(size=(2, 9)), 4, axis=0)
    rows[[1, 6]] = [[0.0], [np.nan]] * np.ones((2, 9))
    unit, _, live = directions(rows)
    assert as_sets(groups_at(cosines(unit), live, 9, "ray")) == {frozenset({0, 2, 3}), frozenset({4, 5, 7})}
    order = leaf_order(cosines(unit), live)
    assert_array_equal(np.sort(order), np.arange(8))
    assert_array_equal(order[-2:], [1, 6])
    assert len({*order[:3].tolist()} & {0, 2, 3}) in (0, 3)  # leaves of a group stand together


@pytest.mark.parametrize("live", [[], [True], [False], [True, False]])
def test_order_of_almost_nothing(live: list[bool]) -> None:
    assert_array_equal(leaf_order(np.zeros((len(live), len(live))), np.array(live, dtype=bool)), range(len(live)))


def test_groups_do_not_depend_on_scale_or_order(rng: np.random.Generator) -> None:
    rows = np.repeat(rng.normal(size=(5, 30)), 4, axis=0) + 0.3 * rng.normal(size=(20, 30))
    everyone = np.ones(20, dtype=bool)
    found = as_sets(groups_at(cosines(unit_rows(rows)), everyone, 30, "ray"))
    assert len(found) == 5
    scaled = rows * rng.uniform(0.1, 10, size=(20, 1))
    assert as_sets(groups_at(cosines(unit_rows(scaled)), everyone, 30, "ray")) == found
    shuffle = rng.permutation(20)
    moved = as_sets(groups_at(cosines(unit_rows(rows[shuffle])), everyone, 30, "ray"))
    assert {frozenset(shuffle[list(group)].tolist()) for group in moved} == found


def test_a_group_keeps_its_number_through_time() -> None:
    labels = np.array([[1, 1, 0, 0, 0, -1], [0, 0, 0, 1, 1, -1], [0, 0, 0, 1, 1, 1]])
    assert_array_equal(persistent(labels), [[0, 0, 1, 1, 1, -1], [0, 0, 0, 1, 1, -1], [0, 0, 0, 1, 1, 1]])


def test_a_group_that_continues_none_gets_a_number_of_its_own() -> None:
    labels = np.array([[0, 0, 1, 1, -1, -1], [-1, -1, -1, -1, -1, -1], [0, 0, -1, -1, 1, 1]])
    assert_array_equal(persistent(labels), [[2, 2, 3, 3, -1, -1], [-1] * 6, [0, 0, -1, -1, 1, 1]])


def test_a_few_stragglers_do_not_pass_on_a_number() -> None:
    before = [0] * 10 + [1] * 10
    after = [0] * 3 + [-1] * 7 + [1] * 6 + [0] * 4  # number 0 takes 3 and 4 of its 7 members from the two
    assert_array_equal(persistent(np.array([before, after]))[0], [2] * 10 + [1] * 10)


def test_matching_keeps_most_members_in_all() -> None:
    # greedy would pair the largest overlap (6) first and leave the other group with nothing
    later = np.array([0] * 6 + [1] * 5 + [0] * 5)
    sooner = np.array([0] * 11 + [1] * 5)
    assert_array_equal(persistent(np.array([sooner, later]))[0], [1] * 11 + [0] * 5)


@pytest.mark.parametrize("shape", [(1, 0), (1, 3), (3, 1)])
def test_tracking_nothing(shape: tuple[int, int]) -> None:
    assert_array_equal(persistent(np.full(shape, -1)), np.full(shape, -1))


def test_spaced_keeps_both_ends() -> None:
    assert_array_equal(spaced(5, 9), range(5))
    kept = spaced(50_000, 2048)
    assert len(kept) == len(set(kept.tolist())) == 2048
    assert (kept[0], kept[-1]) == (0, 49_999)


@pytest.mark.parametrize("mode", MODES)
def test_more_expected_pairs_mean_a_larger_distance(mode: Mode) -> None:
    share = 3 / math.comb(10, 2)
    # sphere in three dimensions: the cosine is uniform on [-1, 1]
    assert_allclose(chance_distance(10, 3, mode, pairs=3), 2 * share if mode == "ray" else share, rtol=1e-9)
    assert chance_distance(2, 3, "ray", pairs=9) == 2  # never more than all pairs


def hdbscan(rows: np.ndarray, mode: Mode = "ray") -> set[frozenset[int]]:
    unit, _, live = directions(rows)
    return as_sets(groups_at(cosines(unit), live, rows.shape[1], mode, method="hdbscan"))


def test_hdbscan_finds_planted_groups_and_tells_opposite_ones_apart(rng: np.random.Generator) -> None:
    centre = rng.normal(size=50)
    bundle = np.concatenate([np.tile(centre, (8, 1)), np.tile(-centre, (5, 1))])
    rows = np.concatenate([bundle, rng.normal(size=(20, 50))]) + 0.2 * rng.normal(size=(33, 50))
    one, other = frozenset(range(8)), frozenset(range(8, 13))
    assert hdbscan(rows) == {one, other}
    assert hdbscan(rows, "line") == {one | other}


def test_hdbscan_finds_one_bundle_whole_even_if_all_rows_are_in_it(rng: np.random.Generator) -> None:
    bundle = rng.normal(size=50) + 0.2 * rng.normal(size=(40, 50))
    assert hdbscan(bundle) == {frozenset(range(40))}
    assert hdbscan(np.concatenate([bundle[:6], rng.normal(size=(30, 50))])) == {frozenset(range(6))}
    assert hdbscan(np.repeat(bundle[:1], 5, axis=0)) == {frozenset(range(5))}


def test_hdbscan_follows_a_bent_group_that_average_linkage_cuts(rng: np.random.Generator) -> None:
    angles = np.linspace(0, np.pi, 60)  # half a circle: neighbours are close, the ends are opposite
    rows = np.zeros((60, 30))
    rows[:, 0], rows[:, 1] = np.cos(angles), np.sin(angles)
    everyone = np.ones(60, dtype=bool)
    assert hdbscan(rows) == {frozenset(range(60))}
    assert len(as_sets(groups_at(cosines(rows), everyone, 30, "ray"))) > 1


def test_hdbscan_tells_weak_groups_apart_among_many_neurons_of_none(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(300, 80))
    rows[:4] += 1.5 * rng.normal(size=80)
    rows[4:7] += 1.5 * rng.normal(size=80)
    assert hdbscan(rows) == {frozenset(range(4)), frozenset(range(4, 7))}


def test_each_member_of_a_group_by_hdbscan_is_close_to_another(rng: np.random.Generator) -> None:
    for _ in range(50):
        cosine = cosines(unit_rows(rng.normal(size=(30, 4))))
        groups = as_sets(dense(cosine, "ray", 0.1))
        assert groups
        for group in groups:
            assert all(any(cosine[i, j] >= 0.9 for j in group if i != j) for i in group)


@pytest.mark.parametrize("mode", MODES)
def test_hdbscan_claims_groups_in_one_of_a_hundred_random_layers(rng: np.random.Generator, mode: Mode) -> None:
    claims = sum(bool(hdbscan(rng.normal(size=(12, 6)), mode)) for _ in range(1000))
    assert claims <= 20  # at most 10 expected, standard deviation 3.2


def test_hdbscan_leaves_out_dead_rows_and_what_is_not_close_to_its_group(rng: np.random.Generator) -> None:
    rows = np.repeat(rng.normal(size=(2, 9)), 4, axis=0)
    rows[[1, 6]] = [[0.0], [np.nan]] * np.ones((2, 9))
    assert hdbscan(rows) == {frozenset({0, 2, 3}), frozenset({4, 5, 7})}
    assert_array_equal(dense(np.eye(3), "ray", 0.0), [-1] * 3)
    assert_array_equal(dense(np.empty((0, 0)), "ray", 0.5), [])


def test_hdbscan_does_not_depend_on_scale_or_order(rng: np.random.Generator) -> None:
    rows = np.repeat(rng.normal(size=(5, 30)), 4, axis=0) + 0.3 * rng.normal(size=(20, 30))
    found, shuffle = hdbscan(rows), rng.permutation(20)
    assert len(found) == 5
    assert hdbscan(rows * rng.uniform(0.1, 10, size=(20, 1))) == found
    assert {frozenset(shuffle[list(group)].tolist()) for group in hdbscan(rows[shuffle])} == found
