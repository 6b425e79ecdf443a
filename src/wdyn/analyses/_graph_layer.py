"""One layer's similarity graph at all shown steps, of one run or of several together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from wdyn.analyses._charts import Array, Edges, GraphThroughTime
from wdyn.analyses._graph import (
    LOWEST_CUTOFF,
    Pairs,
    closest_tree,
    component_curves,
    components,
    cosine_at,
    edge_weights,
    half_distance,
    joining_cosines,
    strongest,
)
from wdyn.analyses._graph_chance import curve_band
from wdyn.analyses._groups import chance_distance, cosines
from wdyn.analyses._neurons import directions
from wdyn.analyses._principal import principal

MOST_STEPS = 60
MOST_EDGES = 1_500
FEWEST_EDGES = 50
MOST_EDGES_IN_ALL = 1_000_000  # 25 MB over all layers and steps, about 2 MB of a page

CUTOFFS = np.linspace(0.0, 0.98, 50)
"""Cosines that components are counted at."""


class LayerGraph(NamedTuple):
    """A layer at T shown steps; N nodes, C cutoffs.

    Attributes:
        norms: (T, N) float64, length of each neuron's vector; 0 for a dead row, NaN for a non-finite one.
        live: (T, N) bool, nodes that have a direction.
        edges: T sets of pairs of nodes, see `strongest`.
        within: (T, 2) float64, sum of distances (1 - cos) / 2 over pairs of live nodes, and number of pairs.
        across: (T, 2) float64, the same over pairs of nodes of different owners.
        claim: (T,) float64, cosine that no two of as many random directions reach in 99 of 100 cases; NaN where no
            claim is possible.
        members: (T, N) int64, component at that cosine, 0 for the largest, -1 for a node on its own.
        curves: (T, 2, C) float64, number of components among live nodes, and size of the largest.
        xy: (N, 2) float64, first two principal coordinates of the directions at the last step; 0 for the dead.
    """

    norms: Array
    live: Array
    edges: list[Pairs]
    within: Array
    across: Array
    claim: Array
    members: Array
    curves: Array
    xy: Array

    @property
    def sigma(self) -> float:
        """Mean distance over all pairs of live nodes at all shown steps; NaN without a pair."""
        distance, pairs = self.within.sum(axis=0)
        return float(distance / pairs) if pairs else np.nan


def edges_per_step(layers: int, steps: int) -> int:
    """Number of closest pairs to keep per layer and step, so that all stay within 25 MB, and within 2 MB of a page."""
    return int(np.clip(MOST_EDGES_IN_ALL // max(1, layers * steps), FEWEST_EDGES, MOST_EDGES))


def layer_graph(
    vectors: Iterable[Array], owners: Array, steps: int, *, at_most: int, rng: np.random.Generator
) -> LayerGraph:
    """Follow the graph of a layer's neurons through its steps.

    Args:
        vectors: (N, D) real at each step in order, one node per row.
        owners: (N,) int, run of each node.
        steps: T, their number, at least 1.
        at_most: closest pairs to keep per step.
        rng: draws the start of the search for principal coordinates.

    Returns:
        All numbers; memory is bounded by the edges kept and one step's vectors.
    """
    count, shape = len(owners), (steps, len(owners))
    found = LayerGraph(
        norms=np.zeros(shape), live=np.zeros(shape, dtype=bool), edges=[], within=np.zeros((steps, 2)),
        across=np.zeros((steps, 2)), claim=np.full(steps, np.nan), members=np.full(shape, -1),
        curves=np.zeros((steps, 2, len(CUTOFFS))), xy=np.zeros((count, 2)),
    )  # fmt: skip
    unit = np.zeros((count, 1))
    for t, rows in enumerate(vectors):
        unit, found.norms[t], found.live[t] = directions(rows)
        _look(found, t, unit, owners, at_most)
    alive = found.live[-1]
    if alive.any():
        found.xy[alive] = principal(unit[alive], np.ones(alive.sum()), 2, rng=rng).coordinates
    return found


def _look(found: LayerGraph, t: int, unit: Array, owners: Array, at_most: int) -> None:
    """Everything about one step."""
    nodes = np.flatnonzero(found.live[t])
    cosine = cosines(unit[nodes])
    i, j = np.triu_indices(len(nodes), 1)
    distance = half_distance(cosine[i, j])
    foreign = owners[nodes[i]] != owners[nodes[j]]
    found.within[t] = distance.sum(), len(distance)
    found.across[t] = distance[foreign].sum(), foreign.sum()
    tree = closest_tree(cosine)
    kept = strongest(cosine, tree, at_most)
    found.edges.append(Pairs(nodes[kept.i], nodes[kept.j], kept.cosine))
    limit = chance_distance(len(nodes), unit.shape[1], "ray")
    found.claim[t] = 1.0 - limit if limit else np.nan
    found.members[t, nodes] = components(tree, len(nodes), found.claim[t])
    if len(nodes):
        found.curves[t] = component_curves(joining_cosines(tree, len(nodes)), CUTOFFS)


def graph_bands(graph: LayerGraph, inputs: int, *, rng: np.random.Generator) -> Array:
    """Where random directions would put the curves.

    Args:
        graph: from `layer_graph`.
        inputs: D.
        rng: draws the random directions.

    Returns:
        (T, 2, 2, C) float64, ends of the band of `curve_band`; NaN where as many nodes live neither at the first nor at
        the last step, since every number of nodes takes 99 random layers.
    """
    alive = graph.live.sum(axis=1)
    bands = np.full((len(alive), 2, 2, len(CUTOFFS)), np.nan)
    for count in np.unique(alive[[0, -1]]).tolist():
        bands[alive == count] = curve_band(count, inputs, CUTOFFS, rng=rng) if count else 0.0
    return bands


def mean_over_pairs(sums: Array) -> Array:
    """(T,) mean distance from (T, 2) sums and numbers of pairs; NaN without a pair."""
    total, pairs = sums.T
    return np.asarray(np.divide(total, pairs, out=np.full(len(total), np.nan), where=pairs > 0))


def weighted_edges(graph: LayerGraph) -> list[Edges]:
    """Edges of each step that are no longer than the mean distance, with their weights."""
    sigma, found = graph.sigma, []
    for pairs in graph.edges:
        weight = edge_weights(half_distance(pairs.cosine), sigma)
        kept = weight >= LOWEST_CUTOFF  # none where sigma is NaN
        found.append(Edges(pairs.i[kept], pairs.j[kept], weight[kept].astype(np.float32)))
    return found


def graph_chart(
    layer: str,
    steps: Array,
    graph: LayerGraph,
    *,
    neurons: Array,
    groups: Array,
    labels: Sequence[str],
    runs: Sequence[str] = (),
) -> GraphThroughTime:
    """The picture of a layer's graph.

    Args:
        layer: name of the layer.
        steps: (T,) shown steps.
        graph: from `layer_graph`.
        neurons: (N,) number of each node's neuron.
        groups: (N,) colour of each node, -1 for none.
        labels: title, what the colour means, and what else the caption should say, which may be empty.
        runs: their names, where the colour is the run.

    Returns:
        The chart. Its caption says what was left out.
    """
    title, group_label, more = labels
    edges = weighted_edges(graph)
    return GraphThroughTime(
        title=title, steps=steps, neurons=neurons, radius=graph.norms, edges=edges, sigma=graph.sigma,
        lowest=LOWEST_CUTOFF, xy=graph.xy, groups=groups, group_label=group_label,
        caption=_facts(graph.sigma, edges) + more, layer=layer, chance=graph.claim, runs=runs,
    )  # fmt: skip


def _facts(sigma: float, edges: Sequence[Edges]) -> str:
    if np.isnan(sigma):
        return "No two neurons are live at any step shown."
    cosine = f"{cosine_at(LOWEST_CUTOFF, sigma):.3g}".replace("-", "−")
    return (
        f"σ = {sigma:.4g}, the mean distance. Edges are no longer than that, which is a cosine of {cosine}; of "
        "those the closest pairs are kept and the tree that keeps components exact at any cutoff, up to "
        f"{max(len(each.i) for each in edges):,} at a step."
    )
