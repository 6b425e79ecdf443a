from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tests.reference import leave_one_out as reference
from wdyn.analyses import _leave_one_out
from wdyn.analyses._leave_one_out import greedy_order, random_order_potential, removal_curves, shares
from wdyn.errors import MisuseError


def whole_rows(rng: np.random.Generator, shape: tuple[int, int], top: int) -> np.ndarray:
    """Rows of small whole numbers, none of them zero; a small `top` gives many ties."""
    rows = rng.integers(-top, top + 1, size=shape)
    rows[~rows.any(axis=1), 0] = 1
    return rows


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 1), (6, 3), (3, 6), (9, 4)])
def test_shares_are_what_the_potential_loses(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    rows = whole_rows(rng, shape, 9)
    # the reference is exact
    assert_allclose(shares(rows), [float(reference.share(rows.tolist(), i)) for i in range(shape[0])], rtol=1e-12)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("top", [1, 2, 50], ids=["many ties", "ties", "few ties"])
@pytest.mark.parametrize("seed", range(12))
def test_the_order_is_that_of_recomputing_everything(seed: int, top: int, largest: bool) -> None:
    rng = np.random.default_rng([seed, top])
    rows = whole_rows(rng, (int(rng.integers(1, 10)), int(rng.integers(1, 5))), top)
    found = greedy_order(rows.astype(np.float32), largest=largest)
    order, potentials = reference.greedy_order(rows.tolist(), largest=largest)
    assert_array_equal(found.order, order)
    # the reference is exact; here one rounding per removal
    assert_allclose(found.potential, [float(p) for p in potentials], rtol=1e-12)


@settings(max_examples=100)
@given(st.lists(st.tuples(*[st.integers(-2, 2)] * 3).filter(any), min_size=1, max_size=8), st.booleans())
def test_the_order_of_any_rows_with_ties(rows: list[tuple[int, ...]], largest: bool) -> None:
    found = greedy_order(np.array(rows, dtype=np.float64), largest=largest)
    assert_array_equal(found.order, reference.greedy_order(rows, largest=largest)[0])


@pytest.mark.parametrize("largest", [True, False])
def test_ties_survive_rounding_in_a_large_layer(rng: np.random.Generator, largest: bool) -> None:
    """Copies, opposite and rescaled copies have equal shares, which rounding must not put in another order."""
    distinct = rng.normal(size=(60, 37))
    rows = np.concatenate([distinct, -distinct, distinct * np.exp(rng.normal(size=(60, 1)))])
    order = greedy_order(rows, largest=largest).order
    place = np.argsort(order)
    assert (place[:60] < place[60:120]).all()
    assert (place[60:120] < place[120:]).all()


@pytest.mark.parametrize("largest", [True, False])
def test_each_removal_is_the_best_one(rng: np.random.Generator, largest: bool) -> None:
    rows = rng.normal(size=(80, 30))
    found = greedy_order(rows, largest=largest)
    assert sorted(found.order) == list(range(80))
    for turn in (0, 1, 40, 78):
        left = np.sort(found.order[turn:])
        own = shares(rows[left])
        best = own.max() if largest else own.min()
        assert_allclose(own[np.searchsorted(left, found.order[turn])], best, rtol=1e-12)


def test_a_neuron_in_the_crowd_goes_before_one_on_its_own() -> None:
    rows = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.01], [1.0, 0.02]])
    assert_array_equal(greedy_order(rows, largest=True).order, [2, 3, 0, 1])
    assert greedy_order(rows, largest=False).order[0] == 0


def test_rows_without_direction_are_refused() -> None:
    with pytest.raises(MisuseError, match="first: row 1"):
        greedy_order(np.array([[1.0, 2.0], [0.0, 0.0]]), largest=True)


def test_random_order_is_the_mean_over_all_orders(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(5, 3))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    squares = (unit @ unit.T) ** 2
    paths = [
        [squares[np.ix_(order[k:], order[k:])].sum() for k in range(5)] for order in itertools.permutations(range(5))
    ]
    assert_allclose(random_order_potential(squares.sum(), 5), np.mean(paths, axis=0), rtol=1e-12)
    assert_allclose(random_order_potential(1.0, 1), [1.0], rtol=0)


def test_curves_over_the_floor(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rng.normal(size=(9, 3))
    remaining = np.arange(9, 0, -1)
    floor = np.maximum(remaining, remaining**2 / 3)
    largest, smallest, at_random = removal_curves(rows)
    assert_allclose(largest * floor, greedy_order(rows, largest=True).potential, rtol=1e-12)
    assert_allclose(smallest * floor, greedy_order(rows, largest=False).potential, rtol=1e-12)
    assert (largest <= at_random * (1 + 1e-12)).all()
    assert (at_random <= smallest * (1 + 1e-12)).all()
    assert_allclose([largest[-1], smallest[-1], at_random[-1]], 1, rtol=1e-12)
    monkeypatch.setattr(_leave_one_out, "CURVE_ROWS", 3)
    assert_allclose(removal_curves(rows)[0], removal_curves(rows[[0, 4, 8]])[0], rtol=0)
    assert [len(curve) for curve in removal_curves(rows[:0])] == [0, 0, 0]
