"""Charts of `tickets`: matrices over runs, overlaps beside what chance gives, survivors, and all numbers as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._charts import Array, Bars, Chart, HeatMap, Table

if TYPE_CHECKING:
    from wdyn.analyses.tickets import Tickets

FEW_PAIRS = 3  # bars of so many; more go into maps
MOST_CELLS = 400_000  # of all maps of survivors of one kind
NULL_WORDS = {"uniform": "random masks", "units": "units permuted", "initial": "initial magnitudes"}


def ticket_charts(result: Tickets) -> list[Chart]:
    """Overlap of all runs, then pair by pair, then survivors, then the numbers."""
    found: list[Chart] = [_what_to_know(result)] if result.notes or result.mismatches else []
    if len(result.runs) > 2:
        found += _matrices(result)
    found += _bars(result) if len(result.pairs) <= FEW_PAIRS else _maps(result)
    found += _survivor_maps(result)
    return [*found, _overlaps(result), _signs_and_units(result), _masks(result)]


def pair_names(result: Tickets) -> list[str]:
    """`a and b` for each pair."""
    return [f"{result.runs[a]} and {result.runs[b]}" for a, b in result.pairs]


def letters(count: int) -> list[str]:
    """A to Z, then A1 to Z1 and so on: names of runs where there is room for no more."""
    return [chr(ord("A") + k % 26) + (str(k // 26) if k >= 26 else "") for k in range(count)]


def short_pair_names(result: Tickets) -> list[str]:
    """`A–B` for each pair, after `letters`."""
    short = letters(len(result.runs))
    return [f"{short[a]}–{short[b]}" for a, b in result.pairs]


def _what_to_know(result: Tickets) -> Table:
    names = pair_names(result)
    gaps = [f"{names[p]}, layer {layer}, not compared: {reason}" for p, layer, reason in result.mismatches]
    return Table("What to know of these runs", {"note": [*result.notes, *gaps]})


def _matrices(result: Tickets) -> list[Chart]:
    whole: list[Chart] = [
        _matrix(result, result.all_kappa, "κ of each two runs, all layers"),
        _matrix(result, result.all_iou, "Intersection over union of each two runs, all layers"),
    ]
    return whole + [
        _matrix(result, result.kappa[:, j], "κ of each two runs", layer=layer) for j, layer in enumerate(result.layers)
    ]


def _matrix(result: Tickets, values: Array, title: str, layer: str | None = None) -> HeatMap:
    square = np.full((len(result.runs),) * 2, np.nan)  # the diagonal stays blank: a run is itself
    for (a, b), value in zip(result.pairs, values, strict=True):
        square[a, b] = square[b, a] = value
    is_kappa = title.startswith("κ")
    return _map(title, square, result.runs, result.runs, labels=("run", "run", "κ" if is_kappa else "IoU"),
                diverging=is_kappa, layer=layer)  # fmt: skip


def _map(
    title: str,
    values: Array,
    rows: Sequence[object],
    columns: Sequence[object],
    *,
    labels: tuple[str, str, str],
    diverging: bool = False,
    layer: str | None = None,
) -> HeatMap:
    """Labels are those of columns, rows and values."""
    return HeatMap(
        title=title, x=np.arange(len(columns)), values=values, rows=list(rows), columns=list(columns),
        x_label=labels[0], row_label=labels[1], value_label=labels[2], diverging=diverging, layer=layer,
    )  # fmt: skip


def _expected(result: Tickets) -> dict[str, Array]:
    every = (result.expected_uniform, result.expected_units, result.expected_initial)
    return dict(zip(NULL_WORDS.values(), every, strict=True))


def _bars(result: Tickets) -> list[Chart]:
    found: list[Chart] = []
    for p, ((a, b), name) in enumerate(zip(result.pairs, pair_names(result), strict=True)):
        smaller = np.minimum(result.kept[a], result.kept[b]).astype(np.float64)
        share = np.divide(1.0, smaller, out=np.full(len(smaller), np.nan), where=smaller > 0)
        y = {"found": result.both[p] * share}
        for null, expected in _expected(result).items():
            if np.isfinite(expected[p]).any():
                y[f"by chance: {null}"] = expected[p] * share
        label = "share of the sparser mask kept by both"
        found.append(Bars(f"Weights kept by {name}", result.layers, y, "layer", label))
    return found


def _maps(result: Tickets) -> list[Chart]:
    names, labels = short_pair_names(result), ("layer", "pair", "standard deviations above chance")
    legend = {"letter": letters(len(result.runs)), "run": list(result.runs)}
    found: list[Chart] = [
        Table("Letters of the runs in the maps of pairs", legend),
        _map("κ of each pair", result.kappa, names, result.layers, labels=("layer", "pair", "κ"), diverging=True),
    ]
    for null, z in zip(NULL_WORDS.values(), (result.z_uniform, result.z_units, result.z_initial), strict=True):
        if np.isfinite(z).any():
            title = f"Overlap of each pair against {null}"
            found.append(_map(title, z, names, result.layers, labels=labels, diverging=True))
    return found


def _survivor_maps(result: Tickets) -> list[Chart]:
    found: list[Chart] = []
    for survivors, one in ((result.unit_survivors, "unit"), (result.input_survivors, "input")):
        cells = 0
        for layer, counts in survivors.items():
            cells += counts.size
            if cells <= MOST_CELLS:
                labels = (one, "run", f"weights kept of each {one}")
                numbers = range(counts.shape[1])
                found.append(_map(f"Survivors of each {one}", counts, result.runs, numbers, labels=labels, layer=layer))
    return found


def _rows(result: Tickets) -> tuple[list[tuple[int, int]], dict[str, list[object]]]:
    places = [(p, j) for p in range(len(result.pairs)) for j in range(len(result.layers))]
    places = [(p, j) for p, j in places if np.isfinite(result.both[p, j])]
    names = pair_names(result)
    return places, {"runs": [names[p] for p, _ in places], "layer": [result.layers[j] for _, j in places]}


def _overlaps(result: Tickets) -> Table:
    places, columns = _rows(result)
    columns["verdict"] = [result.verdicts[p][j] for p, j in places]
    numbers = {
        "kept by both": result.both, "IoU": result.iou, "IoU by chance": result.iou_expected, "κ": result.kappa,
    } | {
        f"{what}, {words}": values
        for null, words in NULL_WORDS.items()
        for what, values in (
            ("z", getattr(result, f"z_{null}")), ("corrected probability", getattr(result, f"q_{null}")),
        )
    }  # fmt: skip
    for heading, values in numbers.items():
        columns[heading] = [float(values[p, j]) for p, j in places]
    return Table("Overlap of masks", columns)


def _signs_and_units(result: Tickets) -> Table:
    places, columns = _rows(result)
    numbers = {
        "same sign at start": result.signs_start, "by chance": result.signs_start_expected,
        "corrected probability (start)": result.signs_start_q, "same sign at end": result.signs_end,
        "by chance (end)": result.signs_end_expected, "corrected probability (end)": result.signs_end_q,
        "survivors per unit, rank correlation": result.unit_correlation,
        "corrected probability (units)": result.unit_correlation_q,
    }  # fmt: skip
    for heading, values in numbers.items():
        columns[heading] = [float(values[p, j]) for p, j in places]
    return Table("Signs of the weights kept by both, and survivors per unit", columns)


def _masks(result: Tickets) -> Table:
    places = [(r, j) for r in range(len(result.runs)) for j in range(len(result.layers)) if result.total[r, j] >= 0]

    def gone(survivors: dict[str, Array], r: int, j: int) -> int:
        return int((survivors[result.layers[j]][r] == 0).sum())

    return Table(
        "Masks",
        {
            "run": [result.runs[r] for r, _ in places],
            "layer": [result.layers[j] for _, j in places],
            "kept": [int(result.kept[r, j]) for r, j in places],
            "of": [int(result.total[r, j]) for r, j in places],
            "density": [float(result.kept[r, j] / result.total[r, j]) for r, j in places],
            "units gone": [gone(result.unit_survivors, r, j) for r, j in places],
            "inputs gone": [gone(result.input_survivors, r, j) for r, j in places],
            "IoU with initial magnitudes alone": [float(result.by_start_iou[r, j]) for r, j in places],
        },
    )
