from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses._charts import Lines, PointsThroughTime
from wdyn.analyses._neurons import unit_rows
from wdyn.analyses.pca import ANALYSIS, chance_explained, charts, compute


def test_places_are_the_first_two_components_of_all_directions(rng: np.random.Generator) -> None:
    history = rng.normal(size=(4, 7, 5))
    result = compute(MemoryRun({"fc": history}))
    unit = np.concatenate([unit_rows(rows) for rows in history])
    _, sizes, right = np.linalg.svd(unit - unit.mean(axis=0))
    expected = np.abs((unit - unit.mean(axis=0)) @ right[:2].T).reshape(4, 7, 2)
    assert_allclose(np.abs(result.xy["fc"]), expected, rtol=0, atol=1e-5)  # points are kept as float32
    assert_allclose(result.explained[0], (sizes**2 / (sizes**2).sum())[:2], rtol=1e-5)


def test_by_chance_agrees_with_independent_draws(rng: np.random.Generator) -> None:
    expected = []
    for _ in range(200):
        unit = unit_rows(rng.normal(size=(12, 6)))
        sizes = np.linalg.svd(unit - unit.mean(axis=0), compute_uv=False) ** 2
        expected.append(sizes[:2] / sizes.sum())
    spread = np.std(expected, axis=0) / np.sqrt(5)
    # five draws against 200: within four standard errors
    assert (np.abs(chance_explained(12, 6, rng=rng) - np.mean(expected, axis=0)) < 4 * spread).all()


def test_random_neurons_that_stand_still_explain_what_chance_does(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": np.tile(rng.normal(size=(1, 60, 40)), (5, 1, 1))}))
    assert_allclose(result.explained.sum(), result.by_chance.sum(), rtol=0.1)  # one draw scatters by about 3 %
    assert_array_equal(result.xy["fc"], np.tile(result.xy["fc"][:1], (5, 1, 1)))


def test_dead_rows_have_no_place_and_equal_rows_the_same(rng: np.random.Generator) -> None:
    history = rng.normal(size=(3, 6, 4)).astype(np.float32)
    history[1:, 0], history[2, 3, 1], history[:, 5] = 0, np.inf, history[:, 4] * 2
    result = compute(MemoryRun({"fc": history}))
    assert_array_equal(np.argwhere(np.isnan(result.xy["fc"][..., 0])), [[1, 0], [2, 0], [2, 3]])
    assert_array_equal(result.lost[:, 0], [0, 1, 2])
    assert_array_equal(result.xy["fc"][:, 4], result.xy["fc"][:, 5])
    caption = next(c for c in charts(result) if isinstance(c, PointsThroughTime)).caption
    assert "without a place: 2 at the last step" in caption


@pytest.mark.parametrize(
    "history",
    [
        np.ones((1, 1, 1)), np.ones((4, 3, 1)), np.ones((3, 5, 4)), np.zeros((2, 3, 4)), np.full((2, 3, 4), np.nan),
        np.arange(1.0, 9).reshape(1, 2, 4), np.array([[[1.0]], [[-1.0]]]),
    ],
)  # fmt: skip
def test_almost_nothing_works(history: np.ndarray) -> None:
    result = compute(MemoryRun({"fc": history}))
    assert result.xy["fc"].shape == (*history.shape[:2], 2)
    assert len(charts(result)) == 2


def test_same_seed_same_bytes_and_order_of_neurons_only_reorders(rng: np.random.Generator) -> None:
    history, shuffle = rng.normal(size=(3, 9, 5)), rng.permutation(9)
    one, again, moved = (compute(MemoryRun({"fc": h}), seed=3) for h in (history, history, history[:, shuffle]))
    assert one.xy["fc"].tobytes() == again.xy["fc"].tobytes()
    assert_array_equal(one.xy["fc"][:, shuffle], moved.xy["fc"])


def test_motion_is_measured_against_steps_in_random_order(rng: np.random.Generator) -> None:
    turn = np.linspace(0, 2 * np.pi, 30)[:, None] + rng.uniform(0, 2 * np.pi, size=50)
    result = compute(MemoryRun({"fc": np.stack([np.cos(turn), np.sin(turn)], axis=-1)}))
    assert np.isnan(result.motion[0, 0])
    # spread 1: the chord of one step against the mean chord of a circle; 50 neurons and 29 steps leave a few per cent
    assert_allclose(result.motion[1:, 0], 2 * np.sin(np.pi / 29), rtol=0.05)
    assert_allclose(np.nanmean(result.motion_shuffled), 4 / np.pi, rtol=0.05)


def test_a_layer_is_placed_the_same_with_and_without_others(rng: np.random.Generator) -> None:
    run, told = MemoryRun({"a": rng.normal(size=(3, 6, 4)), "b": rng.normal(size=(3, 5, 4))}), []
    both, alone = compute(run, progress=told.append), compute(run.select(layers="b"))
    assert_array_equal(both.xy["b"], alone.xy["b"])
    assert_array_equal(both.shuffled[:, 1], alone.shuffled[:, 0])
    assert told == [0.5, 1.0]


def test_charts_draw_the_result_and_say_what_was_shown(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": rng.normal(size=(90, 12, 5))}))
    points, quality = charts(result)
    assert isinstance(points, PointsThroughTime)
    assert isinstance(quality, Lines)
    assert points.xy is result.xy["fc"]
    assert points.size is result.norms["fc"]
    assert "12 of 12 neurons, 30 of 90 steps" in points.caption
    assert f"{result.explained[0].sum():.1%} of the variance" in points.caption
    assert_array_equal(quality.y["fc"], result.trustworthiness[:, 0])
    assert ANALYSIS.when == "quick"


def test_thinned_layers_keep_neuron_numbers_in_tables(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wdyn.analyses._paths.MOST_POINTS", 6)
    frame = compute(MemoryRun({"fc": rng.normal(size=(2, 11, 4))})).to_dataframe()
    assert sorted(frame["neuron"].dropna().unique()) == [0, 5, 10]


def test_a_run_without_layers() -> None:
    run = MemoryRun({"fc": np.ones((2, 3, 4))}).select(layers="none")
    run.steps = np.arange(2)
    assert compute(run).explained.shape == (0, 2)
