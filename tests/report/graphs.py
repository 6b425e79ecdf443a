"""Similarity graphs of made-up layers, by the road that real ones take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wdyn.analyses._charts import GraphThroughTime
from wdyn.analyses._graph_layer import graph_chart, layer_graph


def drifting(neurons: int, inputs: int, steps: int, seed: int = 0) -> np.ndarray:
    """(T, N, D): random directions that six patterns slowly take over; lengths differ."""
    rng = np.random.default_rng(seed)
    pattern, rows = rng.normal(size=(6, inputs))[np.arange(neurons) % 6], rng.normal(size=(neurons, inputs))
    length = rng.uniform(0.5, 2.0, size=(neurons, 1))
    history = np.empty((steps, neurons, inputs), dtype=np.float32)
    for t in range(steps):
        rows += 0.1 * rng.normal(size=rows.shape)
        history[t] = length * (rows + 1.2 * pattern * t / max(steps - 1, 1))
    return history


def made_graph(neurons: int, *, inputs: int = 20, steps: int = 3, layer: str = "fc1") -> GraphThroughTime:
    """A drifting layer's graph at steps 0, 10, 20 and so on."""
    return graph_of(drifting(neurons, inputs, steps), layer=layer)


def graph_of(
    history: np.ndarray, *, layer: str = "fc1", owners: np.ndarray | None = None, runs: Sequence[str] = ()
) -> GraphThroughTime:
    """The graph of (T, N, D) vectors, coloured by component or by run."""
    steps, neurons, _ = history.shape
    of = np.zeros(neurons, dtype=np.int64) if owners is None else owners
    rng = np.random.default_rng(0)
    graph = layer_graph(iter(history), of, steps, at_most=1_500, rng=rng)
    numbers = np.concatenate([np.arange((of == run).sum()) for run in np.unique(of)]) if neurons else of
    return graph_chart(
        layer, 10 * np.arange(steps), graph, neurons=numbers, groups=graph.members[-1] if owners is None else owners,
        labels=("Similarity graph", "component at the last step" if owners is None else "run", ""), runs=runs,
    )  # fmt: skip
