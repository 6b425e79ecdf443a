from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tests.reference import dip as reference
from wdyn.analyses._dip import CHANCES, EXCEEDED, dip, dip_probability

# Ratings of 63 statistics departments (Scully 1982), the example of Hartigan & Hartigan (1985): dip .0595
DEPARTMENTS = np.repeat(
    [30, 33, *range(35, 38), *range(39, 55), 57, *range(59, 64), 66, 70, 72],
    [1, 1, 1, 1, 2, 5, 4, 1, 1, 3, 2, 2, 2, 2, 3, 1, 2, 1, 2, 5, 2, 2, 1, 3, 4, 4, 1, 1, 1, 2],
)  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["uniform", "two groups", "tied", "skewed"])
def test_agrees_with_the_linear_program(kind: str, seed: int) -> None:
    rng = np.random.default_rng([seed, len(kind)])
    n = int(rng.integers(1, 14))
    values = {
        "uniform": rng.uniform(size=n), "two groups": rng.normal(size=n) + 3 * (rng.random(n) < 0.5),
        "tied": rng.integers(0, 5, n).astype(float), "skewed": rng.exponential(size=n) ** 2,
    }[kind]  # fmt: skip
    # the linear program is solved to about 1e-8
    assert_allclose(dip(values), reference.dip(values.tolist()), atol=1e-7)


def test_the_published_example() -> None:
    assert len(DEPARTMENTS) == 63
    assert_allclose(dip(DEPARTMENTS), 7.5 / 126, rtol=1e-12)
    assert 0.05 < dip_probability(dip(DEPARTMENTS), 63) < 0.1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3], 1 / 2),
        ([1, 2], 1 / 4),
        ([0, 0, 1, 1], 1 / 4),
        ([5, 5, 5], 1 / 6),
        (range(40), 1 / 80),
        ([0, 1, 1, 4], 1 / 8),
    ],
    ids=["one", "two", "two places", "all equal", "even", "a peak"],
)
def test_closed_forms(values: list[float], expected: float) -> None:
    assert_allclose(dip(np.array(values, dtype=np.float64)), expected, rtol=1e-12)


@settings(max_examples=60)
@given(st.lists(st.integers(-8, 8), min_size=1, max_size=40), st.integers(-5, 5), st.integers(1, 9))
def test_blind_to_shift_scale_sign_and_order(values: list[int], shift: int, scale: int) -> None:
    before = dip(np.array(values, dtype=np.float64))
    changed = -scale * np.array(values[::-1], dtype=np.float64) + shift
    assert_allclose(dip(changed), before, rtol=1e-9)
    assert 0.5 / len(values) - 1e-12 <= before <= max(0.25, 0.5 / len(values)) + 1e-12


@pytest.mark.parametrize("count", [4, 9, 50, 300])
def test_the_table_is_what_a_simulation_gives(rng: np.random.Generator, count: int) -> None:
    times = 4_000 if count < 300 else 1_000
    found = np.array([dip_probability(dip(rng.uniform(size=count)), count) for _ in range(times)])
    for level in (0.1, 0.05, 0.01):
        # four standard errors, and a tenth for the interpolation in the table
        assert abs(np.mean(found < level) - level) < 4 * np.sqrt(level / times) + 0.1 * level


def test_probability_at_its_ends() -> None:
    assert dip_probability(0.0, 100) == 1
    assert dip_probability(0.25, 3) == 1
    assert_allclose(dip_probability(0.25, 10**6), min(CHANCES), rtol=1e-12)
    for count, sizes in EXCEEDED.items():
        chances = [dip_probability(size / np.sqrt(count), count) for size in sizes if sizes.count(size) == 1]
        wanted = [chance for chance, size in zip(CHANCES, sizes, strict=True) if sizes.count(size) == 1]
        assert_allclose(chances, wanted, rtol=1e-6)


def test_the_table_grows_towards_its_limit() -> None:
    sizes = np.array([row for count, row in EXCEEDED.items() if count >= 10])
    assert (np.diff(sizes, axis=0) > 0).all()
    assert (np.diff(sizes, axis=1) > 0).all()


def test_two_groups_are_found_and_one_is_not(rng: np.random.Generator) -> None:
    one, two = rng.normal(size=200), rng.normal(size=200) + 6 * (np.arange(200) < 100)
    assert dip_probability(dip(one), 200) > 0.5
    assert dip_probability(dip(two), 200) < 0.001
