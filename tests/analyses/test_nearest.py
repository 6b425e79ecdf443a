from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from tests.reference import linkage as reference
from wdyn.analyses._groups import cosines
from wdyn.analyses._nearest import NEAREST, nearest, nearest_by_chance
from wdyn.analyses._neurons import directions
from wdyn.analyses.similarity import compute


def by_sorting(rows: list[list[float]], count: int) -> list[list[tuple[float, int]]]:
    """Every other live row of each row, by falling cosine, the lower row first among equals."""
    live = [i for i, row in enumerate(rows) if any(row)]
    found = []
    for i, row in enumerate(rows):
        others = [(-reference.cosine(row, rows[j]), j) for j in live if j != i] if i in live else []
        found.append([(-minus, j) for minus, j in sorted(others)[:count]])
    return found


@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (4, 1), (7, 2), (40, 5)])
def test_the_nearest_are_those_of_sorting_all(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    rows = rng.normal(size=shape)
    rows[3:4] = 0
    unit, _, live = directions(rows)
    found = nearest(cosines(unit), live)
    for i, expected in enumerate(by_sorting(rows.tolist(), NEAREST)):
        values = [c for c, _ in expected] + [np.nan] * (NEAREST - len(expected))
        assert_allclose(found.cosine[i], values, atol=1e-6)  # stored as float32
        if shape[1] > 1:  # with one input all cosines are 1 or -1 but for rounding, so the order is free
            assert found.rows[i].tolist() == [j for _, j in expected] + [-1] * (NEAREST - len(expected))


def test_ties_go_to_the_lower_row() -> None:
    cosine = np.full((9, 9), 0.5)
    found = nearest(cosine, np.ones(9, dtype=bool))
    assert found.rows[0].tolist() == [1, 2, 3, 4, 5]
    assert found.rows[3].tolist() == [0, 1, 2, 4, 5]


@pytest.mark.parametrize(("count", "inputs"), [(2, 2), (5, 3), (300, 10), (20, 60), (3, 1)])
def test_the_nearest_of_random_directions_stays_below_in_95_of_100_cases(
    rng: np.random.Generator, count: int, inputs: int
) -> None:
    bound = nearest_by_chance(count, inputs)
    draws = 2000
    unit = directions(rng.normal(size=(draws, count, inputs))).unit
    below = int((np.einsum("rnd,rd->rn", unit[:, 1:], unit[:, 0]).max(axis=1) <= bound + 1e-12).sum())
    # 3.5 standard errors of a share of 0.95
    assert inputs == 1 or abs(below / draws - 0.95) < 3.5 * np.sqrt(0.95 * 0.05 / draws)
    assert inputs > 1 or below == draws


def test_without_others_there_is_no_bound() -> None:
    assert np.isnan(nearest_by_chance(1, 5))
    assert np.isnan(nearest_by_chance(0, 5))


def test_a_layer_larger_than_the_matrix_has_exact_neighbours(rng: np.random.Generator) -> None:
    history = rng.normal(size=(2, 600, 6))
    history[1, 17] = 0
    result = compute(MemoryRun({"fc": history}))
    neurons = result.neurons["fc"]
    for t, rows in enumerate(history):
        unit = directions(rows).unit
        cosine = unit @ unit.T
        np.fill_diagonal(cosine, -2)
        for i in (0, 5, 599):
            expected = np.argsort(-cosine[neurons[i]])[:NEAREST]
            if rows[neurons[i]].any():
                assert_array_equal(neurons[result.neighbours["fc"][t, i]], expected)
    dead = int(np.flatnonzero(neurons == 17)[0])
    assert_array_equal(result.neighbours["fc"][1, dead], np.full(NEAREST, -1))
    assert 17 not in neurons[result.neighbours["fc"][1][result.neighbours["fc"][1] >= 0]]
    assert_allclose(result.chance_nearest[:, 0], [nearest_by_chance(600, 6), nearest_by_chance(599, 6)], rtol=0)
