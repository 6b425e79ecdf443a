from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses._joint import FARTHEST, LIST, neighbours
from wdyn.analyses._paths import gather


def test_neighbours_are_the_nearest_of_the_step_and_the_own_steps(rng: np.random.Generator) -> None:
    history = rng.normal(size=(3, 20, 5))
    paths = gather(MemoryRun({"fc": history}), "fc")
    found = neighbours(paths)
    for t, n in np.ndindex(3, 20):
        point = paths.place[t, n]
        cosine = paths.points[paths.place[t]].astype(float) @ paths.points[point]
        nearest = [m for m in np.argsort(-cosine) if m != n]
        own = [paths.place[s, n] for s in (t - 1, t + 1) if 0 <= s < 3]
        listed = [p for p in found.points[point] if p >= 0]
        assert listed[0] == point
        assert set(listed) == {point, *own, *paths.place[t, nearest[:10]].tolist()}
        assert (found.points[point] < 0).sum() == LIST - len(listed)
    assert (np.diff(found.distance) >= 0).all()
    one, other = found.points[0, :2]
    assert_allclose(found.distance[0, 1], 1 - paths.points[one] @ paths.points[other], atol=1e-6)  # float32 product


def test_few_neurons_have_few_neighbours(rng: np.random.Generator) -> None:
    found = neighbours(gather(MemoryRun({"fc": rng.normal(size=(2, 3, 4))}), "fc"))
    assert_array_equal((found.points >= 0).sum(axis=1), np.full(6, 4))  # itself, two others, one own step
    assert_array_equal(found.distance[:, 4:], np.full((6, LIST - 4), FARTHEST))


def test_a_point_that_many_neurons_leave_keeps_a_full_list(rng: np.random.Generator) -> None:
    history = np.concatenate([np.ones((1, 30, 4)), rng.normal(size=(1, 30, 4))])  # all equal at the start
    paths = gather(MemoryRun({"fc": history}), "fc")
    found = neighbours(paths)
    assert (found.points[paths.place[0, 0]] >= 0).all()
    assert all(paths.place[0, 0] in found.points[p] for p in paths.place[1])


def test_own_steps_come_before_nearer_others(rng: np.random.Generator) -> None:
    history = rng.normal(size=(5, 20, 6)) + 2  # all within a cone, and others at each step of it
    history[:4, 0], history[4, 0] = history[0, 0], -history[0, 0]  # one stands still, then turns round
    paths = gather(MemoryRun({"fc": history}), "fc")
    assert paths.place[4, 0] in neighbours(paths).points[paths.place[0, 0]]
