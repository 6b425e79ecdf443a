"""Runs of every file format that was ever released open for ever; they are in checkpoints/samples/ and never rewritten.

format-1.h5 was recorded by a Recorder from a network of Linear(4, 6), BatchNorm1d(6), Linear(6, 5), Linear(5, 3) with
ReLU between. Each parameter began as its positions over 8 and went down by 1/64 at each of five steps of SGD, so all
numbers are known without the file. A mask of torch.nn.utils.prune took every third weight of fc2.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import wdyn
from wdyn.store.layout import FORMAT
from wdyn.store.run import Run
from wdyn.store.verify import verify

SAMPLES = Path(__file__).parents[2] / "checkpoints" / "samples"
FIRST = SAMPLES / "format-1.h5"
SHAPES = {"fc1": (6, 4), "fc2": (5, 6), "fc3": (3, 5)}
KEPT = np.arange(30).reshape(5, 6) % 3 != 0


@pytest.fixture(scope="module")
def run() -> Run:
    return wdyn.open_run(FIRST)


def weights(layer: str, step: int) -> np.ndarray:
    """Exact: eighths and 64ths of small numbers are float32."""
    values = np.arange(np.prod(SHAPES[layer])).reshape(SHAPES[layer]) / 8 - step / 64
    return values * KEPT if layer == "fc2" else values


def test_there_is_a_run_of_each_format_and_none_was_rewritten() -> None:
    assert {path.name for path in SAMPLES.iterdir()} == {f"format-{number}.h5" for number in range(1, FORMAT + 1)}
    digest = hashlib.sha256(FIRST.read_bytes()).hexdigest()
    assert digest == "3b8b11029095d087d129c31622fa57890bde5501a45ec6b663d887758dc43b83"


def test_every_checksum_holds(run: Run) -> None:
    assert verify(FIRST).damaged == ()
    assert (run.checksum, run.condition) == ("24b0f003", "finished")


def test_weights_at_each_step(run: Run) -> None:
    assert_array_equal(run.steps, range(6))
    assert {name: (layer.rows, layer.columns) for name, layer in run.layers.items()} == SHAPES
    for layer in SHAPES:
        for step in run.steps.tolist():
            assert_array_equal(run.neurons(layer, step), weights(layer, step))
            bias = run.state(step)[f"{layer}.bias"]
            assert_array_equal(bias, np.arange(len(bias)) / 8 - step / 64)


def test_masks_scalars_sample_and_facts(run: Run) -> None:
    assert_array_equal(run.masks(5)["fc2.weight"], KEPT)
    assert_array_equal(run.metrics["loss"].steps, range(1, 6))
    assert_array_equal(run.metrics["loss"].values, 1 / np.arange(1, 6))
    assert run.sample is not None
    assert_array_equal(run.sample.inputs, np.arange(32).reshape(8, 4) / 16)
    assert_array_equal(run.sample.targets, np.arange(8) % 3)
    assert run.state(4)["norm.num_batches_tracked"] == 4
    assert run.meta["metadata"] == {"dataset": "made up", "seed": 0}
    assert {each.name for each in run.left_out} == {"fc1.bias", "fc2.bias", "fc3.bias", "norm.weight", "norm.bias"}


def test_the_network_still_runs(run: Run) -> None:
    state = {name: np.asarray(values, dtype=float) for name, values in run.state(5).items()}
    assert run.sample is not None
    x = run.sample.inputs @ weights("fc1", 5).T + state["fc1.bias"]
    x = (x - state["norm.running_mean"]) / np.sqrt(state["norm.running_var"] + 1e-5)
    x = np.maximum(x * state["norm.weight"] + state["norm.bias"], 0)
    x = np.maximum(x @ weights("fc2", 5).T + state["fc2.bias"], 0)
    expected = x @ weights("fc3", 5).T + state["fc3.bias"]
    assert_allclose(run.replay(5)(run.sample.inputs).numpy(), expected, rtol=1e-5)  # the network ran in float32
