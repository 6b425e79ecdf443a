from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tests.reference import redundancy as reference
from wdyn.analyses._copies import (
    CLASSES,
    PEERS,
    aligned_sets,
    chance_above,
    chance_sets,
    chance_synergies,
    classify,
    holm,
    members,
    nearest_pairs,
    synergy,
    variants,
)
from wdyn.analyses._grouping import groups_at
from wdyn.analyses._groups import cosines
from wdyn.analyses._neurons import directions


@settings(max_examples=200)
@given(st.lists(st.sampled_from([0.0005, 0.001, 0.004, 0.01, 0.02, 0.3, 0.6, 1.0, np.nan]), max_size=7))
def test_holm_rejects_where_the_procedure_does(chances: list[float]) -> None:
    assert_allclose(holm(np.array(chances)), reference.holm(chances), rtol=1e-12)


def test_holm_in_numbers() -> None:
    assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])  # Holm's example
    assert_array_equal(holm(np.array([np.nan, 0.01])), [np.nan, 0.01])
    assert len(holm(np.array([]))) == 0


@settings(max_examples=50)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_nearest_pairs_agree_with_the_loop(rows: int, inputs: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(rows, inputs))
    vectors[seed % rows] *= seed % 2
    if inputs == 1:
        vectors = np.c_[vectors, np.arange(rows)]  # with one input all cosines are equal up to rounding
    unit, _, live = directions(vectors)
    found = nearest_pairs(cosines(unit), live)
    assert {tuple(pair) for pair in found.tolist()} == reference.nearest_pairs(vectors.tolist())
    assert (np.diff([unit[i] @ unit[j] for i, j in found]) <= 1e-12).all()


def test_sets_are_groups_and_then_close_pairs(rng: np.random.Generator) -> None:
    axes = np.eye(60)
    rows = np.concatenate([axes[:6], axes[:1] + 1e-3 * axes[7], axes[:1] + 1e-3 * axes[8], axes[1:2] + 1e-3 * axes[9]])
    unit, _, live = directions(rows)
    labels = groups_at(cosines(unit), live, 60, "ray")
    sets = aligned_sets(labels, cosines(unit), live=live, inputs=60)
    assert [rows.tolist() for rows in sets[:2]] == [[0, 6, 7], [1, 8]]
    assert [rows.tolist() for rows in sets[2:]] == [[0, 6], [0, 7]]  # closer than chance, and no group
    assert [rows.tolist() for rows in members(labels)] == [[0, 6, 7], [1, 8]]
    alone = aligned_sets(np.full(6, -1), np.eye(6), live=np.ones(6, dtype=bool), inputs=60)
    assert alone == []
    # with one input nothing can be told from chance
    assert aligned_sets(np.full(3, -1), np.ones((3, 3)), live=np.ones(3, dtype=bool), inputs=1) == []


def test_variants_and_synergy() -> None:
    sets = [np.array([0, 2]), np.array([1])]
    assert_array_equal(variants(sets, 3), [[True, False, True], [False, True, False]])
    assert_allclose(synergy(np.array([5.0, 2.0]), sets, np.array([1.0, 2.0, 1.5])), [2.5, 0])


@settings(max_examples=60)
@given(st.integers(2, 20), st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_chance_sets_are_other_units_of_which_no_two_are_aligned(units: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 4, units)
    size = min(size, units)
    rows = np.sort(rng.choice(units, size, replace=False))
    drawn = chance_sets(rows, labels, rng.normal(size=units), draws=20, rng=rng)
    barred = set(rows.tolist()) | {i for i in range(units) if labels[i] >= 0 and labels[i] in labels[rows]}
    left = [i for i in range(units) if i not in barred]
    apart = sum(labels[i] < 0 for i in left) + len({labels[i] for i in left if labels[i] >= 0})
    assert len(drawn) == (20 if apart > size else 0)
    for chosen in drawn:
        assert len(set(chosen.tolist())) == size
        assert not barred & set(chosen.tolist())
        groups = labels[chosen][labels[chosen] >= 0]
        assert len(set(groups.tolist())) == len(groups)


def test_chance_sets_do_about_as_much_damage(rng: np.random.Generator) -> None:
    single = rng.permutation(100).astype(np.float64)
    rows = np.flatnonzero(np.isin(single, [5, 90]))
    low, high = sorted(single[rows])
    drawn = np.sort(single[chance_sets(rows, np.full(100, -1), single, draws=400, rng=rng)], axis=1)
    assert (low, high) == (5, 90)
    for values, target in zip(drawn.T, (5, 90), strict=True):
        seen, counts = np.unique(values, return_counts=True)
        nearest = sorted(
            set(range(100)) - {5, 90}, key=lambda value: (abs(value - target), np.where(single == value)[0])
        )
        assert set(seen) == set(nearest[:PEERS])
        assert counts.min() > 400 / PEERS / 2  # all of them, equally often


def test_chance_synergies_are_stretched_to_the_same_damage(rng: np.random.Generator) -> None:
    single, sets = np.array([1.0, 1, 3, 3, -1, 0, 0]), [np.array(pair) for pair in ((0, 1), (2, 3), (0, 4), (5, 6))]
    found = chance_synergies(np.array([3.0, 8, 0.5, 0.1]), sets, single, total=4.0)
    # twice the damage gives twice the synergy; more damage is left as it is, and so is none
    assert_allclose(found, [2 * (3 - 2), 8 - 6, 2 * 0.5, 0.1])
    # quadratic loss: outputs v, damage of a set |sum v|², so a set of v sqrt(c) has c times the synergy
    outputs = rng.normal(size=(2, 3))
    for scale in (1.0, 2.0):
        v = scale * outputs
        alone, both = (v**2).sum(axis=1), (v.sum(axis=0) ** 2).sum()
        wanted = 4 * (outputs.sum(axis=0) ** 2).sum() - 4 * (outputs**2).sum()
        assert_allclose(
            chance_synergies(np.array([both]), [np.array([0, 1])], alone, total=4 * (outputs**2).sum()), [wanted]
        )


def test_chance_counts_the_observed_one_too() -> None:
    drawn = np.arange(99.0)
    assert chance_above(99.0, drawn) == 0.01
    assert chance_above(98.0, drawn) == 0.02  # a tie is no win
    assert np.isnan(chance_above(np.nan, drawn))
    assert np.isnan(chance_above(1.0, drawn[:0]))
    drawn[3] = np.nan
    assert chance_above(99.0, drawn) == 0.02


@pytest.mark.parametrize("limit", [0.3, np.inf, np.nan])
def test_classes_agree_with_the_loop(rng: np.random.Generator, limit: float) -> None:
    units = 60
    rise, error = rng.normal(size=units) * 0.3, np.abs(rng.normal(size=units)) * 0.3
    rise[7] = np.nan
    still = rng.random(units) < 0.3
    groups = [(np.arange(10), True), (np.arange(10, 20), False)]
    copies = [np.arange(5, 8), np.array([12, 40])]
    found = classify(rise, error, limit=limit, still=still, copies=copies, groups=groups)
    names = [
        reference.kind(
            i, rise[i], error[i], limit=limit, still=bool(still[i]), copies=[set(c.tolist()) for c in copies],
            groups=[(set(rows.tolist()), harmless) for rows, harmless in groups],
        )
        for i in range(units)
    ]  # fmt: skip
    assert [(*CLASSES, "unknown")[k] for k in found] == names
    assert len(set(names)) == (5 if limit == 0.3 else 4)
