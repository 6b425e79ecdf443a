"""Metrics: the scalars recorded with `rec.log(...)`, and the generalisation gap where both of its sides were logged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._charts import Chart, Lines, Table
from wdyn.analyses._neurons import Array
from wdyn.analyses._spec import Analysis, Result, measured

if TYPE_CHECKING:
    from wdyn.store.run import Metric, Run

HELD_OUT = ("val", "valid", "validation", "test")
TRAINING = ("train", "training")


@dataclass(frozen=True)
class Metrics(Result):
    """Recorded scalars; `steps` are all steps at which any was logged.

    Attributes:
        value: name of a scalar to (S,) values; NaN where it was not logged, or logged as NaN.
        gap: `<name> gap` to (S,) held-out value minus training value; the training value is interpolated linearly
            between logged steps, NaN where the held-out value was not logged or lies outside the logged training steps.
        pairs: `<name> gap` to the names of its (training, held-out) scalars.
        logged: name of a scalar to (S,) bool, the steps at which it was logged, with whatever value.
    """

    pairs: Mapping[str, tuple[str, str]]
    logged: Mapping[str, Array]
    value: Mapping[str, Array] = measured("metric", "step")
    gap: Mapping[str, Array] = measured("metric", "step")


def gap_pairs(names: list[str]) -> dict[str, tuple[str, str]]:
    """Which scalars are two sides of one quantity.

    A held-out name starts with val, valid, validation or test and a separator (`_`, `/`, `.`, `-`); its training side
    has train or training in that place, or nothing.

    Args:
        names: of scalars.

    Returns:
        `<name> gap` to (training, held-out), in order of the held-out names; `val_loss gap` style where two held-out
        sets share a quantity.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        match = re.fullmatch(rf"({'|'.join(HELD_OUT)})([_/.-])(.+)", name, flags=re.IGNORECASE)
        if match is None:
            continue
        quantity = match[3]
        candidates = [f"{word}{mark}{quantity}" for word in TRAINING for mark in (match[2], *"_/.-")]
        training = next((each for each in [*candidates, quantity] if each in names), None)
        if training is not None:
            found.setdefault(quantity, []).append((training, name))
    return {
        f"{quantity if len(sides) == 1 else held_out} gap": (training, held_out)
        for quantity, sides in found.items()
        for training, held_out in sides
    }


def generalisation_gap(training: Metric, held_out: Metric) -> Array:
    """Held-out value minus training value at the steps of the held-out one.

    Args:
        training: steps (K,) increasing and values (K,), K at least 1; values that are not finite are passed over.
        held_out: steps (M,) and values (M,).

    Returns:
        (M,) float64. Training is interpolated linearly in between; NaN before its first and after its last step.
    """
    known = np.isfinite(training.values)
    if not known.any():
        return np.full(len(held_out.steps), np.nan)
    steps, values = training.steps[known], training.values[known]
    between = np.interp(held_out.steps, steps, values, left=np.nan, right=np.nan)
    finite = np.isfinite(held_out.values)
    return np.asarray(np.where(finite, held_out.values, np.nan) - between)


def compute(run: Run) -> Metrics:
    """All recorded scalars and the gaps between pairs of them."""
    metrics = dict(run.metrics)
    steps = (
        np.unique(np.concatenate([metric.steps for metric in metrics.values()])) if metrics else np.empty(0, np.int64)
    )
    pairs = gap_pairs(list(metrics))
    gaps = {
        name: _spread(metrics[held_out].steps, generalisation_gap(metrics[training], metrics[held_out]), steps)
        for name, (training, held_out) in pairs.items()
    }
    values = {name: _spread(metric.steps, metric.values, steps) for name, metric in metrics.items()}
    logged = {name: np.isin(steps, metric.steps) for name, metric in metrics.items()}
    return Metrics(
        run=run.name, steps=steps, layers=tuple(run.layers), pairs=pairs, logged=logged, value=values, gap=gaps
    )


def _spread(at: Array, values: Array, steps: Array) -> Array:
    """Values at their places among all steps, NaN elsewhere."""
    everywhere = np.full(len(steps), np.nan)
    everywhere[np.searchsorted(steps, at)] = values
    return everywhere


def charts(result: Metrics) -> list[Chart]:
    """One chart per pair with its gap, one per scalar over the steps at which it was logged, a table of ends."""
    return [
        *(_pair(result, name) for name in result.gap if np.isfinite(result.gap[name]).any()),
        *(_alone(result, name) for name in result.value),
        _ends(result),
    ]


def _pair(result: Metrics, name: str) -> Lines:
    at = np.isfinite(result.gap[name])
    training, held_out = result.pairs[name]
    held = result.value[held_out][at]
    return Lines(
        title=f"Generalisation {name}", x=result.steps[at],
        y={training: held - result.gap[name][at], held_out: held, f"{held_out} minus {training}": result.gap[name][at]},
        reference={"no gap": 0.0}, x_label="optimizer step", y_label=name.removesuffix(" gap"),
    )  # fmt: skip


def _alone(result: Metrics, name: str) -> Lines:
    at = result.logged[name]
    values = result.value[name][at]
    shown = np.where(np.isfinite(values), values, np.nan)
    return Lines(title=name, x=result.steps[at], y={name: shown}, x_label="optimizer step", y_label=name)


def _ends(result: Metrics) -> Table:
    headings = ("scalar", "logged", "not finite", "first", "last", "lowest", "highest")
    columns: dict[str, list[object]] = {heading: [] for heading in headings}
    for name, values in (dict(result.value) | dict(result.gap)).items():
        logged = values[result.logged.get(name, ~np.isnan(values))]
        finite = logged[np.isfinite(logged)]
        row = [name, len(logged), len(logged) - len(finite)]
        row += [finite[0], finite[-1], finite.min(), finite.max()] if len(finite) else [np.nan] * 4
        for column, cell in zip(columns.values(), row, strict=True):
            column.append(cell)
    return Table(title="Recorded scalars", columns=columns)


ANALYSIS = Analysis(
    title="Recorded scalars",
    compute=compute,
    charts=charts,
    reading=(
        "What the training script logged with rec.log. Where a scalar was logged for training and for held-out data, "
        "the gap is the held-out value minus the training value at the same step, the latter interpolated between logs."
    ),
    needs=frozenset({"metrics"}),
)
