from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom

from tests.analyses.dense_network import DenseEvaluator, DenseNetwork, DenseRun
from tests.reference import ablation as reference
from tests.reference import redundancy as networks
from wdyn.analyses import _unit_damage, ablation
from wdyn.analyses._charts import HeatMap, Lines, Table
from wdyn.analyses._evaluate import Scores
from wdyn.analyses._leave_one_out import shares
from wdyn.analyses.ablation import ANALYSIS, LEVEL, Ablation, charts, compute, findings
from wdyn.errors import MisuseError

STEPS = np.array([0, 2, 5, 9])
UNITS, INPUTS, CLASSES = 24, 6, 3


def trained(rng: np.random.Generator, *, steps: np.ndarray = STEPS) -> tuple[DenseRun, DenseEvaluator]:
    """All but the last ten units grow; classes are what the last step says."""
    shapes = {"fc1": (UNITS, INPUTS), "out": (CLASSES, UNITS)}
    start, end = ({name: rng.normal(size=shape) for name, shape in shapes.items()} for _ in range(2))
    grown = np.linspace(0, 1, len(steps))[:, None, None]
    history = {name: (0.1 + grown) * start[name] + grown * end[name] for name in shapes}
    history["fc1"][:, -10:], history["out"][..., -10:] = history["fc1"][:1, -10:], history["out"][:1, :, -10:]
    run, inputs = DenseRun(history, steps=steps), rng.normal(size=(60, INPUTS))
    classes = (np.maximum(inputs @ history["fc1"][-1].T, 0) @ history["out"][-1].T).argmax(axis=1)
    return run, DenseEvaluator(run, inputs, classes)


def chance(rng: np.random.Generator, *, units: int = 20, steps: int = 2) -> tuple[DenseRun, DenseEvaluator]:
    """Every step is an untrained network of its own."""
    shapes = {"fc1": (units, 6), "out": (3, units)}
    histories = {n: rng.uniform(-1, 1, size=(steps, *shape)) / np.sqrt(shape[1]) for n, shape in shapes.items()}
    biases = {n: rng.uniform(-1, 1, size=(steps, shape[0])) / np.sqrt(shape[1]) for n, shape in shapes.items()}
    run = DenseRun(histories, biases=biases)
    return run, DenseEvaluator(run, rng.normal(size=(40, 6)), rng.integers(0, 3, 40))


@pytest.fixture(scope="module")
def found() -> tuple[DenseRun, DenseEvaluator, Ablation]:
    run, evaluate = trained(np.random.default_rng(5))
    return run, evaluate, compute(run, evaluate=evaluate)


@pytest.mark.parametrize("mode", ["zero", "remove"])
def test_damage_is_that_of_smaller_networks(rng: np.random.Generator, mode: str) -> None:
    run, _ = chance(rng, units=7)
    x, y = rng.normal(size=(5, 6)), rng.normal(size=(5, 3))
    result = compute(run, evaluate=DenseEvaluator(run, x, y), mode=mode)
    for t in range(2):
        state = run.state(t)
        layers = [(state[f"{n}.weight"].tolist(), state[f"{n}.bias"].tolist()) for n in ("fc1", "out")]
        intact = networks.squared_loss(layers, x.tolist(), y.tolist())
        rises = [
            networks.squared_loss(networks.without(layers, [i]), x.tolist(), y.tolist()) - intact for i in range(7)
        ]
        assert_allclose(result.rise["fc1"][t], rises, rtol=1e-9, atol=1e-12)
        assert_allclose(result.intact_loss[t], intact, rtol=1e-12)
    assert np.isnan(result.intact_score).all()
    assert np.isnan(result.drop["fc1"]).all()
    assert result.class_drop["fc1"].shape == (0, 7)
    assert np.isnan(result.selectivity["fc1"]).all()


def test_every_number_is_what_the_network_says(found: tuple[DenseRun, DenseEvaluator, Ablation]) -> None:
    run, evaluate, result = found
    gone = np.eye(UNITS, dtype=bool)
    for t, step in enumerate(STEPS.tolist()):
        network = evaluate.at(step)
        intact, without = network.scores({}), network.scores({"fc1": gone})
        assert_allclose(result.rise["fc1"][t], without.loss - intact.loss, rtol=1e-12)
        assert_allclose(result.rise_error["fc1"][t], without.loss_error)
        assert_allclose(result.drop["fc1"][t], intact.score - without.score)
        assert_allclose(result.taylor["fc1"][t], network.taylor("fc1"))
        assert_allclose(
            result.taylor_agreement[t, 0],
            reference.spearman(network.taylor("fc1").tolist(), (without.loss - intact.loss).tolist()),
        )
    assert_allclose(result.class_drop["fc1"], (intact.class_score - without.class_score).T)
    rise = result.rise["fc1"]
    for t in range(len(STEPS)):
        assert_allclose(result.rank_with_last[t, 0], reference.spearman(rise[t].tolist(), rise[-1].tolist()))
        if t:
            assert_allclose(result.rank_with_before[t, 0], reference.spearman(rise[t].tolist(), rise[t - 1].tolist()))
    assert np.isnan(result.rank_with_before[0, 0])
    norms = np.linalg.norm(run.neurons("fc1", 9), axis=1)
    related = {"norm": norms, "distance": np.linalg.norm(run.neurons("fc1", 9) - run.neurons("fc1", 0), axis=1),
               "share": shares(run.neurons("fc1", 9)), "selectivity": result.selectivity["fc1"]}  # fmt: skip
    for name, values in related.items():
        expected = reference.spearman(values.tolist(), rise[-1].tolist())
        assert_allclose(result.relation[f"relation_{name}"], [expected], rtol=1e-9)
        low, high = (getattr(result, f"relation_{end}")[f"relation_{name}_{end}"][0] for end in ("low", "high"))
        assert low < expected < high
    corrected = [result.relation_corrected[f"relation_{name}_corrected"][0] for name in ablation.RELATED]
    plain = [result.relation_chance[f"relation_{name}_chance"][0] for name in ablation.RELATED]
    assert_allclose(corrected, networks.holm(plain))


def test_the_estimate_is_the_slope_of_the_loss(rng: np.random.Generator) -> None:
    """The test network's own estimate, by finite differences: a unit's output shrinks by a little."""
    run, evaluate = trained(rng)
    state, little = run.state(9), 1e-6
    intact = DenseNetwork(evaluate, state).scores({}).loss[0]
    for unit in (0, 7, 20):
        weaker = {**state, "out.weight": state["out.weight"].copy()}
        weaker["out.weight"][:, unit] *= 1 - little
        slope = (DenseNetwork(evaluate, weaker).scores({}).loss[0] - intact) / little
        assert_allclose(evaluate.at(9).taylor("fc1")[unit], slope, rtol=1e-4, atol=1e-8)  # the loss is not linear


def test_units_that_learn_something_are_found(found: tuple[DenseRun, DenseEvaluator, Ablation]) -> None:
    _, _, result = found
    first, last = findings(result)
    assert (first.step, first.significant, last.step, last.significant) == (0, False, 9, True)
    assert last.level == LEVEL
    assert "units raise the loss by more when they go than any unit of the untrained network" in last.text
    limit = result.rise["fc1"][0].max()
    assert_array_equal(result.above[:, 0], (result.rise["fc1"] > limit).sum(axis=1))
    assert result.above[-1, 0] >= 6
    since = result.important_from["fc1"]
    assert np.isfinite(since[:-10]).sum() == result.above[-1, 0]
    assert np.isnan(since[-10:]).all()
    assert set(since[np.isfinite(since)]) <= set(STEPS.tolist())
    assert np.isnan(result.above_by_chance[0, 0])


@pytest.mark.parametrize("steps", [STEPS + 1, np.array([0])])
def test_no_claim_without_an_untrained_network_or_without_training(steps: np.ndarray) -> None:
    run, evaluate = trained(np.random.default_rng(5), steps=steps)
    result = compute(run, evaluate=evaluate)
    assert not any(finding.significant for finding in findings(result))
    assert np.isnan(result.above_by_chance).all()
    assert_array_equal(result.above, 0)
    if len(steps) > 1:
        assert np.isnan(result.important_from["fc1"]).all()
        assert "no untrained network" in list(findings(result))[-1].text
    assert len(charts(result)) > 5


@pytest.mark.slow
def test_untrained_networks_are_told_apart_no_more_often_than_stated(rng: np.random.Generator) -> None:
    claims = 0
    for _ in range(300):
        run, evaluate = chance(rng)
        claims += sum(finding.significant for finding in findings(compute(run, evaluate=evaluate)))
    assert claims <= binom.ppf(0.999, 300, LEVEL)


def test_the_order_of_the_units_does_not_matter(found: tuple[DenseRun, DenseEvaluator, Ablation]) -> None:
    run, evaluate, result = found
    mixed = np.random.default_rng(0).permutation(UNITS)
    other = DenseRun({"fc1": run._weights["fc1"][:, mixed], "out": run._weights["out"][:, :, mixed]}, steps=STEPS)
    again = compute(other, evaluate=DenseEvaluator(other, evaluate._inputs, evaluate._targets))
    assert_allclose(again.rise["fc1"], result.rise["fc1"][:, mixed], rtol=1e-9, atol=1e-13)
    assert_array_equal(again.important_from["fc1"], result.important_from["fc1"][mixed])
    assert_allclose(again.selectivity["fc1"], result.selectivity["fc1"][mixed])
    assert_allclose(again.relation["relation_norm"], result.relation["relation_norm"])


def test_modes_differ_as_they_should(rng: np.random.Generator) -> None:
    run, evaluate = chance(rng)
    zero, row, remove, mean = (compute(run, evaluate=evaluate, mode=m) for m in ("zero", "row", "remove", "mean"))
    assert_allclose(zero.rise["fc1"], remove.rise["fc1"], atol=1e-14)
    differs = np.abs(zero.rise["fc1"] - row.rise["fc1"]) > 1e-12
    assert_array_equal(differs, run._biases["fc1"] > 0)
    assert mean.mode == "mean"
    assert np.abs(mean.rise["fc1"] - zero.rise["fc1"]).max() > 1e-4


def test_estimates_are_labelled_and_held_against_some_units(
    found: tuple[DenseRun, DenseEvaluator, Ablation], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, evaluate, whole = found
    monkeypatch.setattr("wdyn.analyses._ablation_place.CHECKED", 8)
    result = compute(run, evaluate=evaluate, estimate=True)
    assert_allclose(result.rise["fc1"], result.taylor["fc1"])
    assert np.isnan(result.drop["fc1"]).all()
    checked = np.linspace(0, UNITS - 1, 8).round().astype(int)
    expected = reference.spearman(whole.taylor["fc1"][-1, checked].tolist(), whole.rise["fc1"][-1, checked].tolist())
    assert_allclose(result.taylor_agreement[-1, 0], expected)
    assert all("estimated to raise" in finding.text for finding in findings(result))
    assert "(estimate)" in next(chart for chart in charts(result) if isinstance(chart, HeatMap)).title


def test_wide_places_are_looked_at_evenly(
    found: tuple[DenseRun, DenseEvaluator, Ablation], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, evaluate, whole = found
    monkeypatch.setattr(_unit_damage, "MOST_ROWS", 5)
    monkeypatch.setattr(_unit_damage, "GONE", 2 * UNITS)  # two at a time
    result = compute(run, evaluate=evaluate)
    assert_array_equal(result.neurons["fc1"], [0, 6, 12, 17, 23])
    assert_allclose(result.rise["fc1"], whole.rise["fc1"][:, result.neurons["fc1"]], rtol=1e-12)
    assert_allclose(result.selectivity["fc1"], whole.selectivity["fc1"][result.neurons["fc1"]])
    heat = next(chart for chart in charts(result) if isinstance(chart, HeatMap))
    assert set(heat.rows) == {0, 6, 12, 17, 23}
    assert "5 of 24 evenly spaced units" in str(charts(result))


def test_a_wide_network_shows_fewer_steps(
    found: tuple[DenseRun, DenseEvaluator, Ablation], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, evaluate, _ = found
    monkeypatch.setattr(ablation, "MOST_VARIANTS", 3 * UNITS)
    assert_array_equal(compute(run, evaluate=evaluate).shown[[0, -1]], [0, 9])
    assert len(compute(run, evaluate=evaluate).shown) == 3
    assert_array_equal(compute(run, evaluate=evaluate, steps_shown=2).shown, [0, 9])


def test_progress_goes_from_nothing_to_all(found: tuple[DenseRun, DenseEvaluator, Ablation]) -> None:
    run, evaluate, _ = found
    told: list[float] = []
    compute(run, evaluate=evaluate, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


class Picky(DenseNetwork):
    """The first place has no rows; the loss without unit 3 is infinite."""

    def scores(self, gone: dict[str, np.ndarray], mode: str = "zero") -> Scores:
        if mode == "row":
            raise MisuseError("a neuron of 'fc1' has no weight rows.")
        found = super().scores(gone, mode)
        lost = gone["fc1"][:, 3] if "fc1" in gone else np.zeros(1, dtype=bool)
        return found._replace(loss=np.where(lost, np.inf, found.loss))


class PickyEvaluator(DenseEvaluator):
    left_out: Mapping[str, str] = {"out": "its rows are the outputs."}

    def at(self, step: int) -> Picky:
        return Picky(self, self._run.state(step))


def test_places_without_a_mode_are_left_out_and_infinite_losses_are_not_known() -> None:
    run, evaluate = trained(np.random.default_rng(5))
    picky = PickyEvaluator(run, evaluate._inputs, evaluate._targets)
    nothing = compute(run, evaluate=picky, mode="row")
    assert nothing.layers == ()
    assert nothing.left_out == {"out": "its rows are the outputs.", "fc1": "a neuron of 'fc1' has no weight rows."}
    assert any(isinstance(chart, Table) for chart in charts(nothing))
    assert not list(findings(nothing))
    result = compute(run, evaluate=picky)
    assert np.isnan(result.rise["fc1"][:, 3]).all()
    assert np.isfinite(np.delete(result.rise["fc1"], 3, axis=1)).all()
    assert "of 23 units" in list(findings(result))[-1].text


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_network_that_broke(rng: np.random.Generator) -> None:
    run, evaluate = trained(rng)
    run._weights["fc1"][-1, 2, 0] = np.nan
    result = compute(run, evaluate=evaluate)
    assert np.isnan(result.rise["fc1"][-1]).all()
    assert list(findings(result))[-1].text == "fc1: the loss without its units is not finite"
    assert not any(finding.significant for finding in findings(result))
    assert len(charts(result)) > 5


def test_dead_units_do_no_damage_and_one_unit_is_enough(rng: np.random.Generator) -> None:
    run, evaluate = trained(rng)
    run._weights["fc1"][:, 20:] = 0
    result = compute(run, evaluate=evaluate)
    assert_array_equal(result.rise["fc1"][:, 20:], 0.0)
    assert np.isnan(result.selectivity["fc1"][20:]).all()
    single = DenseRun({"fc1": run._weights["fc1"][:, :1], "out": run._weights["out"][:, :, :1]}, steps=STEPS)
    alone = compute(single, evaluate=DenseEvaluator(single, evaluate._inputs, evaluate._targets))
    assert np.isnan(alone.rank_with_last).all()
    assert not any(finding.significant for finding in findings(alone))
    assert len(charts(alone)) > 5


def test_charts_show_the_numbers(found: tuple[DenseRun, DenseEvaluator, Ablation]) -> None:
    _, _, result = found
    drawn = charts(result)
    heat = next(chart for chart in drawn if isinstance(chart, HeatMap))
    assert heat.layer == "fc1"
    assert_array_equal(heat.values, result.rise["fc1"][:, list(heat.rows)].T)
    assert_array_equal(heat.values[:, -1], np.sort(result.rise["fc1"][-1])[::-1])
    counts, stable, before, estimate = (chart for chart in drawn if isinstance(chart, Lines))
    assert_array_equal(counts.y["fc1"], result.above[:, 0])
    assert_array_equal(stable.y["fc1"], result.rank_with_last[:, 0])
    assert_array_equal(before.y["fc1"], result.rank_with_before[:, 0])
    assert_array_equal(estimate.bands["fc1"][0], result.taylor_agreement_low[:, 0])
    tables = {chart.title: chart for chart in drawn if isinstance(chart, Table)}
    top = tables["The 20 units that carry most at step 9"]
    assert top.layer == "fc1"
    assert_array_equal(top.columns["unit"], np.argsort(-result.rise["fc1"][-1])[:20])
    by_class = tables["Drop of the accuracy on each class at step 9"]
    assert_array_equal(by_class.columns["class 1"], result.class_drop["fc1"][1, top.columns["unit"]])
    relation = tables["What the damage at step 9 goes with"]
    assert relation.columns["rank correlation"][0] == result.relation["relation_norm"][0]


def test_a_layer_that_was_not_selected_is_passed_over(rng: np.random.Generator) -> None:
    run, evaluate = trained(rng)
    result = compute(run.select(layers="out"), evaluate=evaluate)
    assert (result.layers, result.left_out) == ((), {})
    assert ANALYSIS.needs == {"layers", "evaluate"}
