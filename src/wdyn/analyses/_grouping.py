"""Which groups of a layer's neurons are claimed at one step; shared by all analyses that speak of groups."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._group_chance import MOST_SIMULATED, carried_over, chance_heights
from wdyn.analyses._groups import FALSE_CLAIM, Method, Mode, average, by_size, chance_distance, dense, merge_tree


def groups_at(
    cosine: Array,
    live: Array,
    inputs: int,
    mode: Mode,
    *,
    method: Method = "average",
    level: float = FALSE_CLAIM,
    pairs: float | None = None,
    of_inputs: int | None = None,
) -> Array:
    """Groups of a layer at one step, against chance.

    Args:
        cosine: (N, N) from `cosines`.
        live: (N,) bool, rows that have a direction.
        inputs: D.
        mode: as for `merge_tree`.
        method: average linkage, where the more neurons a group has, the farther apart they may be; in layers of more
            than 320 neurons, and with HDBSCAN, groups are as close as no pair of random directions is.
        level: chance that a layer of random directions shows any group.
        pairs: hold groups of all sizes against pairs of random directions, so many of which are expected as close:
            only to see what chance groups are like.
        of_inputs: inputs of the whole layer, where only part of them is looked at: spares the simulation of layers
            that have as few.

    Returns:
        (N,) int64, 0 for the largest group, then by falling size and rising first row; -1 for a row in none or dead.
    """
    rows = np.flatnonzero(live)
    labels = np.full(len(live), -1)
    between = cosine if len(rows) == len(live) else cosine[np.ix_(rows, rows)]
    if method == "average" and pairs is None and len(rows) <= MOST_SIMULATED:
        heights = chance_heights(len(rows), of_inputs or inputs, mode, level=level)
        if of_inputs is not None:
            heights = carried_over(heights, of_inputs, inputs)
        labels[rows] = prominent(merge_tree(between, mode), heights)
        return labels
    distance = chance_distance(len(rows), inputs, mode, pairs=level if pairs is None else pairs)
    labels[rows] = dense(between, mode, distance) if method == "hdbscan" else average(between, mode, distance)
    return labels


def prominent(tree: Array, heights: Array) -> Array:
    """Of the groups in a tree that chance does not join so low, those that together stand out most.

    A join far above those of its parts may still be lower than chance would have it for so many rows: a layer of three
    tight groups at right angles is no random layer as a whole either, but whoever looks for aligned neurons wants the
    three. So claimed groups that do not overlap are chosen such that their rows lie, in all, as far below chance as
    possible: the sum over groups of their size times the height that chance allows for that size, less their own. A
    tight group within a looser one is then shown in its place where it loses fewer rows than it gains in closeness.

    Args:
        tree: (N - 1, 4) from `merge_tree`.
        heights: (N + 1,) from `chance_heights`, the height that a group of each size must not exceed.

    Returns:
        (N,) int64 as from `groups_at`.

    Source:
        After the excess of mass that HDBSCAN chooses groups by (Campello, Moulavi & Sander 2013), with chance in place
        of the height at which a group joins the next.
    """
    count = len(tree) + 1
    sizes = tree[:, 3].astype(np.int64)
    excess = sizes * (heights[sizes] - tree[:, 2])
    if not ((excess >= 0) & (heights[sizes] > 0)).any():
        return np.full(count, -1)
    parts = tree[:, :2].astype(np.int64).tolist()
    best, chosen = [0.0] * (2 * count - 1), np.zeros(2 * count - 1, dtype=bool)
    for node, ((a, b), own, limit) in enumerate(zip(parts, excess.tolist(), heights[sizes], strict=True), start=count):
        apart = best[a] + best[b]
        chosen[node] = limit > 0 and own >= max(apart, 0.0)
        best[node] = own if chosen[node] else apart
    group = np.where(chosen, np.arange(2 * count - 1), -1)
    for node in range(2 * count - 2, count - 1, -1):  # from the last union down to its rows
        if group[node] >= 0:
            group[parts[node - count]] = group[node]
    return by_size(group[:count])
