from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from tests.analyses.dense_network import DenseEvaluator, DenseRun
from tests.reference import pruning as reference
from wdyn.analyses import _curves, _unit_damage, pruning_curves
from wdyn.analyses._charts import Lines, Table
from wdyn.analyses._curves import LEVEL, area, points_of, verdicts
from wdyn.analyses._orders import ORDERS, order_of, random_orders, removal_keys
from wdyn.analyses.pruning_curves import ALL, PruningCurves, charts, compute, findings
from wdyn.errors import MisuseError

STEPS = np.array([0, 3, 9])


def planted(rng: np.random.Generator, *, classes: bool = True) -> tuple[DenseRun, DenseEvaluator]:
    """Three of four units of each layer are short and idle at the end; targets are what the last step says."""
    shapes = {"fc1": (24, 6), "fc2": (10, 24), "out": (3, 10)}
    history = {name: rng.normal(size=(3, *shape)) for name, shape in shapes.items()}
    for name in ("fc1", "fc2"):
        history[name][-1, np.arange(shapes[name][0]) % 4 > 0] *= 0.001
    run, inputs = DenseRun(history, steps=STEPS), rng.normal(size=(50, 6))
    values = inputs
    for name in ("fc1", "fc2"):
        values = np.maximum(values @ history[name][-1].T, 0)
    outputs = values @ history["out"][-1].T
    return run, DenseEvaluator(run, inputs, outputs.argmax(axis=1) if classes else outputs)


@pytest.fixture(scope="module")
def found() -> tuple[DenseRun, DenseEvaluator, PruningCurves]:
    run, evaluate = planted(np.random.default_rng(2))
    return run, evaluate, compute(run, evaluate=evaluate)


def test_curves_are_what_the_network_says(found: tuple[DenseRun, DenseEvaluator, PruningCurves]) -> None:
    run, evaluate, result = found
    assert result.layers == ("fc1", "fc2", ALL)
    network, vectors = evaluate.at(9), run.neurons("fc1", 9)
    alone = network.scores({"fc1": np.eye(24, dtype=bool)}).loss
    orders = {n: order_of([k]) for n, k in removal_keys(vectors, alone, network.taylor("fc1")).items()}
    for name, order in orders.items():
        gone = np.array([np.isin(np.arange(24), order[:count]) for count in range(25)])
        scores = network.scores({"fc1": gone})
        assert_array_equal(result.removed[0, :25], np.arange(25))
        assert_allclose(result.score[f"score_{name}"][-1, 0, :25], scores.score)
        assert_allclose(result.loss[f"loss_{name}"][-1, 0, :25], scores.loss)
        assert np.isnan(result.score[f"score_{name}"][-1, 0, 25:]).all()
        expected = reference.area(scores.score.tolist(), list(range(25)))
        assert_allclose(result.area[f"area_{name}"][-1, 0], expected, rtol=1e-12)
        assert result.spared[f"spared_{name}"][-1, 0] == reference.spared(scores.score.tolist(), 0.01 + 1e-12)
    drawn = random_orders(20, 24, rng=np.random.default_rng(0))
    curves = [network.scores({"fc1": np.array([np.isin(np.arange(24), o[:k]) for k in range(25)])}) for o in drawn]
    assert_allclose(result.random_score[-1, 0, :25], np.mean([each.score for each in curves], axis=0))
    assert_allclose(result.random_score_low[-1, 0, :25], np.min([each.score for each in curves], axis=0))
    areas = np.array([reference.area(each.score.tolist(), list(range(25))) for each in curves])
    assert_allclose(result.random_area[-1, 0], areas.mean())
    t = (result.area["area_min_norm"][-1, 0] - areas.mean()) / (areas.std(ddof=1) * np.sqrt(1 + 1 / 20))
    assert_allclose(result.chance["chance_min_norm"][-1, 0], 2 * stats.t.sf(abs(t), 19), rtol=1e-9)
    assert_allclose(
        [result.random_area_low[-1, 0], result.random_area_high[-1, 0]],
        areas.mean() + np.array([-1, 1]) * stats.t.ppf(0.995, 19) * areas.std(ddof=1) * np.sqrt(21 / 20),
    )


def test_all_layers_together(found: tuple[DenseRun, DenseEvaluator, PruningCurves]) -> None:
    _, evaluate, result = found
    network = evaluate.at(9)
    damages = [network.scores({n: np.eye(k, dtype=bool)}).loss for n, k in (("fc1", 24), ("fc2", 10))]
    order = np.argsort(np.concatenate(damages), kind="stable")
    gone = np.array([np.isin(np.arange(34), order[:count]) for count in range(35)])
    scores = network.scores({"fc1": gone[:, :24], "fc2": gone[:, 24:]})
    assert_allclose(result.score["score_ablation"][-1, 2, :35], scores.score)


@pytest.mark.parametrize("classes", [True, False])
def test_idle_units_go_first_and_the_best_order_is_told(rng: np.random.Generator, classes: bool) -> None:
    weights, out = rng.normal(size=(2, 80, 6)), rng.normal(size=(2, 4, 80))
    weights[-1, :50] *= 0.001
    run, inputs = DenseRun({"fc1": weights, "out": out}, steps=np.array([0, 9])), rng.normal(size=(40, 6))
    outputs = np.maximum(inputs @ weights[-1].T, 0) @ out[-1].T
    result = compute(run, evaluate=DenseEvaluator(run, inputs, outputs.argmax(axis=1) if classes else outputs))
    assert result.verdict["verdict_min_norm"][-1, 0] == 1
    assert result.verdict["verdict_max_norm"][-1, 0] <= 0
    assert result.spared["spared_min_norm"][-1, 0] >= 50 > result.random_spared[-1, 0]
    first, last = findings(result)
    assert (first.step, first.significant, last.step, last.significant, last.level) == (0, False, 9, True, LEVEL)
    assert "holds better than random orders" in last.text
    assert ("0.01 of accuracy is lost" if classes else "1 % of the loss of all is lost") in last.text


def test_between_the_points_the_number_of_units_is_exact(
    found: tuple[DenseRun, DenseEvaluator, PruningCurves], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, evaluate, whole = found
    monkeypatch.setattr(pruning_curves, "MOST_VARIANTS", 1)
    monkeypatch.setattr(pruning_curves, "FEWEST_POINTS", 4)
    monkeypatch.setattr(_curves, "GONE", 100)  # a few variants at a time
    coarse = compute(run, evaluate=evaluate)
    assert_array_equal(coarse.removed[0], [0, 8, 16, 24])
    for name in ORDERS:
        curves = whole.score[f"score_{name}"][:, 0, :25]
        assert_allclose(coarse.score[f"score_{name}"][:, 0], curves[:, [0, 8, 16, 24]])
        for t, curve in enumerate(curves):
            bad = np.flatnonzero(curve[0] - curve > 0.01)
            first = next((point for point in (8, 16, 24) if point in bad), 25)
            expected = bad[bad > first - 8].min() - 1 if first < 25 else 24
            assert coarse.spared[f"spared_{name}"][t, 0] == expected
    assert coarse.spared["spared_min_norm"][-1, 0] == whole.spared["spared_min_norm"][-1, 0]


def test_values_as_targets_are_judged_by_the_loss(rng: np.random.Generator) -> None:
    run, evaluate = planted(rng, classes=False)
    result = compute(run, evaluate=evaluate)
    for name in ORDERS:
        loss = result.loss[f"loss_{name}"][-1, 0, :25]
        assert_allclose(result.area[f"area_{name}"][-1, 0], reference.area(loss.tolist(), list(range(25))))
        kept = reference.spared((-loss).tolist(), 0.01 * (loss[-1] - loss[0]))
        assert result.spared[f"spared_{name}"][-1, 0] == kept
    assert "before 1 % of the loss of all is lost" in list(findings(result))[-1].text
    assert np.isnan(result.random_score).all()


def test_area_of_a_straight_line_and_points() -> None:
    assert_allclose(area(np.linspace(1, 0, 11), np.arange(11)), 0.5)
    assert_allclose(area(np.array([[1.0, 1.0, 0.0]]), np.array([0, 9, 10])), [0.95])
    assert_array_equal(points_of(1, 100), [0, 1])
    assert_array_equal(points_of(10, 6), [0, 2, 4, 6, 8, 10])
    assert len(points_of(2048, 101)) == 101


def test_verdicts_without_spread_and_without_numbers() -> None:
    none = verdicts(np.array([0.5, 0.7]), np.full(20, 0.5), larger_is_better=True)
    assert_allclose(none.chance, [1.0, 2 / 21])
    assert_array_equal(none.verdict, [0, 0])
    lost = verdicts(np.array([np.nan, 0.7]), np.full(20, np.nan), larger_is_better=True)
    assert np.isnan(lost.verdict).all()
    spread = np.linspace(0, 1, 20)
    assert_array_equal(verdicts(np.array([9.0, -9.0, 0.5]), spread, larger_is_better=True).verdict, [1, -1, 0])
    assert_array_equal(verdicts(np.array([9.0, -9.0, 0.5]), spread, larger_is_better=False).verdict, [-1, 1, 0])


@pytest.mark.slow
@pytest.mark.parametrize("units", [3, 6, 30])
def test_random_orders_are_told_apart_no_more_often_than_stated(rng: np.random.Generator, units: int) -> None:
    """Ten random orders in place of the ten; few units, heavy ones and idle ones, where areas are far from normal."""
    trials, claims = 2000, 0
    for _ in range(trials):
        weight = np.exp(2 * rng.normal(size=units)) * (rng.random(units) < 0.7)
        drawn = np.cumsum(weight[random_orders(30, units, rng=rng)], axis=1)
        curve = np.pad(-drawn, ((0, 0), (1, 0))).round(1)
        areas = area(curve, np.arange(units + 1))
        claims += (verdicts(areas[:10], areas[10:], larger_is_better=True).verdict == 1).any()
    assert claims <= stats.binom.ppf(0.999, trials, LEVEL)


def test_one_unit_dead_units_and_one_step(rng: np.random.Generator) -> None:
    run, evaluate = planted(rng)
    single = DenseRun({"fc1": run._weights["fc1"][-1:, :1], "out": run._weights["out"][-1:, :, :1]})
    alone = compute(single, evaluate=DenseEvaluator(single, evaluate._inputs, evaluate._targets))
    assert alone.layers == ("fc1",)
    assert not any(finding.significant for finding in findings(alone))
    assert {float(alone.verdict[f"verdict_{name}"][0, 0]) for name in ORDERS} == {0.0}
    assert len(charts(alone)) == 4
    run._weights["fc1"][:, 4:9] = 0
    result = compute(run, evaluate=evaluate)
    assert_allclose(result.score["score_min_norm"][-1, 0, :6], result.intact_score[-1])


def test_a_network_that_broke(rng: np.random.Generator) -> None:
    run, evaluate = planted(rng)
    run._weights["fc1"][-1, 3, 0] = np.nan
    result = compute(run, evaluate=evaluate)
    last = [finding for finding in findings(result) if finding.step == 9]
    assert {finding.significant for finding in last} == {False}
    assert "no finite numbers" in last[0].text
    assert np.isnan(result.random_area[-1, 0])
    assert len(charts(result)) > 3


def test_wide_places_are_looked_at_evenly(
    found: tuple[DenseRun, DenseEvaluator, PruningCurves], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, evaluate, _ = found
    monkeypatch.setattr(_unit_damage, "MOST_ROWS", 5)
    result = compute(run, evaluate=evaluate)
    gone = np.isin(np.arange(24), [0, 6, 12, 17, 23])
    assert_allclose(result.loss["loss_taylor"][-1, 0, 5], evaluate.at(9).scores({"fc1": gone[None]}).loss[0])
    assert "5 of 24 evenly spaced units" in str(charts(result)[0])


def test_too_few_random_orders_and_progress(found: tuple[DenseRun, DenseEvaluator, PruningCurves]) -> None:
    run, evaluate, _ = found
    with pytest.raises(MisuseError, match="at least 20"):
        compute(run, evaluate=evaluate, random=19)
    told: list[float] = []
    more = compute(run, evaluate=evaluate, random=21, steps_shown=2, progress=told.append)
    assert (told == sorted(told), told[-1], more.random_orders) == (True, 1.0, 21)
    assert_array_equal(more.shown, [0, 9])


def test_charts_show_the_numbers(found: tuple[DenseRun, DenseEvaluator, PruningCurves]) -> None:
    _, _, result = found
    drawn = charts(result)
    lines = [chart for chart in drawn if isinstance(chart, Lines)]
    assert [chart.layer for chart in lines] == ["fc1"] * 6 + ["fc2"] * 6 + [None] * 6
    assert [len(chart.y) for chart in lines[4:6]] == [7, 5]  # ten orders, and the random ones in either
    assert_array_equal(lines[4].y["smallest norm first"], result.score["score_min_norm"][-1, 0, :25])
    assert_array_equal(lines[5].y["largest norm first"], result.score["score_max_norm"][-1, 0, :25])
    for chart in lines[4:6]:
        assert_array_equal(chart.bands["random"][0], result.random_score_low[-1, 0, :25])
    summary, *tables = [chart for chart in drawn if isinstance(chart, Table)]
    assert summary.columns["step"] == [0, 3, 9] * 3
    assert_array_equal(tables[0].columns["area"], [result.area[f"area_{name}"][-1, 0] for name in ORDERS])
    said = {1: "better than random", -1: "worse than random", 0: "not told apart"}
    expected = [said[int(result.verdict[f"verdict_{name}"][-1, 0])] for name in ORDERS]
    assert tables[0].columns["verdict"] == expected
