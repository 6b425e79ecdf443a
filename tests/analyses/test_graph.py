from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.reference import graph as reference
from tests.reference.linkage import cosine_matrix
from wdyn.analyses._graph import (
    LOWEST_CUTOFF,
    closest_tree,
    component_curves,
    components,
    cosine_at,
    edge_weights,
    half_distance,
    joining_cosines,
    strongest,
)
from wdyn.analyses._groups import cosines
from wdyn.analyses._neurons import unit_rows


def as_sets(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels[labels >= 0])}


def test_weights_agree_with_the_definition(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(7, 4))
    distance = reference.distances(rows.tolist())
    sigma = reference.sigma([rows.tolist()])
    cosine = cosines(unit_rows(rows))
    for (i, j), expected in distance.items():
        # both in float64; only the order of addition differs
        assert_allclose(half_distance(cosine)[i, j], expected, rtol=0, atol=1e-15)
        assert_allclose(edge_weights(half_distance(cosine), sigma)[i, j], reference.weight(expected, sigma), rtol=1e-13)


def test_known_distances_and_weights() -> None:
    assert_array_equal(half_distance(np.array([1.0, 0.0, -1.0])), [0, 0.5, 1])
    assert_allclose(edge_weights(np.array([0.0, 0.5, 1.0]), 0.5), [1, math.exp(-1), math.exp(-4)], rtol=1e-15)


@pytest.mark.parametrize("sigma", [0.1, 0.4, 0.5])
@pytest.mark.parametrize("cutoff", [0.2, 0.5, 0.9, 1.0])
def test_a_cutoff_reads_back_as_the_cosine_of_its_edge(cutoff: float, sigma: float) -> None:
    cosine = cosine_at(cutoff, sigma)
    assert_allclose(edge_weights(half_distance(np.array(cosine)), sigma), cutoff, rtol=1e-12)
    assert_allclose(cosine_at(LOWEST_CUTOFF, sigma), 1 - 2 * sigma, rtol=1e-12)


def test_all_weights_are_one_where_all_neurons_coincide() -> None:
    assert_array_equal(edge_weights(np.array([0.0, 1e-17]), 1e-18), [1, 1])


@pytest.mark.parametrize("shape", [(2, 3), (9, 2), (12, 5)])
def test_the_tree_is_the_best_and_holds_the_components_at_all_cutoffs(
    rng: np.random.Generator, shape: tuple[int, int]
) -> None:
    rows = rng.normal(size=shape)
    cosine, count = cosines(unit_rows(rows)), len(rows)
    slow = cosine_matrix(rows.tolist())
    tree = closest_tree(cosine)
    curves = component_curves(joining_cosines(tree, count), np.linspace(-1, 1, 21))
    for at, cutoff in enumerate(np.linspace(-1, 1, 21).tolist()):
        edges = [(i, j) for i, j in itertools.combinations(range(count), 2) if slow[i][j] >= cutoff]
        expected = reference.components(list(range(count)), edges)
        assert as_sets(components(tree, count, cutoff)) == {frozenset(each) for each in expected if len(each) > 1}
        assert_array_equal(curves[:, at], [len(expected), max(map(len, expected))])


def test_curves_of_bundles_in_closed_form() -> None:
    rows = np.repeat(np.eye(3), [4, 2, 1], axis=0)  # components of 4, 2 and 1 as soon as the cutoff is above 0
    tree = closest_tree(cosines(rows))
    assert_array_equal(component_curves(joining_cosines(tree, 7), np.array([0.0, 0.5, 1.0])), [[1, 3, 3], [7, 4, 4]])
    assert_array_equal(components(tree, 7, 0.5), [0, 0, 0, 0, 1, 1, -1])
    assert_array_equal(components(tree, 7, np.nan), [-1] * 7)


@pytest.mark.parametrize("count", [0, 1])
def test_a_tree_of_almost_nothing(count: int) -> None:
    tree = closest_tree(np.ones((count, count)))
    assert len(tree.i) == 0
    assert_array_equal(components(tree, count, 0.5), [-1] * count)
    if count:
        assert_array_equal(component_curves(joining_cosines(tree, 1), np.array([0.0, 1.0])), [[1, 1], [1, 1]])


def test_strongest_pairs_and_the_tree_no_pair_twice(rng: np.random.Generator) -> None:
    rows = np.concatenate([np.ones((6, 9)), -np.ones((2, 9))]) + 0.1 * rng.normal(size=(8, 9))
    cosine = cosines(unit_rows(rows))
    tree = closest_tree(cosine)
    kept = strongest(cosine, tree, 5)
    pairs = set(zip(kept.i.tolist(), kept.j.tolist(), strict=True))
    assert len(pairs) == len(kept.i)
    assert (kept.i < kept.j).all()
    by_cosine = sorted(itertools.combinations(range(8), 2), key=lambda pair: -cosine[pair])
    trunk = {tuple(sorted(pair)) for pair in zip(tree.i.tolist(), tree.j.tolist(), strict=True)}
    assert pairs == set(by_cosine[:5]) | trunk
    assert_array_equal(kept.cosine, cosine[kept.i, kept.j])


def test_components_do_not_depend_on_scale_rotation_or_order(rng: np.random.Generator) -> None:
    rows = np.repeat(rng.normal(size=(3, 8)), 4, axis=0) + 0.2 * rng.normal(size=(12, 8))

    def found(rows: np.ndarray) -> set[frozenset[int]]:
        return as_sets(components(closest_tree(cosines(unit_rows(rows))), len(rows), 0.7))

    once, shuffle = found(rows), rng.permutation(12)
    assert once
    assert found(rows * rng.uniform(0.1, 9, size=(12, 1))) == once
    assert found(rows @ np.linalg.qr(rng.normal(size=(8, 8)))[0]) == once
    assert {frozenset(shuffle[list(group)].tolist()) for group in found(rows[shuffle])} == once
