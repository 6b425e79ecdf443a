from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from tests.reference import linkage as reference
from wdyn.analyses._charts import Lines, MatrixThroughTime
from wdyn.analyses._groups import cosines
from wdyn.analyses._neurons import directions, unit_rows
from wdyn.analyses.similarity import MOST_BYTES, block_means, chance_cosine, charts, compute, mean_absolute_cosine, plan


def test_matrices_are_the_cosines_of_the_rows_in_order(rng: np.random.Generator) -> None:
    history = rng.normal(size=(3, 9, 5)).astype(np.float32)
    result = compute(MemoryRun({"fc": history}))
    order = result.neurons["fc"]
    assert_array_equal(np.sort(order), np.arange(9))
    assert result.members["fc"] == [[neuron] for neuron in order.tolist()]
    for t, rows in enumerate(history):
        expected = reference.cosine_matrix(rows[order].tolist())
        assert_allclose(result.matrices["fc"][t], expected, rtol=0, atol=1e-7)  # float32 of numbers up to 1
    assert_array_equal(np.diagonal(result.matrices["fc"], axis1=1, axis2=2), np.ones((3, 9)))


def test_groups_of_the_last_step_are_blocks_on_the_diagonal(rng: np.random.Generator) -> None:
    kind = np.array([0, 1, 2, 0, 1, 2, 0, 1, 0])
    end = rng.normal(size=(3, 30))[kind] + 0.1 * rng.normal(size=(9, 30))
    result = compute(MemoryRun({"fc": np.stack([rng.normal(size=(9, 30)), end])}))
    in_order = kind[result.neurons["fc"]]
    assert (np.diff(in_order) != 0).sum() == 2
    assert_array_equal(result.groups["fc"][0], np.full(9, -1))
    assert_array_equal(result.groups["fc"][1], in_order)  # by size 4, 3, 2, as planted


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 13])
def test_block_means_agree_with_the_double_loop(rng: np.random.Generator, count: int) -> None:
    rows = rng.normal(size=(13, 4))
    rows[[3, 4, 10]] = 0
    unit, _, live = directions(rows)
    blocks = np.array_split(np.arange(13), count)
    found = block_means(cosines(unit), live, np.array([block[0] for block in blocks]))
    for a, one in enumerate(blocks):
        for b, other in enumerate(blocks):
            pairs = [(i, j) for i in one for j in other if live[i] and live[j] and (i != j or len(one) == 1)]
            expected = np.mean([unit[i] @ unit[j] for i, j in pairs]) if pairs else np.nan
            assert_allclose(found[a, b], expected, rtol=0, atol=1e-7)  # stored as float32
    assert_array_equal(found, found.T)


def test_large_layers_show_block_means_and_say_so(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": rng.normal(size=(1, 600, 6))}))
    assert result.matrices["fc"].shape == (1, 200, 200)
    assert sorted(neuron for each in result.members["fc"] for neuron in each) == list(range(600))
    assert {len(each) for each in result.members["fc"]} == {3}  # unequal blocks would look like structure
    matrix = next(c for c in charts(result) if isinstance(c, MatrixThroughTime))
    assert matrix.title == "Cosine between neurons (means over blocks of 3)"


def test_huge_layers_are_thinned_and_say_so(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": rng.normal(size=(1, 2100, 2))}))
    matrix = next(c for c in charts(result) if isinstance(c, MatrixThroughTime))
    assert matrix.title == "Cosine between neurons (2048 of 2100 neurons, means over blocks of 8)"


@pytest.mark.parametrize(
    ("rows", "steps"),
    [([300, 100, 10], 2001), ([300], 3), ([512] * 50, 500), ([4096] * 700, 500), ([64] * 5000, 500), ([], 9)],
)
def test_all_matrices_stay_within_the_budget(rows: list[int], steps: int) -> None:
    side, shown = plan(rows, steps)
    assert shown == 2 or shown * sum(4 * min(n, side) ** 2 for n in rows) <= MOST_BYTES
    assert 2 <= shown <= 60
    if len(rows) < 5:
        assert (side, shown) == (256, 60)


def test_mean_cosine_agrees_with_the_double_loop(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(7, 3))
    pairs = [abs(reference.cosine(rows[i].tolist(), rows[j].tolist())) for i in range(7) for j in range(i)]
    padded = np.insert(rows, 2, 0, axis=0)
    unit, _, live = directions(padded)
    assert_allclose(mean_absolute_cosine(cosines(unit), live), np.mean(pairs), rtol=1e-13)


def test_mean_cosine_in_closed_form() -> None:
    angles = np.array([0, 2, 4]) * np.pi / 3
    everyone = np.ones(3, dtype=bool)
    assert_allclose(mean_absolute_cosine(cosines(np.c_[np.cos(angles), np.sin(angles)]), everyone), 0.5, rtol=1e-12)
    assert mean_absolute_cosine(cosines(np.eye(3)), everyone) == 0
    assert math.isnan(mean_absolute_cosine(np.ones((1, 1)), everyone[:1]))


@pytest.mark.parametrize(("inputs", "mean"), [(1, 1), (2, 2 / math.pi), (3, 1 / 2), (4, 4 / (3 * math.pi))])
def test_chance_where_the_sphere_is_elementary(inputs: int, mean: float) -> None:
    expected, deviation = chance_cosine(2, inputs)
    assert_allclose(expected, mean, rtol=1e-14)
    assert_allclose(deviation, math.sqrt(1 / inputs - mean**2), atol=1e-7)  # at D = 1 the root of rounding


def test_chance_agrees_with_random_directions(rng: np.random.Generator) -> None:
    mean, deviation = chance_cosine(8, 5)
    draws = [mean_absolute_cosine(cosines(unit_rows(rng.normal(size=(8, 5)))), np.ones(8, bool)) for _ in range(4000)]
    assert abs(np.mean(draws) - mean) < 4 * deviation / math.sqrt(4000)
    assert_allclose(np.std(draws), deviation, rtol=0.05)  # 4 standard errors of a standard deviation from 4,000 draws


def test_band_holds_an_initialisation_and_not_a_bundle(rng: np.random.Generator) -> None:
    bundle = rng.normal(size=30) + 0.5 * rng.normal(size=(20, 30))
    result = compute(MemoryRun({"fc": np.stack([rng.normal(size=(20, 30)), bundle])}))
    assert result.chance_low[0, 0] < result.mean_cosine[0, 0] < result.chance_high[0, 0]
    assert result.mean_cosine[1, 0] > 3 * result.chance_high[1, 0]
    lines = next(c for c in charts(result) if isinstance(c, Lines))
    assert_array_equal(lines.y["fc"], result.mean_cosine[:, 0])
    assert_array_equal(lines.bands["fc"][1], result.chance_high[:, 0])


def test_dead_rows_are_blank_and_last(rng: np.random.Generator) -> None:
    history = rng.normal(size=(2, 5, 4))
    history[1, 2], history[1, 4] = 0, np.inf
    result = compute(MemoryRun({"fc": history}))
    assert_array_equal(result.neurons["fc"][-2:], [2, 4])
    assert_array_equal(result.live[:, 0], [5, 3])
    assert np.isnan(result.matrices["fc"][1, 3:]).all()
    assert np.isnan(result.matrices["fc"][1, :, 3:]).all()
    assert np.isfinite(result.matrices["fc"][1, :3, :3]).all()
    assert np.isfinite(result.matrices["fc"][0]).all()


def test_same_matrices_whatever_the_scale_of_neurons(rng: np.random.Generator) -> None:
    history = rng.normal(size=(2, 6, 4))
    one, scaled = (
        compute(MemoryRun({"fc": h})) for h in (history, history * 4.0 ** rng.integers(-3, 3, size=(2, 6, 1)))
    )
    assert_array_equal(one.matrices["fc"], scaled.matrices["fc"])


def test_blocks_of_steps_do_not_matter_and_progress_ends_at_one(rng: np.random.Generator) -> None:
    history, told = {"a": rng.normal(size=(5, 6, 4)), "b": rng.normal(size=(5, 3, 4))}, []
    one = compute(MemoryRun(history, block=1), progress=told.append)
    other = compute(MemoryRun(history, block=9))
    assert_array_equal(one.matrices["a"], other.matrices["a"])
    assert_array_equal(one.mean_cosine, other.mean_cosine)
    assert told == [0.5, 1.0]


def test_a_run_without_layers() -> None:
    run = MemoryRun({"fc": np.ones((2, 3, 4))}).select(layers="none")
    run.steps = np.arange(2)
    assert compute(run).mean_cosine.shape == (2, 0)
