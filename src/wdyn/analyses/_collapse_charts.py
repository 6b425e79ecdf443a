"""Charts of `neural_collapse`, and its quantities in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Array, Chart, Lines, Table

if TYPE_CHECKING:
    from wdyn.analyses.neural_collapse import NeuralCollapse

ROWS = {
    "rows_norm_variation": "variation of norms",
    "rows_cosine_spread": "spread of cosines",
    "rows_simplex_gap": "mean |cos + 1/(C-1)|",
}
NC = {
    "nc1": "NC1: spread within classes / between",
    "nc2_norm_variation": "NC2: variation of norms",
    "nc2_cosine_spread": "NC2: spread of cosines",
    "nc2_simplex_gap": "NC2: mean |cos + 1/(C-1)|",
    "nc3": "NC3: classifier against class means",
    "nc4": "NC4: network against nearest class mean",
}


def charts(result: NeuralCollapse) -> list[Chart]:
    """The rows of the classifier against random rows, each of NC1 to NC4 where known, and a table of what is not."""
    known = [] if result.features_reason else [_with_shuffled(result, name, label) for name, label in NC.items()]
    rows = [] if result.reason else [_rows_chart(result)]
    return [*rows, *known, _table(result)]


def _rows_chart(result: NeuralCollapse) -> Lines:
    chance = {label: result.rows_by_chance[f"{name}_by_chance"][:, 0].T for name, label in ROWS.items()}
    return Lines(
        title="Rows of the classifier: distance to a simplex (NC2 of the rows)", layer=result.layers[0], x=result.shown,
        y={label: result.rows[name][:, 0] for name, label in ROWS.items()},
        bands={label: (low, high) for label, (low, high) in chance.items()}, reference={"simplex": 0.0},
        band_label="rows of independent entries, 99 %",
        x_label="optimizer step", y_label="distance to a simplex",
    )  # fmt: skip


def _with_shuffled(result: NeuralCollapse, name: str, label: str) -> Lines:
    values, shuffled = result.features[name][:, 0], result.shuffled[f"{name}_shuffled"][:, 0]
    drawn = np.concatenate([values, shuffled])
    positive = bool((drawn[np.isfinite(drawn)] > 0).all())
    return Lines(
        title=label, layer=result.layers[0], x=result.shown, y={label: values},
        reference={"labels shuffled": shuffled}, x_label="optimizer step", y_label=label,
        y_scale="log" if name == "nc1" and positive else "linear",
    )  # fmt: skip


def _table(result: NeuralCollapse) -> Table:
    """First and last number of every quantity, what chance gives at the last step, and what cannot be known."""
    columns: dict[str, list[Any]] = {key: [] for key in ("quantity", "first", "last", "by chance", "note")}

    def add(*cells: Any) -> None:
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)

    for name, label in ROWS.items():
        if result.reason:
            add(f"rows: {label}", np.nan, np.nan, "", result.reason)
        else:
            values, ends = result.rows[name][:, 0], result.rows_by_chance[f"{name}_by_chance"][:, 0]
            add(f"rows: {label}", values[0], values[-1], "{:.4g} to {:.4g}".format(*ends[-1]), verdict(values, ends))
    if result.features_reason:
        add(
            "NC1, NC3, NC4",
            np.nan,
            np.nan,
            "",
            "need the features of the last hidden layer: a run that can run again, or compute(run, features=...)",
        )
    else:
        for name, label in NC.items():
            values, shuffled = result.features[name][:, 0], result.shuffled[f"{name}_shuffled"][:, 0]
            add(label, values[0], values[-1], f"{shuffled[-1]:.4g}", "chance: labels shuffled")
    layer = result.layers[0] if result.layers else None
    title = f"Distance to a simplex, step {result.shown[0]} against step {result.shown[-1]}"
    return Table(title=title, columns=columns, layer=layer)


def verdict(values: Array, ends: Array) -> str:
    """What the last of (T,) values means beside the (T, 2) ends of what chance gives."""
    low, high = ends[-1]
    if not np.isfinite(values[-1]):
        return "not known at the last step"
    if values[-1] > high:
        return "farther from a simplex than by chance"
    if values[-1] >= low:
        return "as by chance"
    already = " already at the first step, as after an orthogonal initialisation" if values[0] < ends[0, 0] else ""
    return f"nearer to a simplex than by chance{already}"
