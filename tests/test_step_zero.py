"""Before training there is nothing to find: at step 0 no analysis claims a signal more often than it says it would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import nn
from torch.nn import init

from tests.analyses.dense_network import DenseRun
from tests.analyses.memory_run import MemoryRun
from tests.analyses.parallel_network import keywords
from tests.torture import times
from wdyn.analyses import _graph_layer, load, names, neural_collapse, spectrum
from wdyn.analyses._spec import Finding, no_findings
from wdyn.store.run import Sample

SEEDS = times(40, 100)
RUN_AGAIN = 3  # of them for analyses that let the network run again, thousands of times each
INITIALISATIONS: dict[str, Callable[[torch.Tensor], object] | None] = {
    "kaiming uniform": None,  # what the modules do by themselves
    "kaiming normal": lambda weight: init.kaiming_normal_(weight, nonlinearity="relu"),
    "xavier uniform": init.xavier_uniform_,
    "xavier normal": init.xavier_normal_,
    "normal": lambda weight: init.normal_(weight, std=0.01),
    "truncated normal": lambda weight: init.trunc_normal_(weight, std=1.0),
    # few zeros only: with most entries zero the rest has no common variance, and that is a structure
    "sparse": lambda weight: init.sparse_(weight.flatten(1), sparsity=0.1),
    "orthogonal": init.orthogonal_,
}
NO_NULL = {
    "metrics": "losses and accuracies are what they are",
    "pca": "shares of variance are shown beside those of random directions, and no verdict is given",
    "umap": "a picture",
}
# Orthogonal rows of one length are a perfect simplex once they are centred: the claim is true from the start.
TRUE_FROM_THE_START = {("orthogonal", "neural_collapse")}


@pytest.fixture(autouse=True, scope="module")
def simulated_once() -> Iterator[None]:
    """Nulls that are simulated depend on the shape of a layer alone, not on its weights."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (spectrum, "angles_by_chance"), (neural_collapse, "simplex_by_chance"), (_graph_layer, "curve_band"),
        ):  # fmt: skip
            patch.setattr(module, name, _once_per_shape(getattr(module, name)))
        yield


def _once_per_shape(simulate: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[tuple[int, int], Any] = {}

    def of(rows: int, inputs: int, *more: Any, rng: np.random.Generator) -> Any:
        if (rows, inputs) not in known:
            known[rows, inputs] = simulate(rows, inputs, *more, rng=rng)
        return known[rows, inputs]

    return of


def new_network(initialise: Callable[[torch.Tensor], object] | None) -> DenseRun:
    """Step 0 of a small network: neurons with fewer inputs than there are neurons, with as many and with more."""
    layers = {
        "conv1": nn.Conv2d(1, 16, 3), "conv2": nn.Conv2d(3, 27, 3), "fc1": nn.Linear(48, 60),
        "fc2": nn.Linear(60, 40), "fc3": nn.Linear(40, 10),
    }  # fmt: skip
    with torch.no_grad():
        for layer in layers.values() if initialise else ():
            initialise(layer.weight)
        run = DenseRun({name: layer.weight.flatten(1).numpy()[None] for name, layer in layers.items()})
    run.sample = Sample(torch.randn(50, 9).cumsum(1).numpy(), np.zeros(50))  # neighbouring pixels are alike
    return run


def claims_to_test() -> Iterator[str]:
    """The analyses that tell a signal from chance."""
    yield from (name for name in names() if load(name).takes == "run" and load(name).findings is not no_findings)


def test_an_analysis_without_a_null_is_known_as_one() -> None:
    assert {name for name in names() if load(name).takes == "run"} == {*claims_to_test(), *NO_NULL}


@pytest.mark.slow
@pytest.mark.parametrize("initialisation", INITIALISATIONS)
def test_no_signal_at_step_zero(initialisation: str) -> None:
    asked: dict[tuple[str, str, int], list[Finding]] = {}
    analyses = {name: load(name) for name in claims_to_test()}
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        run = new_network(INITIALISATIONS[initialisation])
        for name, analysis in analyses.items():
            if "evaluate" in analysis.needs and seed >= RUN_AGAIN:
                continue
            # a null of few draws keeps its level over draws of the null, not for each of them
            drawn = keywords(analysis, run, seed=seed)
            for number, finding in enumerate(analysis.findings(analysis.compute(run, **drawn))):
                about = (name, finding.layer, number)
                asked.setdefault(about, []).append(finding)
    for (name, layer, _), findings in asked.items():
        claimed = [finding for finding in findings if finding.significant]
        if (initialisation, name) in TRUE_FROM_THE_START:
            assert all("already at the first step" in finding.text for finding in claimed)
            continue
        # of as many layers without a signal, so many show one in 999 of 1,000 cases, where the level is honest
        most = binom.ppf(0.999, len(findings), findings[0].level)
        assert len(findings) == (RUN_AGAIN if "evaluate" in analyses[name].needs else SEEDS)
        assert len(claimed) <= most, f"{name}, {layer}: {len(claimed)} of {SEEDS}, such as: {claimed[0].text}"


def test_orthogonal_rows_are_better_spread_than_chance_which_is_no_alignment() -> None:
    torch.manual_seed(0)
    result = load("frame_potential").compute(new_network(init.orthogonal_))
    found = {finding.layer: finding for finding in load("frame_potential").findings(result)}
    assert found["fc1"].z < -10  # FP is its floor, max(N, N²/D), far below N + N(N - 1)/D
    assert not any(finding.significant for finding in found.values())


def test_a_signal_is_claimed(rng: np.random.Generator) -> None:
    """The test above would pass for analyses that never claim anything."""
    weights = rng.normal(size=(40, 60))
    weights[:20] += 4 * rng.normal(size=60)  # half of the neurons share a direction, and are longer
    shared, simplex = MemoryRun({"fc3": weights[None]}), MemoryRun({"fc3": np.eye(10, 40)[None]})
    shared.sample = Sample(rng.normal(size=(50, 60)), np.zeros(50))
    for name in claims_to_test():
        if {"evaluate", "image"} & load(name).needs:
            continue  # no image here, and what units carry is not in the weights alone: tests/analyses plant both
        result = load(name).compute(simplex if name == "neural_collapse" else shared)
        assert any(finding.significant for finding in load(name).findings(result)), name
