from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.reference import pruning as reference
from wdyn.analyses._leave_one_out import greedy_order
from wdyn.analyses._orders import BY_WEIGHTS, ORDERS, WORDS, order_of, random_orders, removal_keys, together

PAIRS = {
    "frame_potential": reference.squared_cosine,
    "inner_product": reference.cosine,
    "unnormalised": reference.squared_product,
}


def orders(vectors: np.ndarray) -> dict[str, np.ndarray]:
    damage = np.arange(len(vectors), dtype=float)
    return {name: order_of([key]) for name, key in removal_keys(vectors, damage, -damage).items()}


@pytest.mark.parametrize("quantity", PAIRS)
@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (9, 3), (8, 12)])
def test_greedy_orders_agree_with_computing_everything_again(
    rng: np.random.Generator, quantity: str, shape: tuple[int, int]
) -> None:
    rows = rng.integers(-9, 10, size=shape)
    rows[rows.any(axis=1) == 0, 0] = 1
    pair: Callable[..., Any] = PAIRS[quantity]
    for way in ("max", "min"):
        expected = reference.greedy_order(rows.tolist(), pair, largest=way == "max")
        assert_array_equal(orders(rows)[f"{way}_{quantity}"], expected)


def test_dead_rows_have_no_share_and_ties_go_by_number() -> None:
    rows = np.array([[0, 0], [1, 0], [1, 0], [0, 0], [0, 1]])
    for quantity, pair in PAIRS.items():
        for way in ("max", "min"):
            expected = reference.greedy_order(rows.tolist(), pair, largest=way == "max")
            assert_array_equal(orders(rows)[f"{way}_{quantity}"], expected)
    assert_array_equal(orders(rows)["min_norm"], [0, 3, 1, 2, 4])
    assert_array_equal(orders(rows)["max_norm"], [1, 2, 4, 0, 3])


def test_order_by_frame_potential_is_that_of_leaving_one_out(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(40, 9))
    assert_array_equal(orders(rows)["max_frame_potential"], greedy_order(rows, largest=True).order)
    assert_array_equal(orders(rows)["min_frame_potential"], greedy_order(rows, largest=False).order)


@pytest.mark.parametrize("scale", [1e-200, 3.0, 1e200])
def test_scale_and_rotation_change_no_order(rng: np.random.Generator, scale: float) -> None:
    rows = rng.normal(size=(20, 6))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    for name, order in orders(rows).items():
        assert_array_equal(orders(scale * (rows @ turn))[name], order, err_msg=name)


def test_lengths_matter_to_unnormalised_orders_alone(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(20, 6))
    longer = rows * np.exp(rng.normal(size=(20, 1)))
    for name in BY_WEIGHTS:
        same = (orders(longer)[name] == orders(rows)[name]).all()
        assert same == ("frame" in name or "inner" in name), name


def test_damages_go_least_first_and_what_is_not_known_last() -> None:
    keys = removal_keys(None, np.array([0.3, np.nan, -0.1, 0.3]), np.array([1.0, 0.0, 2.0, 3.0]))
    assert set(keys) == {"ablation", "taylor"}
    assert_array_equal(order_of([keys["ablation"]]), [2, 0, 3, 1])
    assert_array_equal(order_of([keys["taylor"]]), [1, 0, 2, 3])
    assert set(WORDS) == set(ORDERS)


def test_places_together(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(10, 4)), 100 * rng.normal(size=(5, 4))
    damages = rng.random(10), rng.random(5)
    keys = [removal_keys(v, d, d) for v, d in zip((first, second), damages, strict=True)]
    mixed = together(keys)
    assert set(mixed) == set(ORDERS)
    assert_array_equal(mixed["ablation"], np.argsort(np.concatenate(damages)))
    for name, order in mixed.items():
        assert_array_equal(np.sort(order), np.arange(15))
        # within a place the order is that of the place alone
        assert_array_equal(order[order < 10], order_of([keys[0][name]]))
        assert_array_equal(order[order >= 10] - 10, order_of([keys[1][name]]))
    for turn in range(3, 16, 3):  # greedy orders take two of ten and one of five, again and again
        assert (mixed["max_frame_potential"][:turn] < 10).sum() == 2 * turn // 3
    norms = np.concatenate([np.linalg.norm(v, axis=1) / np.sqrt((v**2).sum() / len(v)) for v in (first, second)])
    assert_array_equal(mixed["min_norm"], np.argsort(norms))
    assert set(together([keys[0], removal_keys(None, *damages[1:], *damages[1:])])) == {"ablation", "taylor"}


def test_random_orders_are_permutations(rng: np.random.Generator) -> None:
    drawn = random_orders(500, 4, rng=rng)
    assert_array_equal(np.sort(drawn, axis=1), np.tile(np.arange(4), (500, 1)))
    counts = np.array([(drawn[:, 0] == unit).sum() for unit in range(4)])
    assert (np.abs(counts - 125) < 4 * np.sqrt(500 * 3 / 16)).all()
