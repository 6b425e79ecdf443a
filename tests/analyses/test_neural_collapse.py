from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import wdyn
from tests.analyses.dense_network import DenseEvaluator, DenseRun
from tests.analyses.memory_run import MemoryRun
from tests.analyses.test_simplex import clouds, corners
from tests.make_run import make_run
from tests.reference import neural_collapse as reference
from wdyn.analyses._charts import Lines, Table
from wdyn.analyses.neural_collapse import ANALYSIS, charts, compute
from wdyn.errors import MisuseError

CLASSES, INPUTS = 5, 12
NAMES = ["nc1", "nc2_norm_variation", "nc2_cosine_spread", "nc2_simplex_gap", "nc3", "nc4"]


@pytest.fixture
def run(rng: np.random.Generator) -> MemoryRun:
    """Random rows that become a simplex at the last of seven steps; one step with dead, one with lost rows."""
    out = rng.uniform(-1, 1, size=(7, CLASSES, INPUTS))
    out[6] = corners(CLASSES, INPUTS)
    out[3, 1] = 0
    out[4, :4, 0] = np.nan
    history = {"fc1": rng.normal(size=(7, 8, 6)), "out": out.astype(np.float32)}
    return MemoryRun(history, steps=np.arange(7) * 10, block=3)


def test_rows_alone(run: MemoryRun) -> None:
    result = compute(run)
    assert result.layers == ("out",)
    assert result.reason == ""
    assert_array_equal(result.live[:, 0], [5, 5, 5, 4, 1, 5, 5])
    for t in (0, 1, 2, 3, 5):
        rows = run.neurons("out", 10 * t).astype(np.float64)
        expected = reference.nc2(rows[np.any(rows != 0, axis=1)])
        assert_allclose([values[t, 0] for values in result.rows.values()], expected, rtol=1e-10)
    assert_allclose([values[6, 0] for values in result.rows.values()], 0, atol=1e-6)  # stored in float32
    assert all(np.isnan(values[4, 0]) for values in result.rows.values())


def test_chance_is_that_of_as_many_live_rows(run: MemoryRun) -> None:
    result = compute(run)
    for name, values in result.rows.items():
        ends = result.rows_by_chance[f"{name}_by_chance"][:, 0]
        assert_array_equal(ends[0], ends[6])
        assert ends[3, 1] != ends[0, 1]  # four rows
        assert ends[0, 0] <= values[0, 0] <= ends[0, 1]
        assert values[6, 0] < ends[6, 0]


def test_without_features_the_result_says_so(run: MemoryRun) -> None:
    result = compute(run)
    assert "NC1, NC3, NC4" in result.features_reason
    assert all(np.isnan(values).all() for values in (*result.features.values(), *result.shuffled.values()))
    *_, table = charts(result)
    notes = dict(zip(table.columns["quantity"], table.columns["note"], strict=True))
    assert notes["NC1, NC3, NC4"].startswith("need the features of the last hidden layer: a run that can run again")


def test_features_come_from_the_network_that_runs_again(rng: np.random.Generator) -> None:
    run = DenseRun({"fc1": rng.normal(size=(3, 6, 4)), "fc2": rng.normal(size=(3, 3, 6))})
    inputs, labels = rng.normal(size=(30, 4)), np.arange(30) % 3
    weights = {step: run.state(step)["fc1.weight"].astype(np.float64) for step in run.steps.tolist()}
    given = compute(run, features=lambda step: np.maximum(inputs @ weights[step].T, 0.0), labels=labels)
    replayed = compute(run, evaluate=DenseEvaluator(run, inputs, labels))
    assert replayed.features_reason == ""
    for name, values in given.features.items():
        assert_allclose(replayed.features[name], values, rtol=1e-9)
    without_classes = compute(run, evaluate=DenseEvaluator(run, inputs, rng.normal(size=(30, 3))))
    assert without_classes.features_reason


@pytest.mark.parametrize(
    ("shape", "reason"),
    [((3, 1, 6), "fewer than two live rows"), ((3, 5, 3), "a simplex of 5 needs 4"), ((3, 4, 3), "")],
)
def test_layers_that_cannot_be_a_classifier(rng: np.random.Generator, shape: tuple[int, int, int], reason: str) -> None:
    result = compute(MemoryRun({"out": rng.normal(size=shape)}))
    assert reason in result.reason
    assert (result.reason == "") == (reason == "")
    assert all(np.isnan(values).all() == bool(reason) for values in result.rows.values())
    assert result.reason in charts(result)[-1].columns["note"][0]


def test_all_dead_and_no_layer() -> None:
    assert "fewer than two live rows" in compute(MemoryRun({"out": np.zeros((2, 4, 6))})).reason
    run = MemoryRun({}, steps=np.arange(3))
    run.steps = np.arange(3)
    result = compute(run.select())
    assert result.layers == ()
    assert "no layer" in result.reason


def test_an_orthogonal_start_is_named(rng: np.random.Generator) -> None:
    rows = np.linalg.qr(rng.normal(size=(40, 8)))[0].T
    table = charts(compute(MemoryRun({"out": np.stack([rows, rows])})))[-1]
    assert all("already at the first step" in note for note in table.columns["note"][:3])


# ---- with features


def test_features_through_time(run: MemoryRun, rng: np.random.Generator) -> None:
    features, labels = clouds(rng, [4, 1, 6, 3, 5], INPUTS)
    corner = corners(CLASSES, INPUTS)[labels] + 2

    def at(step: int) -> np.ndarray:
        return corner if step == 60 else features + step

    result = compute(run, features=at, labels=labels, seed=3)
    assert list(result.features) == NAMES
    assert result.features_reason == ""
    assert_array_equal(result.points, 19)
    for t in (0, 2, 3):
        weights = run.neurons("out", 10 * t).astype(np.float64)
        means = reference.means(at(10 * t), labels)
        expected = [
            reference.nc1(at(10 * t), labels), *reference.nc2(means), reference.nc3(weights, means),
            reference.nc4(at(10 * t), means, weights, np.zeros(CLASSES)),
        ]  # fmt: skip
        assert_allclose([values[t, 0] for values in result.features.values()], expected, rtol=1e-8)
    assert_allclose([values[6, 0] for values in result.features.values()], 0, atol=1e-6)  # weights stored in float32
    assert result.shuffled["nc1_shuffled"][6, 0] > 1
    assert result.shuffled["nc3_shuffled"][6, 0] > 0.5
    assert np.isnan(result.features["nc1"][4, 0])  # the classifier is not finite there


def test_points_and_classes_that_are_missing(rng: np.random.Generator) -> None:
    features, labels = clouds(rng, [6, 6, 6, 6], INPUTS)
    features[labels == 2] = np.nan
    weights = rng.normal(size=(1, 4, INPUTS))
    result = compute(MemoryRun({"out": weights}), features=lambda step: features, labels=labels)
    kept = labels != 2
    renamed = np.searchsorted([0, 1, 3], labels[kept])
    assert result.points[0, 0] == 18
    assert_allclose(result.features["nc1"][0, 0], reference.nc1(features[kept], renamed), rtol=1e-8)
    means = reference.means(features[kept], renamed)
    assert_allclose(result.features["nc3"][0, 0], reference.nc3(weights[0][[0, 1, 3]], means), rtol=1e-12)
    one_class = compute(MemoryRun({"out": weights}), features=lambda step: features, labels=0 * labels)
    assert np.isnan(one_class.features["nc1"][0, 0])


def test_labels_and_bias_come_from_the_run(tmp_path: Path, rng: np.random.Generator) -> None:
    features, labels = clouds(rng, [5, 5, 5], 4)
    weights, bias = rng.normal(size=(3, 4)), np.array([50.0, 0, 0])
    arrays = {0: {"out.weight": weights, "out.bias": bias}}
    path = make_run(tmp_path / "a.h5", arrays, sample=(features, labels))
    with wdyn.open_run(path) as run:
        result = compute(run, features=lambda step: features)
    means = reference.means(features, labels)
    assert result.features["nc4"][0, 0] == reference.nc4(features, means, weights, bias)
    assert result.features["nc4"][0, 0] != reference.nc4(features, means, weights, 0 * bias)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "give labels"),
        (np.array([0, 1, 5]), "from 0 to 4"),
        (np.array([0.5, 1, 2]), "float64"),
        (np.array([[0, 1, 2]]), "shape"),
        (np.array([0, 1]), "features have shape"),
    ],
)
def test_misuse_is_explained(run: MemoryRun, labels: np.ndarray | None, message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        compute(run, features=lambda step: np.ones((3, INPUTS)), labels=labels)


def test_same_seed_same_numbers_and_progress(run: MemoryRun) -> None:
    told: list[float] = []
    first, second = compute(run, seed=4, progress=told.append), compute(run, seed=4)
    for name, ends in first.rows_by_chance.items():
        assert_array_equal(ends, second.rows_by_chance[name])
    assert told == sorted(told)
    assert told[-1] == 1


# ---- charts


def test_charts_carry_the_results(run: MemoryRun, rng: np.random.Generator) -> None:
    features, labels = clouds(rng, [4, 4, 4, 4, 4], INPUTS)
    result = compute(run, features=lambda step: features, labels=labels)
    rows, *known, table = charts(result)
    assert isinstance(rows, Lines)
    assert rows.layer == "out"
    for line, values in zip(rows.y.items(), result.rows.values(), strict=True):
        assert_array_equal(line[1], values[:, 0])
        assert line[0] in rows.bands
    assert_array_equal(
        rows.bands["variation of norms"][1], result.rows_by_chance["rows_norm_variation_by_chance"][:, 0, 1]
    )
    assert [chart.y_scale for chart in known] == ["log", *["linear"] * 5]
    for name, chart in zip(NAMES, known, strict=True):
        assert_array_equal(next(iter(chart.y.values())), result.features[name][:, 0])
        assert_array_equal(chart.reference["labels shuffled"], result.shuffled[f"{name}_shuffled"][:, 0])
    assert isinstance(table, Table)
    assert {len(column) for column in table.columns.values()} == {9}
    assert table.columns["note"][0].startswith("nearer to a simplex")
    assert len(charts(compute(run))) == 2


def test_analysis_is_complete() -> None:
    assert ANALYSIS.compute is compute
    assert "Papyan" in ANALYSIS.reading
    assert ANALYSIS.needs == {"layers"}
