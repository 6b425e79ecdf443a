"""What `ablation` draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._ablation_place import RELATED
from wdyn.analyses._charts import Array, Chart, HeatMap, Lines, Table
from wdyn.analyses._neuron_maps import neuron_map

if TYPE_CHECKING:
    from wdyn.analyses.ablation import Ablation

LISTED = 20
CLASSES = 20  # columns of a table of classes
WORDS = {
    "norm": "norm", "distance": "distance from the start", "group_size": "neurons in its group",
    "share": "share in the frame potential", "selectivity": "class selectivity",
}  # fmt: skip


def _maps(result: Ablation) -> Iterator[Chart]:
    label = "loss rise without the unit" + (" (estimate)" if result.estimated else "")
    for layer in result.layers:
        chart = neuron_map(result, layer, result.rise[layer], label=label, diverging=True)
        rows = result.neurons[layer][np.array(chart.rows, dtype=np.int64)].tolist()
        yield _owned(result, layer, replace(chart, rows=rows))


def _owned(result: Ablation, layer: str, chart: HeatMap | Table) -> Chart:
    """The chart, with the layer in its title where the page's picker does not know it."""
    known = layer in result.recorded
    return replace(chart, layer=layer if known else None, title=chart.title if known else f"{chart.title}: {layer}")


def _through_time(result: Ablation) -> Iterator[Chart]:
    yield _lines(result, "Units that carry more than any of the untrained network", result.above, "units")
    yield _lines(
        result, "Is a unit as important as at the end? Rank correlation of the damages with the last step's",
        result.rank_with_last, "rank correlation", reference={"by chance": 0.0},
    )  # fmt: skip
    yield _lines(
        result, "Does the order of importance stay? Rank correlation with the shown step before",
        result.rank_with_before, "rank correlation", reference={"by chance": 0.0},
    )  # fmt: skip
    ends = zip(result.layers, result.taylor_agreement_low.T, result.taylor_agreement_high.T, strict=True)
    yield _lines(
        result, "How well the first-order estimate ranks the units: rank correlation with the measured damages",
        result.taylor_agreement, "rank correlation", reference={"by chance": 0.0},
        bands={layer: (low, high) for layer, low, high in ends}, band_label="95 % interval",
    )  # fmt: skip


def _lines(result: Ablation, title: str, values: Array, label: str, **more: Any) -> Lines:
    y = dict(zip(result.layers, values.T, strict=True))
    return Lines(title=title, x=result.shown, y=y, x_label="optimizer step", y_label=label, **more)


def _relation(result: Ablation) -> Iterator[Chart]:
    columns: dict[str, list[Any]] = {
        "layer": [], "loss rise with": [], "rank correlation": [], "95 % from": [], "to": [], "chance, corrected": [],
    }  # fmt: skip
    for j, layer in enumerate(result.layers):
        for name in RELATED:
            values = [_relation_of(result, name, end)[j] for end in ("", "_low", "_high", "_corrected")]
            for heading, value in zip(columns, (layer, WORDS[name], *values), strict=True):
                columns[heading].append(value if isinstance(value, str) else float(value))
    yield Table(title=f"What the damage at step {result.shown[-1]} goes with", columns=columns)


def _relation_of(result: Ablation, name: str, end: str) -> Array:
    fields: Mapping[str, Array] = getattr(result, f"relation{end}")
    return fields[f"relation_{name}{end}"]


def _summary(result: Ablation) -> Iterator[Chart]:
    layers, left_out = list(result.layers), list(result.left_out)
    blank = [np.nan] * len(left_out)
    since = [result.important_from[layer] for layer in layers]
    columns: dict[str, list[Any]] = {
        "layer": layers + left_out,
        "units": [_looked_at(result, layer) for layer in layers] + blank,
        "largest loss rise": [_most(result.rise[layer][-1]) for layer in layers] + blank,
        f"largest {result.score_name or 'score'} drop": [_most(result.drop[layer][-1]) for layer in layers] + blank,
        "units above all of the untrained": result.above[-1].tolist() + blank,
        "chance": result.above_by_chance[-1].tolist() + blank,
        "half of these since step": [_middle(each) for each in since] + blank,
        "agreement of the estimate": result.taylor_agreement[-1].tolist() + blank,
        "left out": [""] * len(layers) + list(result.left_out.values()),
    }
    yield Table(title=f"What the units carry at step {result.shown[-1]} (mode {result.mode})", columns=columns)


def _looked_at(result: Ablation, layer: str) -> str:
    count, of = len(result.neurons[layer]), result.units[result.layers.index(layer)]
    return str(of) if count == of else f"{count} of {of} evenly spaced units"


def _most(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else np.nan


def _middle(values: Array) -> float:
    known = np.sort(values[np.isfinite(values)])
    return float(known[(len(known) - 1) // 2]) if len(known) else np.nan


def _units(result: Ablation) -> Iterator[Chart]:
    for layer in result.layers:
        top = np.argsort(-result.rise[layer][-1], kind="stable")[:LISTED]
        columns: dict[str, Any] = {
            "unit": result.neurons[layer][top].tolist(),
            "loss rise": result.rise[layer][-1, top].tolist(),
            "standard error": result.rise_error[layer][-1, top].tolist(),
            "estimate": result.taylor[layer][-1, top].tolist(),
            f"{result.score_name or 'score'} drop": result.drop[layer][-1, top].tolist(),
            "class selectivity": result.selectivity[layer][top].tolist(),
            "important from step": result.important_from[layer][top].tolist(),
        }
        title = f"The {len(top)} units that carry most at step {result.shown[-1]}"
        yield _owned(result, layer, Table(title=title, columns=columns))
        if 0 < len(result.class_drop[layer]) <= CLASSES and not result.estimated:
            yield _owned(result, layer, _by_class(result, layer, top))


def _by_class(result: Ablation, layer: str, top: Array) -> Table:
    drops = result.class_drop[layer][:, top]
    columns: dict[str, Any] = {"unit": result.neurons[layer][top].tolist()}
    columns |= {f"class {c}": row.tolist() for c, row in enumerate(drops)}
    return Table(title=f"Drop of the accuracy on each class at step {result.shown[-1]}", columns=columns)


CHARTS: tuple[Callable[[Any], Iterator[Chart]], ...] = (_maps, _through_time, _summary, _relation, _units)
