from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom

from tests.analyses.dense_network import DenseEvaluator, DenseRun
from tests.reference import spectrum as reference
from tests.reference import subspace as slow
from wdyn.analyses import _subspace_layer, subspace
from wdyn.analyses._charts import Lines, Table
from wdyn.analyses.subspace import ANALYSIS, LEVEL, charts, compute, findings


def network(
    rng: np.random.Generator, *, inputs: int = 12, hidden: int = 9, values: bool = False
) -> tuple[DenseRun, DenseEvaluator]:
    """Step 0 random; at step 5 the two leading directions of `fc1` carry the function, the rest is noise."""
    start = rng.normal(size=(hidden, inputs)) / np.sqrt(inputs)
    teacher = np.linalg.qr(rng.normal(size=(inputs, 2)))[0].T  # two directions of the inputs
    x = rng.normal(size=(200, inputs))
    angles = np.linspace(0, 2 * np.pi, hidden, endpoint=False)
    end = 3 * np.c_[np.cos(angles), np.sin(angles)] @ teacher + 0.1 * start
    out = np.stack([np.where(np.cos(angles) > 0, 1.0, 0), np.where(np.cos(angles) < 0, 1.0, 0)])
    weights = {"fc1": np.stack([start, end]), "out": np.stack([rng.normal(size=(2, hidden)), out])}
    run = DenseRun({name: w.astype(np.float32) for name, w in weights.items()}, steps=np.array([0, 5]))
    labels = (x @ teacher[0] < 0).astype(np.int64)
    targets = np.maximum(x @ end.T, 0) @ out.T if values else labels
    return run, DenseEvaluator(run, x, targets)


def test_curves_agree_with_a_network_built_by_hand(rng: np.random.Generator) -> None:
    run, evaluate = network(rng)
    result = compute(run, evaluate=evaluate)
    assert result.ranks["fc1"].tolist() == [0, 1, 2, 3, 4, 6, 8, 9]
    for t, step in enumerate([0, 5]):
        rows, out = run.neurons("fc1", step).astype(np.float64), run.neurons("out", step)
        for at, rank in enumerate([0, 1, 2, 3]):
            part = np.array(slow.rank_part(rows.tolist(), rank, rounds=600))
            logits = np.maximum(evaluate._inputs @ part.T, 0) @ out.T
            chance = np.exp(logits)[np.arange(200), evaluate._targets] / np.exp(logits).sum(axis=1)
            # the layer's weights are float32, and so is the part put in their place
            assert_allclose(result.loss["fc1"][t, at], -np.log(chance).mean(), rtol=1e-4)
            assert_allclose(result.error["fc1"][t, at], np.linalg.norm(rows - part) / np.linalg.norm(rows), atol=1e-4)
        singular = reference.singular_values(rows.tolist())
        assert_allclose(result.stable_rank[t, 0], reference.stable_rank(singular), rtol=1e-9)
        assert result.outliers[t, 0] == reference.outliers(singular, 9, 12)
        intact = evaluate.at(step).scores({})
        assert result.loss["fc1"][t, -1] == result.intact_loss[t] == intact.loss[0]
        assert result.score["fc1"][t, -1] == result.intact_score[t] == intact.score[0]
    assert_array_equal(result.full_rank, [[9, 2], [9, 2]])


def test_two_directions_are_found(rng: np.random.Generator) -> None:
    run, evaluate = network(rng)
    result = compute(run, evaluate=evaluate)
    at = {rank: i for i, rank in enumerate(result.ranks["fc1"].tolist())}
    assert result.sufficient_rank[1, 0] <= 2
    assert result.outliers[1, 0] == 2
    assert result.loss["fc1"][1, at[2]] < result.random_loss_low["fc1"][1, at[2]]
    # random subspaces of so many directions lose as much of the weights, but more of the function
    assert result.loss["fc1"][1, at[2]] < result.same_error_loss["fc1"][1, at[2]]
    found = {(finding.layer, finding.step): finding for finding in findings(result)}
    assert found["fc1", 5].significant
    assert "fc1: its 2 leading input directions serve the network better" in found["fc1", 5].text
    assert not found["fc1", 0].significant
    assert result.by_chance[1, 0] == LEVEL
    low, high = (result.random_loss_low["fc1"], result.random_loss_high["fc1"])
    # a mean of 20 equal numbers may round
    assert (low <= result.random_loss["fc1"] + 1e-12).all()
    assert (result.random_loss["fc1"] <= high + 1e-12).all()
    assert_array_equal(low[:, [0, -1]], high[:, [0, -1]])  # nothing to draw without any and with all directions


def test_values_are_held_to_the_loss(rng: np.random.Generator) -> None:
    run, evaluate = network(rng, values=True)
    result = compute(run, evaluate=evaluate)
    loss, ranks = result.loss["fc1"][1], result.ranks["fc1"]
    assert np.isnan(result.score["fc1"]).all()
    worst = slow.sufficient(ranks.tolist(), (loss - loss[-1]).tolist(), 0.01 * (loss[0] - loss[-1]))
    assert result.sufficient_rank[1, 0] == worst == 2
    assert "keeps 99 % of what the layer does for the loss" in next(iter(findings(result))).text
    assert not any("Score" in chart.title for chart in charts(result))


def test_a_loss_may_rise_by_a_hundredth_of_what_it_rises_by_without_the_layer() -> None:
    target = _subspace_layer.Target(lambda rows: (0.0, 0.0), (2.0, np.nan), np.eye(3), np.arange(4), False)
    losses = np.array([12.0, 2.3, 2.09, 2.0])
    assert _subspace_layer._sufficient(target, np.c_[losses, losses]) == 2
    losses[0] = 42.0
    assert _subspace_layer._sufficient(target, np.c_[losses, losses]) == 1
    losses[:] = 1.0, 2.001, 2.0, 2.0  # the network is better without: only what costs nothing will do
    assert _subspace_layer._sufficient(target, np.c_[losses, losses]) == 2


def test_numbers_do_not_depend_on_directions_or_scale_of_the_inputs(rng: np.random.Generator) -> None:
    run, evaluate = network(rng)
    rotation = 2 * np.linalg.qr(rng.normal(size=(12, 12)))[0]
    weights = {"fc1": run._weights["fc1"].astype(np.float64) @ rotation, "out": run._weights["out"].astype(np.float64)}
    other = DenseRun(weights, steps=run.steps)
    turned = compute(other, evaluate=DenseEvaluator(other, evaluate._inputs @ rotation / 4, evaluate._targets))
    result = compute(run, evaluate=evaluate)
    for field in ("loss", "error"):
        assert_allclose(getattr(turned, field)["fc1"], getattr(result, field)["fc1"], rtol=1e-4, atol=1e-6)
    assert_array_equal(turned.tested_rank, result.tested_rank)


@pytest.mark.parametrize("initialisation", ["normal", "uniform", "orthogonal"])
@pytest.mark.slow
def test_before_training_the_claim_keeps_its_level(rng: np.random.Generator, initialisation: str) -> None:
    """Inputs with a strong common direction, to which a network is most sensitive."""
    claims, trials = 0, 80
    x = rng.normal(size=(40, 9)) * np.geomspace(3, 0.1, 9) + 1
    for seed in range(trials):
        draw = {
            "normal": rng.normal, "uniform": lambda size: rng.uniform(-1, 1, size),
            "orthogonal": lambda size: np.linalg.qr(rng.normal(size=size).swapaxes(1, 2))[0].swapaxes(1, 2),
        }[initialisation]  # fmt: skip
        run = DenseRun({"fc1": draw(size=(1, 8, 9)), "out": draw(size=(1, 3, 8))})
        evaluate = DenseEvaluator(run, x, rng.integers(0, 3, 40))
        claims += sum(finding.significant for finding in findings(compute(run, evaluate=evaluate, seed=seed)))
    assert claims <= binom.ppf(0.999, 2 * trials, LEVEL)


@pytest.mark.parametrize(
    "case", ["one neuron", "one input", "zero", "rank one", "not finite", "infinite", "dead row", "one step"]
)
def test_strange_layers(rng: np.random.Generator, case: str) -> None:
    shape = {"one neuron": (2, 1, 5), "one input": (2, 6, 1), "one step": (1, 6, 5)}.get(case, (2, 6, 5))
    weights = rng.normal(size=shape)
    if case == "zero":
        weights[:] = 0
    if case == "rank one":
        weights[:] = weights[:, :, :1] * weights[:, :1]
    if case == "not finite":
        weights[-1, 0, 0] = np.nan
    if case == "infinite":
        weights[-1, 0, 0] = np.inf
    if case == "dead row":
        weights[:, 1] = 0
    run = DenseRun({"fc1": weights, "out": rng.normal(size=(shape[0], 3, shape[1]))})
    evaluate = DenseEvaluator(run, rng.normal(size=(30, shape[2])), rng.integers(0, 3, 30))
    told: list[float] = []
    result = compute(run, evaluate=evaluate, progress=told.append)
    assert told[-1] == 1
    assert len(result.shown) == len(weights)
    asked = {(finding.layer, finding.step) for finding in findings(result)}
    if case in ("zero", "not finite", "infinite"):
        assert ("fc1", len(weights) - 1) not in asked
        assert ("out", 0) in asked
    if case == "zero":
        assert_array_equal(result.full_rank[:, 0], 0)
        assert_array_equal(result.sufficient_rank[:, 0], 0)
    if case == "rank one":
        assert_array_equal(result.full_rank[:, 0], 1)
        assert_array_equal(result.tested_rank[:, 0], 1)
        assert_allclose(result.loss["fc1"][:, 1:], result.intact_loss[:, None] + np.zeros(5), rtol=1e-9)
    if case in ("not finite", "infinite"):
        assert np.isnan(result.loss["fc1"][1]).all()
        assert np.isnan(result.intact_loss[1])
        assert np.isfinite(result.loss["fc1"][0]).all()
    if case == "dead row":
        assert_array_equal(result.full_rank[:, 0], 5)


def test_many_layers_have_shorter_ladders_and_large_ones_are_left_out(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, evaluate = network(rng)
    monkeypatch.setattr(subspace, "MOST_SCORES", 4 * (_subspace_layer.TURNED + 4 * 21))
    assert compute(run, evaluate=evaluate).ranks["fc1"].tolist() == [0, 2, 6, 9]
    monkeypatch.setattr(subspace, "MOST_WEIGHTS", 100)
    result = compute(run, evaluate=evaluate)
    assert result.layers == ("out",)
    assert "more than 100 weights" in result.left_out["fc1"]
    assert charts(result)[0].columns["left out"] == ["", result.left_out["fc1"]]


def test_charts_show_the_result(rng: np.random.Generator) -> None:
    run, evaluate = network(rng)
    result = compute(run, evaluate=evaluate)
    table, score, loss = charts(result)[:3]
    assert isinstance(table, Table)
    assert table.columns["needed, step 5"] == result.sufficient_rank[1].tolist()
    assert isinstance(score, Lines)
    assert isinstance(loss, Lines)
    assert score.title == "Accuracy with so many directions of the layer"
    assert_array_equal(loss.y["leading directions, step 5"], result.loss["fc1"][1])
    assert_array_equal(score.bands["random directions, step 0"][1], result.random_score_high["fc1"][0])
    assert loss.reference["intact, step 5"] == result.intact_loss[1]
    assert ANALYSIS.needs == {"layers", "evaluate"}


def test_the_same_seed_gives_the_same_numbers_whatever_the_other_layers(rng: np.random.Generator) -> None:
    run, evaluate = network(rng)
    result = compute(run, evaluate=evaluate, seed=4)
    alone = compute(run.select(layers="out"), evaluate=evaluate, seed=4)
    assert_array_equal(alone.turned_loss[:, 0], result.turned_loss[:, 1])
    assert_array_equal(alone.random_loss["out"], result.random_loss["out"])
    assert (compute(run, evaluate=evaluate, seed=5).turned_loss != result.turned_loss).any()
