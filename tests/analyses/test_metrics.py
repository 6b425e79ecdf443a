from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses._charts import Lines, Table
from wdyn.analyses.metrics import ANALYSIS, charts, compute, gap_pairs, generalisation_gap
from wdyn.store.run import Metric


def metric(steps: list[int], values: list[float]) -> Metric:
    return Metric(np.array(steps, dtype=np.int64), np.array(values, dtype=np.float64))


def run_with(**metrics: Metric) -> MemoryRun:
    return MemoryRun({"fc": np.ones((2, 1, 1))}, metrics=metrics)


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["train_loss", "val_loss"], {"loss gap": ("train_loss", "val_loss")}),
        (["loss", "val_loss"], {"loss gap": ("loss", "val_loss")}),
        (["loss", "train_loss", "val_loss"], {"loss gap": ("train_loss", "val_loss")}),
        (["train/acc", "test/acc"], {"acc gap": ("train/acc", "test/acc")}),
        (["train/acc", "val_acc"], {"acc gap": ("train/acc", "val_acc")}),
        (["training_loss", "valid.loss"], {"loss gap": ("training_loss", "valid.loss")}),
        (
            ["loss", "val_loss", "test_loss"],
            {"val_loss gap": ("loss", "val_loss"), "test_loss gap": ("loss", "test_loss")},
        ),
        (["val_loss", "lr", "value", "test"], {}),
        ([], {}),
    ],
)
def test_pairs(names: list[str], pairs: dict[str, tuple[str, str]]) -> None:
    assert gap_pairs(names) == pairs


def test_gap_at_shared_steps_is_the_difference() -> None:
    gap = generalisation_gap(metric([0, 1, 2], [1.0, 0.5, 0.25]), metric([0, 2], [1.5, 1.25]))
    assert_array_equal(gap, [0.5, 1.0])


def test_gap_interpolates_training_and_never_extrapolates() -> None:
    gap = generalisation_gap(metric([10, 20], [1.0, 3.0]), metric([5, 15, 20, 21], [9.0, 9.0, 9.0, 9.0]))
    assert_allclose(gap, [np.nan, 7, 6, np.nan], rtol=1e-15)


def test_gap_passes_over_what_is_not_finite() -> None:
    gap = generalisation_gap(metric([0, 1, 2], [1.0, np.inf, 3.0]), metric([1, 2], [5.0, np.nan]))
    assert_allclose(gap, [3, np.nan], rtol=1e-15)
    assert np.isnan(generalisation_gap(metric([0], [np.nan]), metric([0], [1.0]))).all()


def test_values_stand_at_their_steps() -> None:
    result = compute(run_with(loss=metric([1, 2, 4], [3.0, 2.0, 1.0]), val_loss=metric([2, 6], [5.0, 4.0])))
    assert_array_equal(result.steps, [1, 2, 4, 6])
    assert_array_equal(result.value["loss"], [3, 2, 1, np.nan])
    assert_array_equal(result.value["val_loss"], [np.nan, 5, np.nan, 4])
    assert_array_equal(result.gap["loss gap"], [np.nan, 3, np.nan, np.nan])


def test_charts_have_no_holes() -> None:
    result = compute(run_with(loss=metric([1, 2, 4], [3.0, np.inf, 1.0]), val_loss=metric([3, 4], [5.0, 4.0])))
    gap, loss, val_loss, table = charts(result)
    assert isinstance(gap, Lines)
    assert_array_equal(gap.x, [3, 4])
    assert_allclose(gap.y["loss"], [3 - 2 * 2 / 3, 1], rtol=1e-15)  # between step 1 and 4: infinity is passed over
    assert_allclose(gap.y["val_loss minus loss"], [5 - 5 / 3, 3], rtol=1e-15)
    assert isinstance(loss, Lines)
    assert_array_equal(loss.x, [1, 2, 4])
    assert_array_equal(loss.y["loss"], [3, np.nan, 1])
    assert isinstance(val_loss, Lines)
    assert_array_equal(val_loss.x, [3, 4])
    assert isinstance(table, Table)
    assert table.columns["scalar"] == ["loss", "val_loss", "loss gap"]
    assert table.columns["logged"] == [3, 2, 2]
    assert table.columns["lowest"][1] == 4


def test_no_chart_for_a_gap_that_is_nowhere_known() -> None:
    result = compute(run_with(loss=metric([1], [3.0]), val_loss=metric([2], [5.0])))
    assert [chart.title for chart in charts(result)] == ["loss", "val_loss", "Recorded scalars"]


def test_a_run_without_scalars_gives_an_empty_table() -> None:
    (table,) = charts(compute(run_with()))
    assert isinstance(table, Table)
    assert table.columns["scalar"] == []


def test_dataframe_is_by_scalar() -> None:
    pandas = pytest.importorskip("pandas")
    frame = compute(run_with(lr=metric([1, 2], [0.5, 0.25]))).to_dataframe()
    expected = pandas.DataFrame({"run": "memory", "step": [1, 2], "metric": "lr", "value": [0.5, 0.25]})
    pandas.testing.assert_frame_equal(frame[["run", "step", "metric", "value"]], expected)


def test_needs_metrics() -> None:
    assert ANALYSIS.needs == {"metrics"}


def test_a_scalar_logged_as_nan_is_a_gap_in_its_line_and_counted():
    result = compute(run_with(loss=metric([1, 2, 3, 5], [3.0, np.nan, np.nan, 1.0]), other=metric([4], [0.0])))
    lines = {chart.title: chart for chart in charts(result)}
    assert_array_equal(lines["loss"].x, [1, 2, 3, 5])
    assert_array_equal(lines["loss"].y["loss"], [3, np.nan, np.nan, 1])
    table = lines["Recorded scalars"].columns
    assert [table["scalar"][0], table["logged"][0], table["not finite"][0], table["last"][0]] == ["loss", 4, 2, 1]
