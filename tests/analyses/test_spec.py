from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from wdyn.analyses._charts import Chart, Lines
from wdyn.analyses._spec import Analysis, Result, measured, measured_fields, tidy_rows
from wdyn.errors import MissingExtraError


@dataclass(frozen=True)
class Finding(Result):
    shown: np.ndarray
    total: np.ndarray = measured("step", "layer", unit="neurons")
    single: Mapping[str, np.ndarray] = measured("layer", "shown", "neuron")
    scalar: Mapping[str, np.ndarray] = measured("metric", "step")
    once: float = measured()


def charts(result: Finding) -> list[Chart]:
    return [Lines("total", result.steps, {"a": result.total[:, 0]}, "step", "total")]


ANALYSIS = Analysis(title="Finding", compute=lambda run: run, charts=charts, reading="Read it.")


@pytest.fixture
def finding() -> Finding:
    return Finding(
        run="r", steps=np.array([0, 5]), layers=("a", "b"), shown=np.array([5]),
        total=np.array([[1, 2], [3, 4]]), single={"a": np.array([[0.5, 0.25]]), "b": np.array([[7.0]])},
        scalar={"loss": np.array([9.0, 8.0])}, once=0.125,
    )  # fmt: skip


def test_tidy_rows_name_every_axis(finding: Finding) -> None:
    assert list(tidy_rows(finding)) == [
        ("r", 0, "a", None, None, "total", 1), ("r", 0, "b", None, None, "total", 2),
        ("r", 5, "a", None, None, "total", 3), ("r", 5, "b", None, None, "total", 4),
        ("r", 5, "a", 0, None, "single", 0.5), ("r", 5, "a", 1, None, "single", 0.25),
        ("r", 5, "b", 0, None, "single", 7.0),
        ("r", 0, None, None, None, "loss", 9.0), ("r", 5, None, None, None, "loss", 8.0),
        ("r", None, None, None, None, "once", 0.125),
    ]  # fmt: skip


def test_measured_fields_leave_out_what_only_labels(finding: Finding) -> None:
    assert [(name, axes) for name, axes, _ in measured_fields(finding)] == [
        ("total", ("step", "layer")),
        ("single", ("layer", "shown", "neuron")),
        ("scalar", ("metric", "step")),
        ("once", ()),
    ]


def test_an_array_that_does_not_fit_its_axes_is_refused(finding: Finding) -> None:
    wrong = Finding(**(vars(finding) | {"total": np.zeros(2)}))
    with pytest.raises(ValueError, match="zip"):
        list(tidy_rows(wrong))


def test_dataframe_is_tidy(finding: Finding) -> None:
    pytest.importorskip("pandas")
    frame = finding.to_dataframe()
    assert list(frame.columns) == ["run", "step", "layer", "neuron", "metric", "value"]
    assert len(frame) == 10
    at = frame.query("metric == 'total' and layer == 'b'")
    assert_array_equal(at[["step", "value"]], [[0, 2], [5, 4]])


def test_dataframe_of_a_matrix_has_an_index_column() -> None:
    pytest.importorskip("pandas")

    @dataclass(frozen=True)
    class Matrix(Result):
        cosine: Mapping[str, np.ndarray] = measured("layer", "neuron", "index")

    frame = Matrix(run="r", steps=np.array([0]), layers=("a",), cosine={"a": np.eye(2)}).to_dataframe()
    assert_array_equal(frame[["neuron", "index", "value"]], [[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]])


def test_without_pandas_the_extra_is_named(finding: Finding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'wdyn\[data\]'"):
        finding.to_dataframe()


def test_results_cannot_be_changed(finding: Finding) -> None:
    with pytest.raises(FrozenInstanceError):
        finding.once = 1.0  # type: ignore[misc]


def test_plot_draws_the_first_chart(finding: Finding) -> None:
    axes = finding.plot()
    assert_array_equal(axes.lines[0].get_ydata(), finding.total[:, 0])
    assert axes.get_title() == "total"
    assert finding.plot(axes) is axes


def test_an_analysis_imports_numpy_and_nothing_heavier() -> None:
    modules = "metrics, norms, frame_potential"
    heavy = {"scipy", "sklearn", "umap", "matplotlib", "pandas", "torch", "h5py", "plotly"}
    code = f"import sys; from wdyn.analyses import {modules}; print(sorted({heavy!r} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
