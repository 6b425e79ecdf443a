"""What `clusters` says of groups against chance, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._groups import FALSE_CLAIM
from wdyn.analyses._spec import Finding

if TYPE_CHECKING:
    from wdyn.analyses.clusters import Clusters


def findings(result: Clusters) -> Iterator[Finding]:
    """Whether there are groups that random directions do not form, at the first, the last and the most aligned step."""
    for at in sorted({0, len(result.shown) - 1}):
        for j, layer in enumerate(result.layers):
            if result.live[at, j]:
                count = int(result.ray_groups[at, j])
                text = f"{layer}: {_groups(count)} of aligned neurons beyond chance{_inside(result, at, j)}"
                yield Finding(layer, int(result.shown[at]), text, bool(count), FALSE_CLAIM)
    for j, layer in enumerate(result.layers):
        at = int(np.searchsorted(result.shown, result.peak[j]))
        if result.peak_groups[j] and result.line_largest[at, j] > result.line_largest[[0, -1], j].max():
            largest, live = result.line_largest[at, j], result.live[at, j]
            text = f"{layer}: at step {result.peak[j]}, {largest} of {live} neurons lie on one line"
            yield Finding(layer, int(result.peak[j]), f"{text}{_sides(result, at, layer)}", True, FALSE_CLAIM)


def _groups(count: int) -> str:
    return f"{count or 'no'} group{'s' * (count != 1)}"


def _inside(result: Clusters, at: int, j: int) -> str:
    """How many neurons the groups hold, and the largest group on a line where opposite neurons make it larger."""
    if not result.ray_groups[at, j]:
        return ""
    live, line = int(result.live[at, j]), int(result.line_largest[at, j])
    text = f", with {int((result.ray_members[result.layers[j]][at] >= 0).sum())} of {live} neurons"
    return f"{text}, {line} of them on one line" if line > result.ray_largest[at, j] else text


def _sides(result: Clusters, at: int, layer: str) -> str:
    """Sizes of the groups in mode `ray` that the largest group on a line consists of."""
    line, ray = result.line_members[layer][at], result.ray_members[layer][at]
    inside = ray[line == np.argmax(np.bincount(line[line >= 0]))]
    sizes = np.sort(np.unique(inside[inside >= 0], return_counts=True)[1])[::-1].tolist()
    if len(sizes) == 2:
        return f", in two opposite bundles of {sizes[0]} and {sizes[1]}"
    return f", in {_groups(len(sizes))}" if sizes else ""
