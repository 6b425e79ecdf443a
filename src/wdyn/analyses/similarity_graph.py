"""Similarity graph of each layer through time: which neurons are joined, at what cutoff, against random directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Array, Chart, Lines, Table
from wdyn.analyses._graph import LOWEST_CUTOFF, cosine_at
from wdyn.analyses._graph_chance import distance_band, norm_by_chance
from wdyn.analyses._graph_layer import (
    CUTOFFS,
    MOST_STEPS,
    LayerGraph,
    edges_per_step,
    graph_bands,
    graph_chart,
    layer_graph,
    mean_over_pairs,
)
from wdyn.analyses._graph_nodes import chosen_blindly, graph_nodes, said
from wdyn.analyses._groups import FALSE_CLAIM
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._spec import Analysis, Finding, Result, measured

if TYPE_CHECKING:
    from wdyn.store.run import Layer, Run

LISTED = 50


@dataclass(frozen=True)
class SimilarityGraph(Result):
    """Graph of a layer's neurons at the shown steps: distance d = (1 - cos) / 2, edge weight exp(-d² / sigma²).

    Attributes:
        shown: (T,) int64, the steps looked at, at most 60.
        neurons: layer to (n,) int64, the neurons that are nodes: all, or the 512 of largest norm at the last step
            shown, in order of number.
        graphs: layer to its graph: edges, places and norms of the nodes.
        rows: neurons of the layer.
        live: nodes that have a direction.
        sigma: mean distance over all pairs of live nodes at all shown steps; NaN without a pair.
        lowest_cosine: of the edges kept, those with a weight of at least 1/e: 1 - 2 sigma.
        mean_distance: mean distance over pairs of live nodes.
        distance_low: low end of the band that holds it for random directions in 95 of 100 cases; NaN before the last
            step where not all neurons are nodes, since these were chosen by what became of them.
        distance_high: its high end.
        claim_cosine: cosine that no two of as many random directions reach in 99 of 100 cases; NaN where no claim is
            possible.
        joined: nodes that are connected to another by edges above that cosine, 0 by chance.
        largest_joined: nodes in the largest component of those, 0 where there is none.
        cutoffs: (C,) cosines that components are counted at, 0 to 0.98.
        components: layer to (T, C), number of connected components among live nodes.
        components_low: layer to (T, C), low end of the band that holds both curves of random directions, whole, in 99
            of 100 cases; NaN where as many nodes live neither at the first nor at the last step, and as for
            `distance_low`.
        components_high: its high end.
        largest: layer to (T, C), nodes in the largest component.
        largest_low: layer to (T, C), as for `components_low`.
        largest_high: its high end.
        component: layer to (n,) int64, component at `claim_cosine` at the last step, 0 for the largest; -1 for none.
        larger_norm_by_chance: layer to (n,), chance that the largest norm among as many random live nodes is as large
            as in this node's component at the last step; NaN for nodes of none.
        smaller_norm_by_chance: layer to (n,), chance that it is as small.
    """

    shown: Array
    neurons: dict[str, Array]
    graphs: dict[str, LayerGraph]
    rows: Array = measured("layer")
    live: Array = measured("shown", "layer")
    sigma: Array = measured("layer")
    lowest_cosine: Array = measured("layer")
    mean_distance: Array = measured("shown", "layer")
    distance_low: Array = measured("shown", "layer")
    distance_high: Array = measured("shown", "layer")
    claim_cosine: Array = measured("shown", "layer")
    joined: Array = measured("shown", "layer")
    largest_joined: Array = measured("shown", "layer")
    cutoffs: Array = measured("index")
    components: dict[str, Array] = measured("layer", "shown", "index")
    components_low: dict[str, Array] = measured("layer", "shown", "index")
    components_high: dict[str, Array] = measured("layer", "shown", "index")
    largest: dict[str, Array] = measured("layer", "shown", "index")
    largest_low: dict[str, Array] = measured("layer", "shown", "index")
    largest_high: dict[str, Array] = measured("layer", "shown", "index")
    component: dict[str, Array] = measured("layer", "neuron")
    larger_norm_by_chance: dict[str, Array] = measured("layer", "neuron")
    smaller_norm_by_chance: dict[str, Array] = measured("layer", "neuron")


def compute(run: Run, *, seed: int = 0, progress: Callable[[float], object] | None = None) -> SimilarityGraph:
    """Follow the graph of every layer over up to 60 steps.

    Args:
        run: the run.
        seed: of the random directions behind the bands.
        progress: called with the share of the work done.

    Returns:
        The graphs; dead rows are nodes without edges and counted by `live`.
    """
    shown = run.steps[shown_steps(run.steps, MOST_STEPS)]
    chosen, at_most = run.select(steps=shown), edges_per_step(len(run.layers), len(shown))
    neurons, graphs, bands = {}, {}, {}
    for i, (name, layer) in enumerate(run.layers.items()):
        neurons[name] = nodes = graph_nodes(run, name, int(shown[-1]))
        rng = np.random.default_rng(seed)  # a layer's numbers do not depend on the other layers
        owners = np.zeros(len(nodes), dtype=np.int64)
        graphs[name] = layer_graph(_rows(chosen, name, nodes), owners, len(shown), at_most=at_most, rng=rng)
        band = graph_bands(graphs[name], layer.columns, rng=rng)
        bands[name] = chosen_blindly(band, all_shown=len(nodes) == layer.rows)
        if progress:
            progress((i + 1) / len(run.layers))
    rows = np.array([layer.rows for layer in run.layers.values()], dtype=np.int64)
    return SimilarityGraph(
        run=run.name, steps=run.steps, layers=tuple(graphs), shown=shown, neurons=neurons, graphs=graphs, rows=rows,
        cutoffs=CUTOFFS, **_of_steps(len(shown), graphs, list(run.layers.values())), **_of_layers(graphs, bands),
    )  # fmt: skip


def _rows(chosen: Run, layer: str, nodes: Array) -> Iterator[Array]:
    for _, block in chosen.blocks(layer):
        for vectors in block:
            yield vectors[nodes]


def _of_steps(steps: int, each_graph: dict[str, LayerGraph], layers: Sequence[Layer]) -> dict[str, Any]:
    """Every field of (T, L) or (L,)."""
    shape, found, graphs = (steps, len(layers)), {}, list(each_graph.values())
    joined = [graph.members >= 0 for graph in graphs]
    bands = [_distance_band(graph, layer) for graph, layer in zip(graphs, layers, strict=True)]
    for name, each in {
        "live": [graph.live.sum(axis=1) for graph in graphs],
        "mean_distance": [mean_over_pairs(graph.within) for graph in graphs],
        "distance_low": [low for low, _ in bands],
        "distance_high": [high for _, high in bands],
        "claim_cosine": [graph.claim for graph in graphs],
        "joined": [each.sum(axis=1) for each in joined],
        "largest_joined": [(graph.members == 0).sum(axis=1) for graph in graphs],
    }.items():
        found[name] = np.stack(each, axis=1) if each else np.empty(shape)
    found["sigma"] = np.array([graph.sigma for graph in graphs], dtype=np.float64)
    found["lowest_cosine"] = np.array([cosine_at(LOWEST_CUTOFF, graph.sigma) for graph in graphs], dtype=np.float64)
    return found


def _distance_band(graph: LayerGraph, layer: Layer) -> list[Array]:
    all_shown = graph.live.shape[1] == layer.rows
    return [chosen_blindly(end, all_shown=all_shown) for end in distance_band(graph.within[:, 1], layer.columns)]


def _of_layers(graphs: dict[str, LayerGraph], bands: dict[str, Array]) -> dict[str, Any]:
    """Every field of one array per layer."""
    found: dict[str, dict[str, Array]] = {"component": {name: graph.members[-1] for name, graph in graphs.items()}}
    for k, field in enumerate(("components", "largest")):
        found[field] = {name: graph.curves[:, k] for name, graph in graphs.items()}
        for end, suffix in enumerate(("low", "high")):
            found[f"{field}_{suffix}"] = {name: band[:, end, k] for name, band in bands.items()}
    chances = {name: _norm_chances(graph) for name, graph in graphs.items()}
    for k, field in enumerate(("larger", "smaller")):
        found[f"{field}_norm_by_chance"] = {name: each[k] for name, each in chances.items()}
    return found


def _norm_chances(graph: LayerGraph) -> Array:
    """(2, n) for the last step."""
    live, members = graph.live[-1], graph.members[-1]
    chances = np.full((2, len(live)), np.nan)
    for group in range(members.max(initial=-1) + 1):
        chances[:, members == group] = np.array(norm_by_chance(graph.norms[-1, live], members[live] == group))[:, None]
    return chances


def charts(result: SimilarityGraph) -> list[Chart]:
    """Each layer's graph, components against the cutoff, and component sizes against norms; then all layers."""
    found: list[Chart] = []
    for j, layer in enumerate(result.layers):
        nodes = result.neurons[layer]
        more = said(len(nodes), int(result.rows[j]), int(result.shown[-1]))
        found += [
            graph_chart(
                layer, result.shown, result.graphs[layer], neurons=nodes, groups=result.component[layer],
                labels=("Similarity graph", "component at the last step", more),
            ),
            _curves(result, layer, "components", "connected components"),
            _curves(result, layer, "largest", "neurons in the largest component"),
            _norms(result, j, layer),
        ]  # fmt: skip
    return [*found, *_of_all(result)]


def _curves(result: SimilarityGraph, layer: str, field: str, label: str) -> Lines:
    values, low, high = (getattr(result, f"{field}{end}")[layer] for end in ("", "_low", "_high"))
    middle = len(result.shown) // 2
    ends = {f"step {result.shown[at]}": at for at in (0, middle, -1)}
    return Lines(
        title=f"{label[0].upper()}{label[1:]} against the cutoff",
        x=result.cutoffs,
        y={name: values[at] for name, at in ends.items()},
        x_label="least cosine of an edge",
        y_label=label,
        bands={f"step {result.shown[at]}": (low[at], high[at]) for at in _different(low)},
        layer=layer,
        band_label="random directions (99 % of whole curves)",
    )


def _different(bands: Array) -> list[int]:
    """The last step, and the first where it has a band that is another because neurons have died since."""
    return [-1] if np.isnan(bands[0]).all() or np.array_equal(bands[0], bands[-1]) else [0, -1]


def _norms(result: SimilarityGraph, j: int, layer: str) -> Table:
    members, norms = result.component[layer], result.graphs[layer].norms[-1]
    listed = [members == group for group in range(min(LISTED, members.max(initial=-1) + 1))]
    needed = result.claim_cosine[-1, j]
    above = "no claim possible" if np.isnan(needed) else f"cosine above {needed:.3g}"
    columns: dict[str, Any] = {
        "component": list(range(len(listed))),
        "neurons": [int(each.sum()) for each in listed],
        "largest norm": [float(norms[each].max()) for each in listed],
        "chance of one as large": [float(result.larger_norm_by_chance[layer][each][0]) for each in listed],
        "chance of one as small": [float(result.smaller_norm_by_chance[layer][each][0]) for each in listed],
    }
    return Table(title=f"Components at step {result.shown[-1]} ({above})", columns=columns, layer=layer)


def _of_all(result: SimilarityGraph) -> list[Chart]:
    def along(values: Array) -> dict[str, Array]:
        return dict(zip(result.layers, values.T, strict=True))

    ends = zip(result.layers, result.distance_low.T, result.distance_high.T, strict=True)
    bands = {layer: (low, high) for layer, low, high in ends}
    chance = {"random directions (99 %)": 0.0}
    step = "optimizer step"
    return [
        Lines("Neurons joined by edges that chance does not give", result.shown, along(result.joined), step,
              "neurons with an edge", reference=chance),
        Lines("Mean distance (1 - cos) / 2 between neurons", result.shown, along(result.mean_distance), step,
              "mean distance", bands=bands),
    ]  # fmt: skip


def findings(result: SimilarityGraph) -> Iterator[Finding]:
    """Whether neurons are joined by edges that random directions do not have, at the first and the last step.

    Of neurons that were chosen by what became of them nothing is said before the last step, see `chosen_blindly`.
    """
    last = len(result.shown) - 1
    whole = [len(result.neurons[layer]) == rows for layer, rows in zip(result.layers, result.rows, strict=True)]
    for at in sorted({0, last}):
        joined = zip(result.layers, whole, result.joined[at].tolist(), result.live[at], strict=True)
        for layer, all_shown, count, live in joined:
            if live and (all_shown or at == last):
                text = f"{layer}: {count or 'no'} neurons joined by edges that chance does not give"
                yield Finding(layer, int(result.shown[at]), text, bool(count), FALSE_CLAIM)


ANALYSIS = Analysis(
    title="Similarity graph",
    compute=compute,
    charts=charts,
    findings=findings,
    when="full",
    reading=(
        "A node is a neuron, as large as its norm. Neurons at distance d = (1 - cos) / 2 share an edge of Gaussian "
        "weight exp(-d²/σ²) (von Luxburg, A tutorial on spectral clustering, 2007), σ being the mean distance over "
        "all steps shown; a cutoff on the weight reads back as the cosine 1 - 2σ √ln(1/cutoff). Curves inside their "
        "band come apart as random directions do (99 % of whole curves, Myllymäki et al. 2017). A component's largest "
        "norm is held against as many random neurons of the graph: with several components, expect one in twenty "
        "chances below 0.05."
    ),
)
