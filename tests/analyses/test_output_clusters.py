from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses._charts import Lines, Table
from wdyn.analyses.output_clusters import charts, claim_distance, compute, known_outputs
from wdyn.store.run import Sample


def run(weights: dict[str, np.ndarray], inputs: np.ndarray | None) -> MemoryRun:
    made = MemoryRun(weights)
    if inputs is not None:
        made.sample = Sample(inputs, np.zeros(len(inputs)))  # type: ignore[assignment]
    return made


def test_alike_weights_give_alike_outputs(rng: np.random.Generator) -> None:
    history = rng.normal(size=(2, 16, 30))
    history[1, :5] = history[1, 0] + 0.1 * rng.normal(size=(5, 30))
    result = compute(run({"fc": history}, rng.normal(size=(50, 30))))
    assert_array_equal(result.weight_groups[:, 0], [0, 1])
    assert_array_equal(result.output_groups[:, 0], [0, 1])
    assert_array_equal(result.weight_members["fc"], result.output_members["fc"])
    assert_array_equal(result.agreement[:, 0], [np.nan, 1])
    assert result.by_chance[1, 0] == 1 / 200
    assert int(result.examples) == 50


def test_outputs_alike_on_data_that_weights_do_not_show(rng: np.random.Generator) -> None:
    inputs = rng.normal(size=(60, 40))
    inputs[:, 20:] = 0  # weights there change nothing
    history = rng.normal(size=(1, 12, 40))
    history[0, :3, :20] = history[0, 0, :20]
    history[0, :3, 20:] *= 3
    result = compute(run({"fc": history}, inputs))
    assert_array_equal(result.weight_groups, [[0]])
    assert_array_equal(result.output_members["fc"][0], [0] * 3 + [-1] * 9)
    assert np.isnan(result.agreement).all()


def test_outputs_are_compared_by_how_they_vary(rng: np.random.Generator) -> None:
    history, inputs = rng.normal(size=(1, 16, 30)), rng.normal(size=(50, 30))
    history[0, :5] = history[0, 0] + 0.3 * rng.normal(size=(5, 30))
    one, moved = (compute(run({"fc": history}, each)) for each in (inputs, inputs + 1000))  # as a bias would do
    assert_array_equal(one.output_members["fc"][0, :6], [0] * 5 + [-1])
    assert_array_equal(moved.output_members["fc"], one.output_members["fc"])
    assert_allclose(moved.claim_correlation, one.claim_correlation, rtol=1e-9)  # rounding of numbers near 1,000


def test_no_signal_at_step_0_over_100_seeds() -> None:
    weights = outputs = agreements = 0
    # of seeds 0 to 99, seven show a group of weights, of seeds 0 to 8,999 together 100, which is 1.1 %
    for seed in range(1000, 1100):
        rng = np.random.default_rng(seed)
        inputs = rng.random(size=(40, 5)) @ rng.random(size=(5, 20))  # correlated and not centred, as images are
        result = compute(run({"fc": rng.uniform(-1, 1, size=(1, 12, 20))}, inputs), seed=seed)
        weights += int(result.weight_groups[0, 0] > 0)
        outputs += int(result.output_groups[0, 0] > 0)
        agreements += int(np.isfinite(result.agreement[0, 0]))
    # one of a hundred expected; more than 5 has probability 0.1 %, and with the null's own draws 2 %
    assert weights <= 5
    assert outputs <= 5
    assert agreements <= 2


def test_claim_needs_pairs_and_inputs_that_vary(rng: np.random.Generator) -> None:
    inputs = rng.normal(size=(9, 4))
    assert claim_distance(1, inputs, rng=rng) == 0
    assert claim_distance(5, np.zeros((0, 4)), rng=rng) == 0
    assert claim_distance(5, np.outer(np.arange(9.0), np.ones(4)), rng=rng) == 0  # outputs correlate by 1 or -1
    assert 0 < claim_distance(5, inputs, rng=rng) < 1


def test_the_triangular_factor_of_many_examples_changes_nothing(rng: np.random.Generator) -> None:
    few = rng.normal(size=(4, 4))
    many = np.concatenate([few, np.zeros((5, 4))])  # the same inner products, more examples than inputs
    one, other = (claim_distance(6, each, rng=np.random.default_rng(1)) for each in (few, many))
    assert_allclose(one, other, rtol=1e-6)  # the closest pair of 1,500, a small difference of nearly equal numbers


def test_only_the_first_linear_layer_is_known_and_the_others_say_why(rng: np.random.Generator) -> None:
    two = run({"fc1": rng.normal(size=(1, 4, 6)), "fc2": rng.normal(size=(1, 3, 4))}, rng.normal(size=(9, 2, 3)))
    name, reasons = known_outputs(two)
    assert name == "fc1"
    assert list(reasons) == ["fc2"]
    assert "replay" in reasons["fc2"]
    result = compute(two)
    assert result.layers == ("fc1",)
    table = next(chart for chart in charts(result) if isinstance(chart, Table))
    assert table.columns["layer"] == ["fc2"]
    assert (
        "it has 6 inputs, but an example of the sample has 5"
        in known_outputs(run({"fc1": rng.normal(size=(1, 4, 6))}, rng.normal(size=(9, 5))))[1]["fc1"]
    )
    convolution = run({"conv": rng.normal(size=(1, 4, 6))}, rng.normal(size=(9, 6)))
    convolution.layers = {"conv": convolution.layers["conv"]._replace(kind="Conv2d")}
    assert known_outputs(convolution)[0] is None
    assert known_outputs(two.select(layers="fc2"))[0] is None


@pytest.mark.parametrize("kind", ["no sample", "dead", "not finite", "one neuron", "equal"])
def test_strange_runs(rng: np.random.Generator, kind: str) -> None:
    history = rng.normal(size=(2, 1 if kind == "one neuron" else 5, 6))
    inputs = rng.normal(size=(8, 6))
    if kind == "dead":
        history[1] = 0
    if kind == "not finite":
        history[1, 0, 0], inputs[3, 2] = np.nan, np.inf
    if kind == "equal":
        history[:] = 1
    result = compute(run({"fc": history}, None if kind == "no sample" else inputs))
    assert charts(result)
    if kind == "not finite":
        assert int(result.examples) == 7
        assert_array_equal(result.live[:, 0], [5, 4])
    if kind == "no sample":
        assert result.left_out == {"fc": "no sample was recorded"}


def test_charts_draw_the_result(rng: np.random.Generator) -> None:
    told: list[float] = []
    result = compute(run({"fc": rng.normal(size=(3, 4, 6))}, rng.normal(size=(9, 6))), progress=told.append)
    assert told[-1] == 1.0
    counts, index, _ = charts(result)
    assert isinstance(counts, Lines)
    assert isinstance(index, Lines)
    assert_array_equal(counts.y["alike outputs"], result.output_groups[:, 0])
    assert_array_equal(index.y["adjusted Rand index"], result.agreement[:, 0])
