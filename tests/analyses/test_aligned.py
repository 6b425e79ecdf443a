from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses._aligned import FEWEST, Graph, _graphs, _nearest, _settled, aligned, enough
from wdyn.analyses._embedding import motion
from wdyn.analyses._paths import Paths, gather


def paths_of(history: np.ndarray) -> Paths:
    return gather(MemoryRun({"fc": history}), "fc")


@pytest.mark.slow
def test_edges_join_nearest_neurons_of_one_step(rng: np.random.Generator) -> None:
    history = rng.normal(size=(3, 25, 6))
    history[1, :5] = 0
    paths = paths_of(history)
    for place, graph in zip(paths.place, _graphs(paths.points, paths.place), strict=True):
        rows = np.flatnonzero(place >= 0)
        assert_array_equal(graph.rows, rows)
        unit = paths.points[place[rows]].astype(float)
        order = np.argsort(-(unit @ unit.T), axis=1)[:, 1 : min(10, (len(rows) - 1) // 2) + 1]
        listed = {(i, j) for i, row in enumerate(order.tolist()) for j in row}
        edges = set(zip(graph.head.tolist(), graph.tail.tolist(), strict=True))
        assert edges == listed | {(j, i) for i, j in listed}
        # UMAP's membership of the nearest neighbour is 1, so nothing pulls harder than it
        assert_allclose(graph.weight.max(), 1.0, rtol=1e-6)


def test_a_neuron_comes_before_its_equals(rng: np.random.Generator) -> None:
    unit = np.repeat(np.eye(3), 4, axis=0)
    nearest, distance = _nearest(unit)
    assert_array_equal(nearest[:, 0], range(12))
    assert_array_equal(nearest[5], [5, 4, 6, 7, 0, 1])  # ties go to the lower row
    assert_array_equal(distance[5], [0, 0, 0, 0, 1, 1])


@pytest.mark.slow
def test_a_tied_neuron_alone_stays_and_its_tie_repels_nobody(rng: np.random.Generator) -> None:
    none = np.empty(0, dtype=np.int32)
    places = np.array([[0, 0], [3, 4]], dtype=np.float32)
    one = Graph(np.arange(1), none, none, none.astype(np.float32))
    assert_array_equal(_settled(places[:1].copy(), one, np.arange(1), rng), places[:1])
    two = Graph(np.arange(2), np.array([0], dtype=np.int32), np.array([1], dtype=np.int32), np.ones(1, np.float32))
    free, held = (_settled(places.copy(), two, np.arange(count), rng) for count in (0, 1))
    assert_array_equal(free[1], places[1])  # nothing pulls it and nothing moves the other end of an edge
    assert np.linalg.norm(held[0] - places[1]) > np.linalg.norm(free[0] - places[1])
    assert_allclose(held[0, 0] / held[0, 1], 3 / 4, rtol=1e-4)  # all forces act along the line of the two


@pytest.mark.slow
def test_a_step_knows_nothing_of_later_ones(rng: np.random.Generator) -> None:
    history = rng.normal(size=(8, 30, 12))
    history[:3, 4] = 0
    long, short = (aligned(paths_of(history[:count]), seed=3) for count in (8, 5))
    assert_array_equal(long[:5], short)


@pytest.mark.slow
def test_ties_calm_the_paths(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = paths_of(rng.normal(size=(30, 20)) + 0.1 * np.cumsum(rng.normal(size=(10, 30, 20)), axis=0))
    tied = motion(aligned(paths, seed=0)).mean()
    monkeypatch.setattr("wdyn.analyses._aligned.TIE", 1e-6)
    assert motion(aligned(paths, seed=0)).mean() > 3 * tied


@pytest.mark.slow
def test_neurons_of_one_neighbourhood_stay_and_come_together(rng: np.random.Generator) -> None:
    start, target = rng.normal(size=(40, 30)), np.repeat(rng.normal(size=(2, 30)), 20, axis=0)
    pull = np.repeat([0, 0, 0, 0, 0.9, 0.9, 0.9, 0.9], 1)[:, None, None]
    xy = aligned(paths_of((1 - pull) * start + pull * target), seed=0)
    moved = motion(xy)
    assert moved.argmax() == 3  # the only change between two steps
    # every neuron is among its own kind at the end, and was not so at the start
    nearest = np.argsort(np.linalg.norm(xy[:, :, None] - xy[:, None], axis=-1), axis=-1)[..., 1:6]
    same = (nearest // 20 == np.arange(40)[:, None] // 20).mean(axis=(1, 2))
    assert same[-1] == 1
    assert same[0] < 0.9


@pytest.mark.slow
def test_each_step_fills_the_picture(rng: np.random.Generator) -> None:
    drift = np.linspace(0, 5, 12)[:, None, None] * rng.normal(size=20)  # all turn the same way
    xy = aligned(paths_of(rng.normal(size=(60, 20)) + drift), seed=0)
    size = xy.std(axis=1)
    # in one UMAP of all steps a step takes a tenth of the picture; half of it leaves room for chance
    assert (size > 0.5 * xy.reshape(-1, 2).std(axis=0)).all()


@pytest.mark.slow
def test_a_layer_that_stands_still_does_so_in_the_picture(rng: np.random.Generator) -> None:
    history = np.repeat(rng.normal(size=(2, 30, 12)), [3, 2], axis=0)
    assert_array_equal(motion(aligned(paths_of(history), seed=0))[[0, 1, 3]], [0, 0, 0])


def test_too_few_neurons_for_neighbourhoods(rng: np.random.Generator) -> None:
    history = rng.normal(size=(2, 30, 4))
    history[:, FEWEST - 1 :] = history[:, :1]
    assert not enough(paths_of(history))
    history[1, -1] = 1
    assert enough(paths_of(history))
