"""What several runs have in common, for analyses that compare runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.store.run import Run


TOGETHER = 1 << 28  # bytes of weights of all runs at a time


def distinct_names(runs: Sequence[Run]) -> list[str]:
    """Names of runs that tell them apart: with as many folders before them as it takes, at last with a number."""
    for folders in range(1, max((len(run.path.resolve().parts) for run in runs), default=1)):
        parts = [run.path.resolve().with_name(run.name).parts[-folders:] for run in runs]
        if len(set(parts)) == len(runs):
            return ["/".join(each) for each in parts]
    names = [run.name for run in runs]
    return [f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def in_common(runs: Sequence[Run], what: str) -> tuple[list[str], Array]:
    """Layers and steps that all runs have.

    Args:
        runs: the runs.
        what: name of the analysis, for the error.

    Returns:
        Names of the layers that agree in name and number of inputs, in the first run's order; (S,) int64 steps.

    Raises:
        MisuseError: fewer than two runs, or no layer or no step in common.
    """
    if len(runs) < 2:
        raise MisuseError(f"{what} needs at least 2 runs, not {len(runs)}")
    names = ", ".join(run.name for run in runs)
    shared = set.intersection(*({(layer.name, layer.columns) for layer in run.layers.values()} for run in runs))
    layers = [name for name, layer in runs[0].layers.items() if (name, layer.columns) in shared]
    if not layers:
        raise MisuseError(
            f"{names}: no layer has the same name and number of inputs in all. Compare runs of one model."
        )
    steps = reduce(np.intersect1d, [run.steps for run in runs])
    if not len(steps):
        raise MisuseError(f"{names}: no step was recorded in all. Record them with the same schedule.")
    return layers, steps


def in_step(runs: Sequence[Run], layer: str, steps: Array) -> Iterator[list[Array]]:
    """Rows of a layer of all runs at each of some steps.

    Args:
        runs: R runs.
        layer: a name that all have.
        steps: (T,) steps that all have, increasing.

    Yields:
        At each step R arrays of (N, D). In memory are a few steps, 256 MB of them or one.
    """
    sizes = [run.layers[layer].rows * run.layers[layer].columns for run in runs]
    at_once = max(1, TOGETHER // (4 * max(sum(sizes), 1)))
    for start in range(0, len(steps), at_once):
        chosen = [run.select(steps=steps[start : start + at_once]) for run in runs]
        yield from map(list, zip(*(_each_step(run, layer) for run in chosen), strict=True))


def _each_step(run: Run, layer: str) -> Iterator[Array]:
    for _, block in run.blocks(layer):
        yield from block
