"""Similarity graph of several runs of one architecture together: are neurons of different runs joined?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Array, Chart, Lines, Table
from wdyn.analyses._graph_chance import distance_band
from wdyn.analyses._graph_layer import (
    MOST_STEPS,
    LayerGraph,
    edges_per_step,
    graph_chart,
    layer_graph,
    mean_over_pairs,
)
from wdyn.analyses._graph_nodes import MOST_NODES, chosen_blindly, graph_nodes, said
from wdyn.analyses._groups import FALSE_CLAIM
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._runs import distinct_names, in_common, in_step
from wdyn.analyses._spec import Analysis, Finding, Result, measured

if TYPE_CHECKING:
    from wdyn.store.run import Run


@dataclass(frozen=True)
class SimilarityGraphBetween(Result):
    """One graph per layer over the neurons of all runs, with the distances and weights of `SimilarityGraph`.

    Attributes:
        runs: R names.
        shown: (T,) int64, the steps looked at, at most 60 of those that all runs have.
        neurons: layer to (n,) int64, number of each node's neuron in its run, run after run; at most 512 nodes, as
            many of each run, those of largest norm in it at the last step shown, in order of number.
        owners: layer to (n,) int64, position in `runs` of each node.
        rows: layer to (R,) int64, neurons of each run's layer.
        graphs: layer to its graph.
        live: nodes that have a direction.
        sigma: mean distance (1 - cos) / 2 over all pairs of live nodes at all shown steps; NaN without a pair.
        mean_distance: mean distance over pairs of live nodes of different runs; NaN without one.
        distance_low: low end of the band that holds it for random directions in 95 of 100 cases; NaN before the last
            step where not all neurons are nodes, since these were chosen by what became of them.
        distance_high: its high end.
        claim_cosine: cosine that no two of as many random directions reach in 99 of 100 cases; NaN where no claim is
            possible.
        joined: nodes with an edge above that cosine to some other, of whatever run; 0 by chance.
        mixed: components of those edges that hold nodes of several runs; 0 by chance.
        in_mixed: nodes in such components.
    """

    runs: tuple[str, ...]
    shown: Array
    neurons: dict[str, Array]
    owners: dict[str, Array]
    graphs: dict[str, LayerGraph]
    rows: dict[str, Array] = measured("layer", "index")
    live: Array = measured("shown", "layer")
    sigma: Array = measured("layer")
    mean_distance: Array = measured("shown", "layer")
    distance_low: Array = measured("shown", "layer")
    distance_high: Array = measured("shown", "layer")
    claim_cosine: Array = measured("shown", "layer")
    joined: Array = measured("shown", "layer")
    mixed: Array = measured("shown", "layer")
    in_mixed: Array = measured("shown", "layer")


def mixed_components(members: Array, owners: Array) -> Array:
    """Components that hold nodes of several owners.

    Args:
        members: (N,) int, component of each node, -1 for none.
        owners: (N,) int, owner of each node.

    Returns:
        (K,) int64, their numbers, rising.
    """
    pairs = np.unique(np.stack([members, owners])[:, members >= 0], axis=1)
    found, different = np.unique(pairs[0], return_counts=True)
    return np.asarray(found[different > 1])


def compute(
    runs: Sequence[Run], *, seed: int = 0, progress: Callable[[float], object] | None = None
) -> SimilarityGraphBetween:
    """Follow the common graph of every layer that all runs have over up to 60 steps that all have.

    Args:
        runs: at least two. Layers match by name and number of inputs.
        seed: of what is random.
        progress: called with the share of the work done.

    Returns:
        The graphs; dead rows are nodes without edges and counted by `live`.

    Raises:
        MisuseError: fewer than two runs, or no layer or no step in common.
    """
    layers, steps = in_common(runs, "the similarity graph between runs")
    shown = steps[shown_steps(steps, MOST_STEPS)]
    at_most = edges_per_step(len(layers), len(shown))
    nodes: dict[str, list[Array]] = {}
    graphs = {}
    for i, layer in enumerate(layers):
        most = max(1, MOST_NODES // len(runs))
        nodes[layer] = [graph_nodes(run, layer, int(shown[-1]), at_most=most) for run in runs]
        rows = (
            np.concatenate([each[kept] for each, kept in zip(now, nodes[layer], strict=True)])
            for now in in_step(runs, layer, shown)
        )
        rng = np.random.default_rng(seed)
        graphs[layer] = layer_graph(rows, _owners(nodes[layer]), len(shown), at_most=at_most, rng=rng)
        if progress:
            progress((i + 1) / len(layers))
    return _assemble(runs, steps, shown, nodes=nodes, graphs=graphs)


def _owners(nodes: list[Array]) -> Array:
    return np.repeat(np.arange(len(nodes)), [len(each) for each in nodes])


def _assemble(
    runs: Sequence[Run], steps: Array, shown: Array, *, nodes: dict[str, list[Array]], graphs: dict[str, LayerGraph]
) -> SimilarityGraphBetween:
    owners = {layer: _owners(each) for layer, each in nodes.items()}
    each = list(graphs.values())
    mixed = [_mixed(graph.members, owner) for graph, owner in zip(each, owners.values(), strict=True)]
    bands = [_distance_band(runs, layer, graph) for layer, graph in graphs.items()]

    def columns(values: list[Array]) -> Array:
        return np.stack(values, axis=1)

    names = distinct_names(runs)
    return SimilarityGraphBetween(
        run=" and ".join(names), steps=steps, layers=tuple(graphs), shown=shown, owners=owners,
        runs=tuple(names), graphs=graphs,
        neurons={layer: np.concatenate(parts) for layer, parts in nodes.items()},
        rows={layer: np.array([run.layers[layer].rows for run in runs], dtype=np.int64) for layer in graphs},
        live=columns([graph.live.sum(axis=1) for graph in each]),
        sigma=np.array([graph.sigma for graph in each]),
        mean_distance=columns([mean_over_pairs(graph.across) for graph in each]),
        distance_low=columns([low for low, _ in bands]), distance_high=columns([high for _, high in bands]),
        claim_cosine=columns([graph.claim for graph in each]),
        joined=columns([(graph.members >= 0).sum(axis=1) for graph in each]),
        mixed=columns([found for found, _ in mixed]), in_mixed=columns([inside for _, inside in mixed]),
    )  # fmt: skip


def _distance_band(runs: Sequence[Run], layer: str, graph: LayerGraph) -> list[Array]:
    all_shown = graph.live.shape[1] == sum(run.layers[layer].rows for run in runs)
    ends = distance_band(graph.across[:, 1], runs[0].layers[layer].columns)
    return [chosen_blindly(end, all_shown=all_shown) for end in ends]


def _mixed(members: Array, owners: Array) -> tuple[Array, Array]:
    """(T,) number of mixed components and of nodes in them."""
    found = [mixed_components(now, owners) for now in members]
    inside = [np.isin(now, mixed).sum() for now, mixed in zip(members, found, strict=True)]
    return np.array([len(mixed) for mixed in found], dtype=np.int64), np.array(inside, dtype=np.int64)


def charts(result: SimilarityGraphBetween) -> list[Chart]:
    """Each layer's graph coloured by run, then mixed components, distances between runs, and a table of the ends."""
    names = ", ".join(f"{r} is {name}" for r, name in enumerate(result.runs))
    graphs: list[Chart] = []
    for layer, graph in result.graphs.items():
        more = said(
            len(result.owners[layer]), int(result.rows[layer].sum()), int(result.shown[-1]), of_each=" in their runs"
        )
        graphs.append(
            graph_chart(
                layer, result.shown, graph, neurons=result.neurons[layer], groups=result.owners[layer],
                labels=("Similarity graph of all runs", "run", f" Runs: {names}.{more}"), runs=result.runs,
            )
        )  # fmt: skip
    ends = zip(result.layers, result.distance_low.T, result.distance_high.T, strict=True)
    bands = {layer: (low, high) for layer, low, high in ends}
    return [
        *graphs,
        _lines(
            result, "Neurons joined across runs", result.in_mixed, "neurons in mixed components",
            reference={"random directions (99 %)": 0.0},
        ),
        _lines(
            result, "Mean distance between neurons of different runs", result.mean_distance, "(1 - cos) / 2",
            bands=bands,
        ),
        _ends(result),
    ]  # fmt: skip


def _lines(result: SimilarityGraphBetween, title: str, values: Array, label: str, **more: Any) -> Lines:
    y = dict(zip(result.layers, values.T, strict=True))
    return Lines(title=title, x=result.shown, y=y, x_label="optimizer step", y_label=label, **more)


def _ends(result: SimilarityGraphBetween) -> Table:
    columns: dict[str, list[object]] = {"layer": list(result.layers), "σ": result.sigma.tolist()}
    numbers = {"joined": result.joined, "in mixed components": result.in_mixed, "distance": result.mean_distance}
    for name, values in numbers.items():
        for end, at in (("first", 0), ("last", -1)):
            columns[f"{name}, {end}"] = values[at].tolist()
    columns["cosine above"] = ["no claim possible" if np.isnan(c) else float(c) for c in result.claim_cosine[-1]]
    return Table(title=f"Step {result.shown[0]} against step {result.shown[-1]}", columns=columns)


def findings(result: SimilarityGraphBetween) -> Iterator[Finding]:
    """Whether neurons are joined across runs as random directions are not, at the first and the last step.

    Of neurons that were chosen by what became of them nothing is said before the last step, see `chosen_blindly`.
    """
    last = len(result.shown) - 1
    whole = [len(result.owners[layer]) == result.rows[layer].sum() for layer in result.layers]
    for at in sorted({0, last}):
        joined = zip(result.layers, whole, result.in_mixed[at].tolist(), result.live[at], strict=True)
        for layer, all_shown, count, live in joined:
            if live and (all_shown or at == last):
                text = f"{layer}: {count or 'no'} neurons joined across runs beyond chance"
                yield Finding(layer, int(result.shown[at]), text, bool(count), FALSE_CLAIM)


ANALYSIS = Analysis(
    title="Similarity graph between runs",
    compute=compute,
    charts=charts,
    findings=findings,
    takes="runs",
    reading=(
        "Neurons of all runs in one graph, coloured by run; distances and weights are those of the similarity graph "
        "(Gaussian, von Luxburg 2007). A mixed component holds neurons of several runs, joined by edges that as many "
        "random directions show in 1 of 100 cases. Runs from one initialisation agree from birth, so read the change "
        "since the first step."
    ),
)
