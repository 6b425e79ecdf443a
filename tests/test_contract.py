"""Every analysis, built in or plugged in, keeps the promises of `_spec.py` on ordinary and on strange runs."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

import wdyn
from tests.analyses.parallel_network import keywords
from tests.make_run import make_run
from wdyn.analyses import load, names
from wdyn.analyses._draw import draw
from wdyn.analyses._spec import Result, measured_fields, tidy_rows

RUNS = [
    "ordinary",
    "one step",
    "one neuron",
    "one input",
    "a dead row",
    "all dead",
    "not finite",
    "equal rows",
    "float16",
]


PRUNED = {"tickets", "ticket_scores"}  # those that look at masks, or at what a search says of them
REFUSED = {"aligned_tickets": "tests/analyses give it the dense runs that it matches units by"}


def weights(kind: str) -> np.ndarray:
    """(S, N, D) history of one layer."""
    rng = np.random.default_rng(7)
    shape = {"one step": (1, 6, 5), "one neuron": (4, 1, 5), "one input": (4, 6, 1)}.get(kind, (4, 6, 5))
    history = rng.normal(size=shape).astype(np.float32)
    if kind == "a dead row":
        history[:, 2] = 0
    if kind == "all dead":
        history[1:] = 0
    if kind == "not finite":
        history[2, 0, 0], history[3, 1, 1] = np.nan, np.inf
    if kind == "equal rows":
        history[:] = history[:1, :1]
    return history.astype(np.float16) if kind == "float16" else history


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    made = {}
    for kind in RUNS:
        history = weights(kind)
        steps = {step: {"fc1.weight": now, "out.weight": now[::-1].copy()} for step, now in enumerate(history)}
        loss = {step: 1.0 / (step + 1) for step in steps}
        masks = {0: {name: np.random.default_rng(8).random(values.shape) < 0.6 for name, values in steps[0].items()}}
        for name in (kind, f"{kind}, pruned"):
            file = folder / f"{name.replace(' ', '-')}.h5"
            search = {"ticket": {"kind": "ticket", "round": 1, "total": {"fc1.weight": 30}, "kept": {"fc1.weight": 18}}}
            pruned = {"masks": masks, "metadata": search} if name != kind else {}
            made[name] = make_run(file, steps, metrics={"train_loss": loss, "val_loss": loss}, **pruned)
    return made


@pytest.mark.parametrize(
    "name", sorted({*names()} - {"metrics"})
)  # what the script logged has no source but the script
def test_says_where_its_quantity_comes_from(name: str) -> None:
    assert re.search(r"\b(1[89]|20)\d\d\b", load(name).reading), "no year of a publication"


@pytest.mark.slow
@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("name", sorted({*names()} - REFUSED.keys()))
def test_keeps_its_promises(name: str, kind: str, runs: dict[str, Path]) -> None:
    analysis = load(name)
    with wdyn.open_run(runs[f"{kind}, pruned" if name in PRUNED else kind]) as run:
        before = {step: {n: a.copy() for n, a in run.state(step).items()} for step in run.steps.tolist()}
        passed = keywords(analysis, run, seed=3)
        given = [run, run] if analysis.takes == "runs" else run
        result = analysis.compute(given, **passed)
        again = analysis.compute(given, **passed)
        for step, arrays in before.items():
            for parameter, values in run.state(step).items():
                np.testing.assert_array_equal(values, arrays[parameter])

    assert isinstance(result, Result)
    assert dataclasses.fields(result)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.run = "another"  # type: ignore[misc]
    assert analysis.title
    assert analysis.reading.rstrip().endswith(".")

    for (field, axes, value), (_, _, second) in zip(measured_fields(result), measured_fields(again), strict=True):
        layers = value if isinstance(value, dict) else {None: value}
        for layer, numbers in layers.items():
            # the same run, seed and version give the same bytes
            other = second[layer] if isinstance(second, dict) else second
            np.testing.assert_array_equal(numbers, other, err_msg=field)
            assert np.ndim(numbers) == len(axes) - (layer is not None), field

    assert sum(1 for _ in tidy_rows(result)) >= 1
    assert list(result.to_dataframe().columns)[:4] == ["run", "step", "layer", "neuron"]
    for chart in result.charts():
        draw(chart).figure.canvas.draw()
