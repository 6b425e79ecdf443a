from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses._charts import Lines, Table
from wdyn.analyses._group_summary import Summary, summary
from wdyn.analyses._spec import measured_fields
from wdyn.analyses.clusters import ANALYSIS, charts, compute


def bundles(rng: np.random.Generator, steps: int = 4) -> np.ndarray:
    """(S, 24, 40): random at first, then 6 + 4 neurons on one line and 14 on their own."""
    start = rng.normal(size=(24, 40))
    centre = rng.normal(size=40)
    end = start.copy()
    end[:6], end[6:10] = centre, -centre
    pull = np.linspace(0, 1, steps)[:, None, None]
    return ((1 - pull) * start + pull * end + 0.05 * rng.normal(size=(steps, 24, 40))).astype(np.float32)


@pytest.mark.parametrize(
    ("labels", "live", "expected"),
    [
        ([0, 0, 0, 1, 1, -1], 6, Summary(2, 5 / 6, 3, 36 / (9 + 4 + 1))),
        ([-1, -1, -1, -1], 4, Summary(0, 0.0, 0, 4.0)),
        ([0, 0, 0, 0, -1], 4, Summary(1, 1.0, 4, 1.0)),  # the last row is dead
        ([7, 7, 3, 3], 4, Summary(2, 1.0, 2, 2.0)),  # equal groups count themselves
    ],
)
def test_summary_by_hand(labels: list[int], live: int, expected: Summary) -> None:
    assert_allclose(summary(np.array(labels), live), expected, rtol=1e-15)


def test_summary_of_nothing_live() -> None:
    assert_array_equal(summary(np.array([-1, -1]), 0), Summary(0, np.nan, 0, np.nan))


def test_bundles_are_found_when_they_form(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": bundles(rng)}))
    assert_array_equal(result.ray_groups[[0, -1], 0], [0, 2])
    assert_array_equal(result.line_groups[[0, -1], 0], [0, 1])
    assert_array_equal(result.ray_largest[[0, -1], 0], [0, 6])
    assert_array_equal(result.line_largest[[0, -1], 0], [0, 10])
    assert_allclose(result.ray_share[-1, 0], 10 / 24)
    assert_allclose(result.ray_effective[[0, -1], 0], [24, 24**2 / (36 + 16 + 14)])
    assert_allclose(result.line_effective[-1, 0], 24**2 / (100 + 14))
    assert_array_equal(result.ray_members["fc"][-1], [0] * 6 + [1] * 4 + [-1] * 14)


def test_members_keep_their_number_while_the_order_of_size_turns() -> None:
    eye, rng = np.eye(12), np.random.default_rng(1)
    directions = [[0, 0, 0, 1, 1, 2], [0, 0, 3, 1, 1, 1]]
    history = np.array([eye[step] for step in directions]) + 1e-3 * rng.normal(size=(2, 6, 12))
    members = compute(MemoryRun({"fc": history})).ray_members["fc"]
    assert_array_equal(members, [[1, 1, 1, 0, 0, -1], [1, 1, -1, 0, 0, 0]])


def test_dead_and_non_finite_rows_are_counted_not_grouped(rng: np.random.Generator) -> None:
    history = bundles(rng)
    history[1:, 0], history[2:, 1, 3] = 0, np.nan
    result = compute(MemoryRun({"fc": history}))
    assert_array_equal(result.live[:, 0], [24, 23, 22, 22])
    assert_array_equal(result.ray_members["fc"][-1, :6], [-1, -1, 0, 0, 0, 0])
    assert_allclose(result.ray_share[-1, 0], 8 / 22)


@pytest.mark.parametrize("shape", [(3, 1, 5), (3, 6, 1), (1, 1, 1)])
def test_no_claim_where_none_is_possible(shape: tuple[int, int, int]) -> None:
    result = compute(MemoryRun({"fc": np.ones(shape)}))
    assert not result.ray_groups.any()
    assert not result.line_groups.any()
    assert np.isnan(result.ray_cosine).all()
    table = next(c for c in charts(result) if isinstance(c, Table) and c.layer is None)
    assert table.columns["cosine above"] == table.columns["|cosine| above"] == ["no claim possible"]


def test_all_dead() -> None:
    result = compute(MemoryRun({"fc": np.zeros((2, 3, 4))}))
    assert not result.ray_groups.any()
    assert np.isnan(result.ray_share).all()
    assert charts(result)


def test_large_layers_are_thinned_and_say_so(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"embedding": rng.normal(size=(1, 2100, 3))}))
    assert len(result.neurons["embedding"]) == result.live[0, 0] == 2048
    table = next(c for c in charts(result) if isinstance(c, Table) and c.layer is None)
    assert table.columns["neurons"] == ["2048 of 2100"]


def test_at_most_sixty_steps_first_and_last_among_them(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": rng.normal(size=(200, 3, 4))}, np.arange(200) * 5))
    assert len(result.shown) == 60
    assert (result.shown[0], result.shown[-1]) == (0, 995)


def test_blocks_of_steps_do_not_matter_and_progress_ends_at_one(rng: np.random.Generator) -> None:
    history, told = {"a": bundles(rng), "b": bundles(rng)}, []
    one = compute(MemoryRun(history, block=1), progress=told.append)
    all_at_once = compute(MemoryRun(history, block=9))
    for (name, _, value), (_, _, other) in zip(measured_fields(one), measured_fields(all_at_once), strict=True):
        for layer in one.layers if isinstance(value, dict) else [None]:
            np.testing.assert_array_equal(value[layer] if layer else value, other[layer] if layer else other, name)
    assert told == [0.5, 1.0]


def test_charts_draw_the_result(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"a": bundles(rng), "b": bundles(rng)}))
    lines = [chart for chart in charts(result) if isinstance(chart, Lines)]
    assert_array_equal(lines[0].y["a"], result.ray_groups[:, 0])
    assert_array_equal(lines[1].y["b"], result.line_groups[:, 1])
    assert_array_equal(lines[3].y["a"], result.ray_effective[:, 0] / 24)
    largest = [chart for chart in charts(result) if isinstance(chart, Table) and chart.layer == "a"]
    assert largest[0].columns["neurons"] == [6, 4]
    assert largest[0].columns["first members"] == ["0, 1, 2, 3, 4, 5", "6, 7, 8, 9"]


def test_a_run_without_layers() -> None:
    run = MemoryRun({"fc": np.ones((2, 3, 4))}).select(layers="none")
    run.steps = np.arange(2)
    result = compute(run)
    assert result.ray_groups.shape == (2, 0)
    assert ANALYSIS.charts(result)
    assert dataclasses.is_dataclass(result)
