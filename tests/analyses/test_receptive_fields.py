from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import wdyn
from tests.analyses.memory_run import MemoryRun
from tests.make_run import make_run
from tests.reference import moran as reference
from wdyn.analyses import receptive_fields
from wdyn.analyses._charts import HeatMap, ImagesThroughTime, Lines
from wdyn.analyses._draw import draw
from wdyn.analyses.receptive_fields import ANALYSIS, MOST_VALUES, charts, compute, findings
from wdyn.report.sections import make_section


def test_pictures_and_smoothness_are_those_of_the_weights(rng: np.random.Generator) -> None:
    history = rng.normal(size=(9, 4, 64)).astype(np.float32)
    result = compute(MemoryRun({"fc": history, "out": rng.normal(size=(9, 2, 4))}), seed=1)
    assert result.pictured.tolist() == [0, 1, 3, 8]
    assert_array_equal(result.images["fc"], history[[0, 1, 3, 8]].reshape(4, 4, 1, 8, 8))
    expected = [[reference.moran(row.reshape(8, 8).tolist()) for row in rows] for rows in history[[0, 8]]]
    assert_allclose(result.smoothness["fc"][[0, 8]], expected, rtol=1e-9, atol=1e-12)
    assert_allclose(result.mean_smoothness[[0, 8], 0], np.mean(expected, axis=1), rtol=1e-9, atol=1e-12)
    assert_array_equal([result.height, result.width, result.channel_count], [[8, 0], [8, 0], [1, 0]])
    assert np.isnan(result.mean_smoothness[:, 1]).all()


def test_the_band_holds_the_mean_of_noise(rng: np.random.Generator) -> None:
    history = rng.normal(size=(60, 20, 64))
    result = compute(MemoryRun({"fc": history}))
    mean = result.mean_smoothness[:, 0]
    inside = (result.chance_low[:, 0] <= mean) & (mean <= result.chance_high[:, 0])
    assert 51 <= inside.sum() <= 60  # 57 expected; 3.6 standard deviations of the binomial law


def test_what_is_smooth_is_claimed_and_initial_weights_are_not(rng: np.random.Generator) -> None:
    start = rng.normal(size=(30, 64))
    end = start.copy()
    end[:7] += 3 * np.add.outer(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8)).ravel()
    before, after = findings(compute(MemoryRun({"fc": np.stack([start, end])})))
    assert (before.significant, before.step, before.level) == (False, 0, 0.01)
    assert before.text == "fc: 0 of 30 neurons have weights smoother in the image than shuffled pixels allow"
    assert after.significant
    assert after.text.startswith("fc: 7 of 30 neurons have")


def test_many_pixels_mean_fewer_pictures_never_more_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receptive_fields, "smooth_by_chance", lambda images, rng: np.ones(len(images)))  # takes seconds
    for rows, inputs in ((300, 784), (700, 784), (900, 3072)):
        history = np.zeros((3, rows, inputs), dtype=np.float32)
        history[..., 0] = np.arange(rows)
        result = compute(MemoryRun({"fc": history}))
        assert result.images["fc"].size <= MOST_VALUES
        assert result.pictured.tolist() == [0, 2]
        drawn = result.drawn["fc"]
        assert_array_equal(result.images["fc"][0, :, 0, 0, 0], drawn)
        assert (drawn[0], drawn[-1]) == (0, rows - 1)
        sheet = next(chart for chart in charts(result) if isinstance(chart, ImagesThroughTime))
        assert ("neurons)" in sheet.title) == (len(drawn) < rows)


def test_of_many_channels_the_strongest_are_drawn(rng: np.random.Generator, tmp_path: Path) -> None:
    kernels = rng.normal(size=(6, 5, 3, 3)).astype(np.float32)
    kernels[0, [1, 2, 4]] *= 50
    path = make_run(tmp_path / "a.h5", {0: {"conv.weight": 0 * kernels}, 9: {"conv.weight": kernels}})
    with wdyn.open_run(path) as run:
        result = compute(run)
    assert result.channels["conv"][0].tolist() == [1, 2, 4]
    assert_array_equal(result.images["conv"][1, 0], kernels[0, [1, 2, 4]])
    assert result.images["conv"].shape == (2, 6, 3, 3, 3)
    assert np.isnan(result.smoothness["conv"][0]).all()  # all dead: nothing to ask
    assert [finding.step for finding in findings(result)] == [9]


def test_charts_draw_a_sheet_with_one_scale_in_every_picture(rng: np.random.Generator) -> None:
    history = rng.normal(size=(2, 5, 64))
    history[1, 2] = np.nan
    result = compute(MemoryRun({"fc": history}))
    kinds = [type(chart) for chart in charts(result)]
    assert kinds == [ImagesThroughTime, Lines, HeatMap]
    sheet = charts(result)[0]
    picture = draw(sheet).images[0]
    assert picture.get_clim() == (-sheet.limit, sheet.limit)
    assert_allclose(picture.get_array()[:8, :8], history[1, 0].reshape(8, 8), rtol=1e-6)
    assert "a guess: the run does not say how its inputs lie, and 64 make a square" in sheet.caption


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_layer_without_any_live_neuron(value: float) -> None:
    result = compute(MemoryRun({"fc": np.full((2, 3, 64), value)}))
    assert not list(findings(result))
    for chart in charts(result):
        draw(chart)


def test_a_run_that_sees_no_image_is_skipped_in_words() -> None:
    run = MemoryRun({"fc": np.ones((2, 3, 5))})
    section = make_section("receptive_fields", ANALYSIS, run)  # type: ignore[arg-type]
    assert section.status == "skipped"
    assert "look at an image" in section.reason
    assert charts(compute(run)) == []


def test_the_same_seed_gives_the_same_claims(rng: np.random.Generator) -> None:
    run = MemoryRun({"fc": rng.normal(size=(1, 40, 64)).cumsum(axis=2)})
    assert_array_equal(compute(run, seed=3).smooth, compute(run, seed=3).smooth)
