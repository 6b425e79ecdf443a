from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses import _paths
from wdyn.analyses._neurons import unit_rows
from wdyn.analyses._paths import distinct, gather, shuffled_in_time


def test_every_neuron_is_at_its_direction(rng: np.random.Generator) -> None:
    history = rng.normal(size=(4, 6, 3)).astype(np.float32)
    history[2, 1], history[3, 4, 0] = 0, np.nan
    paths = gather(MemoryRun({"fc": history}), "fc")
    assert_array_equal(paths.neurons, range(6))
    assert_array_equal(np.argwhere(paths.place < 0), [[2, 1], [3, 4]])
    assert len(paths.points) == 22
    for t, n in np.argwhere(paths.place >= 0):
        assert_allclose(paths.points[paths.place[t, n]], unit_rows(history[t, n : n + 1])[0], rtol=1e-6)  # float32
    assert paths.norms[2, 1] == 0
    assert np.isnan(paths.norms[3, 4])
    assert_allclose(paths.norms[0], np.linalg.norm(history[0].astype(float), axis=1), rtol=1e-12)


def test_equal_directions_share_a_point() -> None:
    rows = np.array([[[1, 2], [2, 4], [-1, -2], [0, 1], [-0.0, 3], [0, 0]]], dtype=np.float32)
    paths = gather(MemoryRun({"fc": np.tile(rows, (3, 1, 1))}), "fc")
    assert len(paths.points) == 3
    assert_array_equal(paths.place, np.tile(paths.place[0], (3, 1)))
    one, double, opposite, up, also_up, dead = paths.place[0]
    assert one == double != opposite
    assert up == also_up
    assert dead == -1


def test_points_do_not_depend_on_the_order_of_neurons(rng: np.random.Generator) -> None:
    history = rng.normal(size=(3, 8, 4))
    history[:, 5], shuffle = history[:, 2], rng.permutation(8)
    one, other = (gather(MemoryRun({"fc": h}), "fc") for h in (history, history[:, shuffle]))
    assert_array_equal(one.points, other.points)
    assert_array_equal(one.place[:, shuffle], other.place)


def test_large_layers_are_followed_in_part(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_paths, "MOST_POINTS", 40)
    paths = gather(MemoryRun({"fc": rng.normal(size=(4, 30, 3))}), "fc")
    assert len(paths.neurons) == len(paths.groups) == 10
    assert (paths.neurons[0], paths.neurons[-1]) == (0, 29)
    monkeypatch.setattr(_paths, "MOST_NUMBERS", 24)
    assert len(gather(MemoryRun({"fc": rng.normal(size=(4, 30, 3))}), "fc").neurons) == 2


def test_groups_are_those_of_the_last_step(rng: np.random.Generator) -> None:
    end = rng.normal(size=(2, 30))[[0, 1, 0, 1, 0]] + 0.01 * rng.normal(size=(5, 30))
    paths = gather(MemoryRun({"fc": np.stack([rng.normal(size=(5, 30)), end])}), "fc")
    assert_array_equal(paths.groups, [0, 1, 0, 1, 0])


def test_no_live_row_gives_no_point() -> None:
    points, place = distinct(np.zeros((2, 3, 4), dtype=np.float32), np.zeros((2, 3), dtype=bool))
    assert points.shape == (0, 4)
    assert_array_equal(place, np.full((2, 3), -1))


def test_shuffled_in_time_keeps_what_each_neuron_went_through(rng: np.random.Generator) -> None:
    history = rng.normal(size=(9, 7, 4))
    history[2, 3], shuffle = 0, rng.permutation(7)
    one, other = (gather(MemoryRun({"fc": h}), "fc") for h in (history, history[:, shuffle]))
    mixed, again = (shuffled_in_time(paths, rng=np.random.default_rng(4)) for paths in (one, other))
    assert_array_equal(mixed.place, again.place)
    assert sorted(map(sorted, mixed.place.T.tolist())) == sorted(map(sorted, one.place.T.tolist()))
    # each neuron in an order of its own, so no step holds what a step held before
    assert {frozenset(row) for row in mixed.place.tolist()}.isdisjoint(frozenset(row) for row in one.place.tolist())
    assert {tuple(column) for column in mixed.place.T}.isdisjoint(tuple(column) for column in one.place.T)
