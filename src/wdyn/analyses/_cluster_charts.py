"""What the groups of `clusters` look like: numbers through time, what counts as a group, the largest ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._charts import Array, Chart, Lines, Table
from wdyn.analyses._cluster_findings import findings
from wdyn.analyses._group_summary import largest_groups
from wdyn.analyses._lifelines import lifeline_charts

if TYPE_CHECKING:
    from wdyn.analyses.clusters import Clusters


def charts(result: Clusters) -> list[Chart]:
    """Numbers of groups, shares, effective numbers; what counts as aligned; the largest groups."""
    effective = np.divide(
        result.ray_effective, result.live, out=np.full(result.live.shape, np.nan), where=result.live > 0
    )
    return [
        _lines(result, "Groups of aligned neurons", result.ray_groups, "groups (opposite neurons apart)"),
        _lines(result, "Groups on a common line", result.line_groups, "groups (opposite neurons together)"),
        _lines(result, "Neurons in groups", result.ray_share, "share of live neurons"),
        _lines(result, "Effective groups per live neuron", effective, "effective groups / live neurons"),
        _thresholds(result),
        _told(result),
        *(chart for j, layer in enumerate(result.layers) for chart in _of_layer(result, j, layer)),
    ]


def _of_layer(result: Clusters, j: int, layer: str) -> list[Chart]:
    members, neurons = result.ray_members[layer], result.neurons[layer]
    largest = largest_groups(
        f"Largest groups at step {result.shown[-1]}", layer, members[-1], neurons=neurons,
        stability=result.last_stability[layer], by_chance=float(result.last_stability_by_chance[j]),
    )  # fmt: skip
    lives = lifeline_charts(
        layer, result.shown, members, neurons=neurons, live=result.live[:, j], events=result.events[layer]
    )
    return [largest, *lives]


def _lines(result: Clusters, title: str, values: Array, label: str) -> Lines:
    chance = 1.0 if "Effective" in title else 0.0
    return Lines(
        title=title,
        x=result.shown,
        y=dict(zip(result.layers, values.T, strict=True)),
        x_label="optimizer step",
        y_label=label,
        reference={"random directions (99 %)": chance},
    )


def _thresholds(result: Clusters) -> Table:
    looked_at = [len(result.neurons[layer]) for layer in result.layers]
    return Table(
        title="What counts as a group at the last step (random directions show one in 1 of 100 layers)",
        columns={
            "layer": list(result.layers),
            "neurons": [f"{n} of {rows}" for n, rows in zip(looked_at, result.rows, strict=True)],
            "live": result.live[-1].tolist(),
            "two: cosine above": _claims(result.ray_cosine[-1]),
            "half of them: cosine above": _claims(result.ray_half_cosine[-1]),
            "two: |cosine| above": _claims(result.line_cosine[-1]),
            "half of them: |cosine| above": _claims(result.line_half_cosine[-1]),
            "groups": result.ray_groups[-1].tolist(),
            "groups on a line": result.line_groups[-1].tolist(),
            "largest": result.ray_largest[-1].tolist(),
        },
    )


def _told(result: Clusters) -> Table:
    found = sorted(findings(result), key=lambda finding: finding.step)
    return Table(
        title="What stands out: first and last step, and the one with the largest group on a line",
        columns={"step": [each.step for each in found], "found": [each.text for each in found]},
    )


def _claims(needed: Array) -> list[float | str]:
    return ["no claim possible" if np.isnan(value) else float(value) for value in needed]
