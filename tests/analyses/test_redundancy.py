from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom

from tests.analyses.dense_network import DenseEvaluator, DenseRun
from tests.reference import redundancy as reference
from wdyn.analyses import _redundancy_layer, redundancy
from wdyn.analyses._charts import Bars, Lines, Table
from wdyn.analyses._evaluate import Place, Scores
from wdyn.analyses._redundancy_layer import UnitsAt, damage, measure
from wdyn.analyses.redundancy import ANALYSIS, LEVEL, Redundancy, charts, compute, findings

UNITS, INPUTS, OUTPUTS = 40, 30, 6


def network(
    rng: np.random.Generator, *, alike: bool = True, examples: int = 150, noise: float = 0.3
) -> tuple[DenseRun, DenseEvaluator]:
    """Units 0 to 2 share a direction and, if alike, what they put out; 3 to 9 stay at their start and put out nothing.

    Targets are what the network gives at step 9, and noise: so the loss is a quadratic form of what goes.
    """
    start = rng.normal(size=(UNITS, INPUTS))
    end = rng.normal(size=(UNITS, INPUTS))
    end[:3] = end[0] + 0.01 * rng.normal(size=(3, INPUTS))
    end[3:10] = start[3:10]
    out = rng.normal(size=(OUTPUTS, UNITS)) / np.sqrt(UNITS)
    out[:, :3] = out[:, :1] if alike else np.eye(OUTPUTS)[:, :3] * 0.4
    out[:, 3:10] = 0
    biases = {"fc1": 0.1 * rng.normal(size=(2, UNITS)), "out": rng.normal(size=(2, OUTPUTS))}
    run = DenseRun(
        {"fc1": np.stack([start, end]), "out": np.stack([rng.normal(size=out.shape) / 9, out])},
        steps=np.array([0, 9]), biases=biases,
    )  # fmt: skip
    x = rng.normal(size=(examples, INPUTS))
    y = np.maximum(x @ end.T + biases["fc1"][1], 0) @ out.T + biases["out"][1]
    return run, DenseEvaluator(run, x, y + noise * rng.normal(size=y.shape))


@pytest.fixture(scope="module")
def planted() -> tuple[DenseRun, DenseEvaluator, Redundancy]:
    run, evaluate = network(np.random.default_rng(3))
    return run, evaluate, compute(run, evaluate=evaluate)


def test_damage_is_that_of_smaller_networks(rng: np.random.Generator) -> None:
    run, evaluate = network(rng, examples=12)
    result = compute(run, evaluate=evaluate)
    state = run.state(9)
    layers = [(state[f"{n}.weight"].tolist(), state[f"{n}.bias"].tolist()) for n in ("fc1", "out")]
    x, y = evaluate._inputs.tolist(), evaluate._targets.tolist()
    intact = reference.squared_loss(layers, x, y)
    rises = [reference.squared_loss(reference.without(layers, [i]), x, y) - intact for i in range(UNITS)]
    assert_allclose(result.rise["fc1"][1], rises, rtol=1e-9, atol=1e-12)
    assert_allclose(result.intact_loss[1], intact, rtol=1e-12)
    for i, rows in enumerate(result.sets["fc1"][1]):
        together = reference.squared_loss(reference.without(layers, rows.tolist()), x, y) - intact
        expected = together - sum(rises[row] for row in rows)
        assert_allclose(result.set_synergy["fc1"][1, i], expected, rtol=1e-9, atol=1e-12)
        assert_allclose(result.set_rise["fc1"][1, i] - result.set_sum["fc1"][1, i], expected, rtol=1e-9, atol=1e-12)


def test_copies_carriers_and_bystanders(planted: tuple[DenseRun, DenseEvaluator, Redundancy]) -> None:
    _, _, result = planted
    kinds = result.kind["fc1"][1]
    assert_array_equal(kinds[:3], 3)
    assert_array_equal(kinds[3:10], 2)
    assert_array_equal(np.flatnonzero(result.never_trained["fc1"]), np.arange(3, 10))
    above = result.rise["fc1"][1] > result.rise["fc1"][0].max()
    assert_array_equal(kinds[10:] == 1, above[10:])
    assert above[10:].sum() == result.carriers[1, 0]
    assert (result.copies[1, 0], result.redundant[1, 0]) == (3, result.tested[1, 0])
    first, last = findings(result)
    assert (first.step, first.significant, last.step, last.significant) == (0, False, 9, True)
    assert (result.copies[0, 0], result.carriers[0, 0], last.level) == (0, 0, LEVEL)
    assert [rows.tolist() for rows in result.sets["fc1"][1]] == [[0, 1, 2], [0, 2], [1, 2]]
    assert first.text == "fc1: no aligned units that could be copies; of 40 units: 0 copies, 0 carriers, 7 bystanders"
    assert last.text == (
        "fc1: 3 of 3 sets of aligned units do more damage together than one by one, beyond chance; "
        "of 40 units: 3 copies, 0 carriers, 7 bystanders"
    )
    assert result.layers == ("fc1",)
    assert result.left_out == {"out": "its rows are no units that can go"}


def test_copies_do_nine_times_the_damage_of_one_of_three(rng: np.random.Generator) -> None:
    run, evaluate = network(rng, noise=0.0)
    weights = {name: history.copy() for name, history in run._weights.items()}
    weights["fc1"][1, :3] = weights["fc1"][1, 0]
    biases = {name: history.copy() for name, history in run._biases.items()}
    biases["fc1"][1, :3] = biases["fc1"][1, 0]
    same = DenseRun(weights, steps=run.steps, biases=biases)
    hidden = np.maximum(evaluate._inputs @ weights["fc1"][1].T + biases["fc1"][1], 0)
    exact = DenseEvaluator(same, evaluate._inputs, hidden @ weights["out"][1].T + biases["out"][1])
    result = compute(same, evaluate=exact)
    assert_allclose(result.set_rise["fc1"][1, 0], 9 * result.rise["fc1"][1, 0], rtol=1e-9)
    assert_allclose(result.set_synergy["fc1"][1, 0], 2 * result.set_sum["fc1"][1, 0], rtol=1e-9)


def test_aligned_units_that_do_different_things_are_no_copies(rng: np.random.Generator) -> None:
    run, evaluate = network(rng, alike=False)
    result = compute(run, evaluate=evaluate)
    assert result.sets["fc1"][1][0].tolist() == [0, 1, 2]
    assert result.tested[1, 0] >= 1
    assert not any(finding.significant for finding in findings(result))
    assert result.copies[1, 0] == 0


def test_chance_is_told_by_its_draws(
    planted: tuple[DenseRun, DenseEvaluator, Redundancy], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, result = planted
    tested = int(result.tested[1, 0])
    assert_allclose(result.set_chance["fc1"][1, :tested].min(), 1 / (100 * tested))
    assert (result.set_by_chance["fc1"][1] < result.set_high_by_chance["fc1"][1])[:tested].all()
    assert (result.set_synergy["fc1"][1] > result.set_high_by_chance["fc1"][1])[0]
    run, evaluate, _ = planted
    monkeypatch.setattr(redundancy, "MOST_VARIANTS", 100)
    fewer = compute(run, evaluate=evaluate)
    assert fewer.tested[1, 0] == 1
    assert "1 of 1 sets of aligned units tested, out of 3, do more" in list(findings(fewer))[1].text
    assert fewer.aligned[1, 0] == result.aligned[1, 0]
    assert_allclose(fewer.set_synergy["fc1"], result.set_synergy["fc1"])
    assert_array_equal(np.isfinite(fewer.set_corrected["fc1"][1]), [True, *[False] * (fewer.aligned[1, 0] - 1)])


@pytest.mark.slow
@pytest.mark.parametrize("inputs", [3, 12])
def test_before_training_nothing_is_claimed_more_often_than_stated(rng: np.random.Generator, inputs: int) -> None:
    claims = 0
    for seed in range(200):
        run = DenseRun({"fc1": rng.normal(size=(1, 14, inputs)), "out": rng.normal(size=(1, 3, 14))})
        evaluate = DenseEvaluator(run, rng.normal(size=(20, inputs)), rng.integers(0, 3, 20))
        claims += sum(finding.significant for finding in findings(compute(run, evaluate=evaluate, seed=seed)))
    assert claims <= binom.ppf(0.999, 200, LEVEL)


def test_a_unit_that_carries_more_than_any_before_training(rng: np.random.Generator) -> None:
    run, evaluate = network(rng)
    weights = {name: history.copy() for name, history in run._weights.items()}
    weights["out"][1, :, 20] = 5.0
    heavy = DenseRun(weights, steps=run.steps, biases=run._biases)
    hidden = np.maximum(evaluate._inputs @ weights["fc1"][1].T + run._biases["fc1"][1], 0)
    exact = DenseEvaluator(heavy, evaluate._inputs, hidden @ weights["out"][1].T + run._biases["out"][1])
    result = compute(heavy, evaluate=exact)
    assert result.rise["fc1"][1, 20] > result.rise["fc1"][0].max()
    assert result.kind["fc1"][1, 20] == 1


def test_drops_of_accuracy_are_those_of_the_loop(rng: np.random.Generator) -> None:
    run, evaluate = network(rng)
    labels = rng.integers(0, OUTPUTS, 150)
    result = compute(run, evaluate=DenseEvaluator(run, evaluate._inputs, labels))
    w, b = run.state(9)["fc1.weight"], run.state(9)["fc1.bias"]
    out, bias = run.state(9)["out.weight"], run.state(9)["out.bias"]

    def right(gone: list[int]) -> float:
        kept = [i for i in range(UNITS) if i not in gone]
        logits = np.maximum(evaluate._inputs @ w[kept].T + b[kept], 0) @ out[:, kept].T + bias
        return float(np.mean(logits.argmax(axis=1) == labels))

    drops = [right([]) - right([i]) for i in range(UNITS)]
    assert_allclose(result.drop["fc1"][1], drops, atol=1e-12)
    assert_allclose(result.set_drop["fc1"][1, 0], right([]) - right([0, 1, 2]), atol=1e-12)
    assert_allclose(result.set_drop_synergy["fc1"][1, 0], right([]) - right([0, 1, 2]) - sum(drops[:3]), atol=1e-12)


@pytest.mark.parametrize("together", [0.05, 0.5])
def test_a_group_whose_members_do_nothing_alone_is_a_bystander_if_it_does_nothing_together(together: float) -> None:
    """Three aligned units; a network made of rises alone."""

    class Rises:
        def scores(self, gone: dict[str, np.ndarray]) -> Scores:
            count = gone["fc1"].sum(axis=1) if gone else np.zeros(1)
            loss = np.where(count >= 3, together, 0.01 * (count > 0))
            return Scores(loss, np.full(len(loss), np.nan), np.empty((len(loss), 0)), np.full(len(loss), 0.1))

    vectors = np.eye(8, 40)
    vectors[:3, 0], vectors[1, 20], vectors[2, 21] = 1, 1e-3, 1e-3
    vectors[1, 1] = vectors[2, 2] = 0
    place = UnitsAt(Rises(), "fc1", 8, np.arange(8), vectors, np.zeros(8, dtype=bool))
    found = measure(place, most=0, limit=np.inf, rng=np.random.default_rng(0))
    assert found.sets[0].tolist() == [0, 1, 2]
    assert_array_equal(found.numbers["kind"][:3], 2 if together < 0.1 else 0)
    assert_array_equal(found.numbers["kind"][3:], 2)


def test_order_and_scale_of_the_units_change_nothing(planted: tuple[DenseRun, DenseEvaluator, Redundancy]) -> None:
    run, evaluate, result = planted
    order, scale = np.random.default_rng(1).permutation(UNITS), np.random.default_rng(2).uniform(0.5, 2, UNITS)
    w, b = run._weights, run._biases
    weights = {"fc1": (w["fc1"] * scale[:, None])[:, order], "out": (w["out"] / scale)[:, :, order]}
    other = DenseRun(weights, steps=run.steps, biases={"fc1": (b["fc1"] * scale)[:, order], "out": b["out"]})
    moved = compute(other, evaluate=DenseEvaluator(other, evaluate._inputs, evaluate._targets))
    for field in ("rise", "rise_error", "kind"):
        assert_allclose(getattr(moved, field)["fc1"], getattr(result, field)["fc1"][:, order], rtol=1e-7, atol=1e-12)
    assert {tuple(sorted(order[rows])) for rows in moved.sets["fc1"][1]} == {
        tuple(rows.tolist()) for rows in result.sets["fc1"][1]
    }


def test_variants_in_pieces(planted: tuple[DenseRun, DenseEvaluator, Redundancy], monkeypatch) -> None:
    run, evaluate, result = planted
    place = UnitsAt(evaluate.at(9), "fc1", UNITS, np.arange(UNITS), run.neurons("fc1", 9), np.zeros(UNITS, dtype=bool))
    monkeypatch.setattr(_redundancy_layer, "GONE", 3 * UNITS)
    assert_array_equal(damage(place, [np.array([i]) for i in range(UNITS)]).rise, result.rise["fc1"][1])
    assert_array_equal(damage(place, []).rise, [])


def test_some_units_of_a_wide_place(planted: tuple[DenseRun, DenseEvaluator, Redundancy], monkeypatch) -> None:
    run, evaluate, result = planted
    monkeypatch.setattr(redundancy, "MOST_UNITS", 14)
    some = compute(run, evaluate=evaluate)
    neurons = some.neurons["fc1"]
    assert neurons.tolist() == list(range(0, 40, 3))
    assert_array_equal(some.rise["fc1"], result.rise["fc1"][:, neurons])
    assert_array_equal(some.never_trained["fc1"], result.never_trained["fc1"][neurons])


def test_places_that_are_no_layers_are_left_out(planted: tuple[DenseRun, DenseEvaluator, Redundancy]) -> None:
    run, evaluate, _ = planted
    other = DenseEvaluator(run, evaluate._inputs, evaluate._targets)
    other.places = {"attention": Place("attention", 4, "head"), "fc1": Place("fc1", 7, "channel")}
    other.left_out = {"out": "the network's own outputs"}
    result = compute(run, evaluate=other)
    assert result.layers == ()
    assert result.left_out == {
        "attention": "its units are not the rows of a layer", "fc1": "its units are not the rows of a layer",
        "out": "the network's own outputs",
    }  # fmt: skip
    assert not list(findings(result))
    assert [type(chart) for chart in charts(result)] == [Table]


@pytest.mark.parametrize(
    "case",
    ["one neuron", "two neurons", "one input", "dead", "equal rows", "not finite", "infinite", "one step", "classes"],
)
def test_strange_layers(rng: np.random.Generator, case: str) -> None:
    count = {"one neuron": 1, "two neurons": 2}.get(case, 7)
    inputs = 1 if case == "one input" else 5
    weights = rng.normal(size=(1 if case == "one step" else 3, count, inputs))
    if case == "dead":
        weights[:, :4] = 0
    if case == "equal rows":
        weights[:] = weights[:1, :1]
    if case in ("not finite", "infinite"):
        weights[-1, 0, 0] = np.nan if case == "not finite" else np.inf
    run = DenseRun({"fc1": weights, "out": rng.normal(size=(len(weights), 3, count))})
    targets = rng.integers(0, 3, 20) if case == "classes" else rng.normal(size=(20, 3))
    told: list[float] = []
    result = compute(run, evaluate=DenseEvaluator(run, rng.normal(size=(20, inputs)), targets), progress=told.append)
    assert told[-1] == 1
    assert not any(finding.significant for finding in findings(result))
    assert len(charts(result)) == 3 + np.isfinite(result.pair_synergy["fc1"]).any(axis=1).sum()
    assert np.isfinite(result.drop["fc1"]).all() == (case == "classes")
    if case == "equal rows":
        assert result.tested[0, 0] == 0  # all units are in the group, there are no others to compare with
        assert result.aligned[0, 0] >= 1
        assert "sets of aligned units, without others to compare with" in next(iter(findings(result))).text
        assert_array_equal(result.never_trained["fc1"], 1)
    if case in ("not finite", "infinite"):
        assert_array_equal(result.kind["fc1"][1], -1)
        assert [finding.step for finding in findings(result)] == [0]
    if case == "one step":
        assert np.isnan(result.never_trained["fc1"]).all()
        assert result.carriers[0, 0] == 0
    if case == "dead":
        assert_array_equal(result.rise["fc1"][:, :4], 0)
        assert_array_equal(result.kind["fc1"][:, :4], 2)


def test_charts_show_the_result(planted: tuple[DenseRun, DenseEvaluator, Redundancy]) -> None:
    _, _, result = planted
    bars, counts, _, lines, sets = charts(result)
    assert isinstance(bars, Bars)
    assert bars.y["copy"].tolist() == [3]
    assert sum(values[0] for values in bars.y.values()) == UNITS
    assert isinstance(counts, Table)
    assert counts.columns["copies, step 9"][0] == 3
    assert isinstance(sets, Table)
    assert sets.columns["units"][0] == "0, 1, 2"
    assert sets.columns["synergy"][0] == result.set_synergy["fc1"][1, 0]
    assert isinstance(lines, Lines)
    cosine, synergy = result.pair_cosine["fc1"][1], result.pair_synergy["fc1"][1]
    assert lines.title.endswith("at step 9")
    total = 0
    for x, middle in zip(lines.x, lines.y["median"], strict=True):
        here = np.floor(cosine * 10) == np.floor(x * 10)
        total += here.sum()
        assert_allclose([x, middle], [cosine[here].mean(), np.median(synergy[here])], rtol=1e-12, atol=1e-15)
    assert total == np.isfinite(cosine).sum()
    assert lines.x[-1] > 0.99  # the copies, which have a synergy
    assert lines.y["median"][-1] > 0.3
    assert ANALYSIS.needs == {"layers", "evaluate"}


def test_the_same_seed_gives_the_same_numbers(planted: tuple[DenseRun, DenseEvaluator, Redundancy]) -> None:
    run, evaluate, result = planted
    again, other = compute(run, evaluate=evaluate), compute(run, evaluate=evaluate, seed=1)
    assert_array_equal(again.set_by_chance["fc1"], result.set_by_chance["fc1"])
    assert (other.set_by_chance["fc1"][1] != result.set_by_chance["fc1"][1]).any()
