from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses import pca, umap
from wdyn.analyses._neurons import unit_rows
from wdyn.analyses._place import place


def walk(rng: np.random.Generator) -> np.ndarray:
    """(80, 24, 12): slow random walks, of which 30 steps are shown."""
    return rng.normal(size=(24, 12)) + 0.1 * np.cumsum(rng.normal(size=(80, 24, 12)), axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("analysis", [umap, pca])
def test_a_shown_step_gets_its_own_places(analysis: object, rng: np.random.Generator) -> None:
    run = MemoryRun({"fc": walk(rng)})
    result = analysis.compute(run)  # type: ignore[attr-defined]
    placed = place(result, run, result.shown.tolist())["fc"]
    # the other nine, at cosine distances over 1e-3, together weigh under 1e-8 of the neuron itself at 1e-12
    assert_allclose(placed, result.xy["fc"], atol=1e-7 * np.nanmax(np.abs(result.xy["fc"])))


def test_between_two_shown_steps_by_inverse_distance(rng: np.random.Generator) -> None:
    history = walk(rng)
    run = MemoryRun({"fc": history})
    result = pca.compute(run)
    step = int(np.setdiff1d(run.steps, result.shown)[-1])
    after = int(np.searchsorted(result.shown, step))
    here = unit_rows(history[step])[5]
    found = []
    for t in (after - 1, after):
        for row, xy in zip(unit_rows(history[result.shown[t]]), result.xy["fc"][t], strict=True):
            found.append((float(((row - here) ** 2).sum() / 2), xy))
    found = sorted(found, key=lambda each: each[0])[:10]
    weights = [1 / distance for distance, _ in found]
    expected = sum(w * xy for w, (_, xy) in zip(weights, found, strict=True)) / sum(weights)
    assert_allclose(place(result, run, [step])["fc"][0, 5], expected, rtol=1e-9)  # 1 - cos against its square form


def test_neurons_without_a_direction_have_no_place(rng: np.random.Generator) -> None:
    history = walk(rng)
    history[70, 3], history[71, 4, 0], history[:, 8] = 0, np.nan, 0
    run = MemoryRun({"fc": history, "off": np.zeros((80, 3, 2))})
    placed = place(pca.compute(run), run, [70, 71])
    assert_array_equal(np.argwhere(np.isnan(placed["fc"][..., 0])), [[0, 3], [0, 8], [1, 4], [1, 8]])
    assert np.isnan(placed["off"]).all()
