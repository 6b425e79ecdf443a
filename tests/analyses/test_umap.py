"""UMAP compiles for several seconds in each process, so these tests share it and use few, small layers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses._charts import Lines, PointsThroughTime
from wdyn.analyses._paths import gather
from wdyn.analyses.umap import ANALYSIS, FARTHEST, LIST, charts, compute, layout, neighbours


def clumps(rng: np.random.Generator, steps: int = 6) -> np.ndarray:
    """(S, 36, 20): random at first, then in three clumps of twelve; two equal rows, one row that dies."""
    start = rng.normal(size=(36, 20))
    end = np.repeat(3 * rng.normal(size=(3, 20)), 12, axis=0) + rng.normal(size=(36, 20))
    pull = np.linspace(0, 1, steps)[:, None, None]
    history = (1 - pull) * start + pull * end
    history[:, 7], history[3:, 20] = history[:, 6], 0
    return history.astype(np.float32)


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


@pytest.mark.parametrize(
    "history",
    [
        np.ones((1, 1, 1)), np.ones((20, 1, 3)), np.ones((4, 30, 1)), np.ones((3, 30, 4)), np.zeros((2, 3, 4)),
        np.full((2, 3, 4), np.nan), np.arange(1.0, 9).reshape(1, 2, 4), np.array([[[1.0]], [[-1.0]]]),
        np.random.default_rng(0).normal(size=(9, 3, 4)),
    ],
)  # fmt: skip
def test_too_little_for_a_graph_falls_back_to_components_and_says_so(history: np.ndarray) -> None:
    result = compute(MemoryRun({"fc": history}))
    assert result.method == {"fc": "pca"}
    assert result.xy["fc"].shape == (*history.shape[:2], 2)
    assert "Too few distinct points for UMAP" in charts(result)[0].caption


@pytest.mark.slow
def test_clumps_are_apart_at_the_end_and_the_picture_can_be_trusted(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": clumps(rng)}))
    assert result.method == {"fc": "umap"}
    end = result.xy["fc"][-1]
    centre = np.array([np.nanmean(end[at : at + 12], axis=0) for at in (0, 12, 24)])
    own = np.linalg.norm(end - np.repeat(centre, 12, axis=0), axis=1)
    apart = min(np.linalg.norm(centre[a] - centre[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert np.nanmax(own) < apart
    assert result.trustworthiness[-1, 0] > 0.8
    assert_allclose(result.shuffled[-1, 0], 0.5, atol=0.15)
    assert_array_equal(np.argwhere(np.isnan(result.xy["fc"][..., 0])), [[3, 20], [4, 20], [5, 20]])
    assert_array_equal(result.lost[:, 0], [0, 0, 0, 1, 1, 1])
    assert_array_equal(result.xy["fc"][:, 6], result.xy["fc"][:, 7])


@pytest.mark.slow
def test_same_seed_same_picture_whatever_the_order_of_neurons(rng: np.random.Generator) -> None:
    history, shuffle = clumps(rng), rng.permutation(36)
    one, again, moved = (compute(MemoryRun({"fc": h}), seed=5) for h in (history, history, history[:, shuffle]))
    assert one.xy["fc"].tobytes() == again.xy["fc"].tobytes()
    assert_array_equal(one.xy["fc"][:, shuffle], moved.xy["fc"])
    assert not np.array_equal(one.xy["fc"], compute(MemoryRun({"fc": history}), seed=6).xy["fc"], equal_nan=True)


@pytest.mark.slow
def test_lonely_points_and_sudden_lives_are_placed(rng: np.random.Generator) -> None:
    history = rng.normal(size=(8, 6, 3))
    history[:3, 1:] = 0  # one neuron only, at first
    result = compute(MemoryRun({"fc": history}))
    assert result.method == {"fc": "umap"}
    assert_array_equal(np.isfinite(result.xy["fc"]).all(axis=2), history.any(axis=2))


@pytest.mark.slow
def test_global_random_state_is_left_alone(rng: np.random.Generator) -> None:
    paths = gather(MemoryRun({"fc": clumps(rng)}), "fc")
    np.random.seed(11)  # noqa: NPY002  the legacy state is what must not move
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(11)  # noqa: NPY002
    layout(paths, seed=0)
    assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


@pytest.mark.slow
def test_charts_draw_the_result_and_state_the_settings(rng: np.random.Generator) -> None:
    told: list[float] = []
    result = compute(MemoryRun({"a": clumps(rng, 3), "b": np.ones((3, 2, 2))}), seed=4, progress=told.append)
    points, _, quality = charts(result)
    assert isinstance(points, PointsThroughTime)
    assert isinstance(quality, Lines)
    assert points.xy is result.xy["a"]
    assert_array_equal(quality.y["a"], result.trustworthiness[:, 0])
    for fact in (
        "10 nearest",
        "min_dist 0.1",
        "200 epochs",
        "seed 4",
        "36 of 36 neurons, 3 of 3 steps",
        "Trustworthiness",
    ):
        assert fact in points.caption
    assert told == [0.5, 1.0]
    assert ANALYSIS.when == "full"
