"""Charts of `similarity`: a matrix through time of each layer, and mean |cosine| beside chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdyn.analyses._charts import Chart, Lines, MatrixThroughTime, Neighbours

if TYPE_CHECKING:
    from wdyn.analyses.similarity import Similarity


def charts(result: Similarity) -> list[Chart]:
    """Mean |cosine| against chance, and one matrix through time per layer."""
    lines = Lines(
        title="Mean |cosine| between neurons",
        x=result.shown,
        y=dict(zip(result.layers, result.mean_cosine.T, strict=True)),
        x_label="optimizer step",
        y_label="mean |cosine|",
        bands={layer: (result.chance_low[:, j], result.chance_high[:, j]) for j, layer in enumerate(result.layers)},
        band_label="random directions, 95 %",
    )
    return [*(_matrix(result, layer) for layer in result.layers), lines]


def _matrix(result: Similarity, layer: str) -> MatrixThroughTime:
    return MatrixThroughTime(
        title=f"Cosine between neurons{_coarseness(result, layer)}",
        steps=result.shown,
        values=result.matrices[layer],
        members=result.members[layer],
        low=-1.0,
        high=1.0,
        value_label="cosine",
        layer=layer,
        groups=result.groups[layer],
        neighbours=Neighbours(
            result.neighbours[layer],
            result.neighbour_cosines[layer],
            result.chance_nearest[:, result.layers.index(layer)],
            "random directions, 95 %",
        ),
    )


def _coarseness(result: Similarity, layer: str) -> str:
    looked_at, rows = len(result.neurons[layer]), int(result.rows[result.layers.index(layer)])
    facts = [f"{looked_at} of {rows} neurons"] if looked_at < rows else []
    if len(result.members[layer]) < looked_at:
        facts.append(f"means over blocks of {len(result.members[layer][0])}")
    return f" ({', '.join(facts)})" if facts else ""
