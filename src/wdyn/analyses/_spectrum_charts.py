"""Charts of `spectrum`: ranks, outliers and angles of all layers, then each layer's singular values beside chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Array, Chart, CurvesThroughTime, Lines, Table
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._random_matrix import typical_eigenvalues
from wdyn.analyses._spectra import LEADING, reconstruction_errors

if TYPE_CHECKING:
    from wdyn.analyses.spectrum import Spectrum

DRAWN = 200
RANKS, MOST_CURVES = 96, 60  # of a layer's singular values at each step, and steps
CURVE_NUMBERS = 1 << 17  # of all layers, from which on fewer steps are drawn


def charts(result: Spectrum) -> list[Chart]:
    """Ranks, outliers and angles of all layers, then each layer's singular values and what a low rank would lose."""
    degrees = "mean angle of the leading directions to the {} step, degrees"
    angle_bands = _bands(
        result, np.broadcast_to(result.mean_angle_by_chance, (len(result.shown), len(result.layers), 3))
    )
    return [
        _lines(result, "stable rank", result.stable_rank, bands=_bands(result, result.stable_rank_by_chance)),
        _lines(
            result, "participation ratio of the squared singular values", result.participation_ratio,
            bands=_bands(result, result.participation_ratio_by_chance),
        ),
        _lines(result, "singular values beyond chance", result.outliers, reference={"random entries (99 %)": 0.0}),
        _lines(result, degrees.format("first"), _mean_angles(result.angles_to_first), bands=angle_bands),
        _lines(result, degrees.format("last"), _mean_angles(result.angles_to_last), bands=angle_bands),
        *(draw(result, j) for j in range(len(result.layers)) for draw in (_curves, _largest, _losses)),
        _first_and_last(result),
    ]  # fmt: skip


def _bands(result: Spectrum, by_chance: Array) -> dict[str, tuple[Array, Array]]:
    return {layer: (by_chance[:, j, 0], by_chance[:, j, 2]) for j, layer in enumerate(result.layers)}


def _mean_angles(angles: Mapping[str, Array]) -> Array:
    """(T, L) mean of the angles that are there, NaN where none is."""
    means = []
    for each in angles.values():
        count = np.isfinite(each).sum(axis=1)
        total = np.nansum(each, axis=1)
        means.append(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
    return np.stack(means, axis=1)


def _lines(result: Spectrum, label: str, values: Array, **more: Any) -> Lines:
    y = dict(zip(result.layers, values.T, strict=True))
    return Lines(
        title=label[0].upper() + label[1:], x=result.shown, y=y, x_label="optimizer step", y_label=label,
        band_label="random matrices or subspaces, 98 %", **more,
    )  # fmt: skip


def _curves(result: Spectrum, j: int) -> CurvesThroughTime:
    """All singular values at each step beside those of random entries, without the outliers."""
    layer = result.layers[j]
    whole = result.singular_values[layer]
    drawn = sum(min(each.shape[1], RANKS) for each in result.singular_values.values())
    times = shown_steps(result.shown, int(np.clip(CURVE_NUMBERS // drawn, 2, MOST_CURVES)))
    ranks = shown_steps(np.arange(whole.shape[1]), RANKS)
    expected = np.full(whole.shape, np.nan)
    for t in times:
        beyond = int(result.outliers[t, j]) if np.isfinite(result.outliers[t, j]) else 0
        left = int(result.live[t, j]) - beyond, int(result.inputs[j]) - beyond
        if min(left) > 0:
            typical = result.entry_deviation[t, j] * np.sqrt(typical_eigenvalues(*left))
            expected[t, beyond : beyond + len(typical)] = typical
    return CurvesThroughTime(
        title="Singular values", layer=layer, steps=result.shown[times], x=ranks + 1,
        values=whole[np.ix_(times, ranks)], expected=expected[np.ix_(times, ranks)],
        expected_label="random entries (Marchenko-Pastur)",
        x_label="rank", y_label="singular value",
    )  # fmt: skip


def _largest(result: Spectrum, j: int) -> Lines:
    layer = result.layers[j]
    values = result.singular_values[layer][:, :LEADING]
    return Lines(
        title=f"The {values.shape[1]} largest singular values", layer=layer,
        x=result.shown, y={f"number {i + 1}": values[:, i] for i in range(values.shape[1])},
        reference={
            "Marchenko-Pastur edge, same variance": result.upper_edge[:, j],
            "outlier above (99 %)": result.outlier_above[:, j],
        },
        x_label="optimizer step", y_label="singular value",
    )  # fmt: skip


def _losses(result: Spectrum, j: int) -> Lines:
    layer = result.layers[j]
    values = result.singular_values[layer]
    errors = reconstruction_errors(values[[0, -1]])
    kept = shown_steps(np.arange(errors.shape[1]), DRAWN)
    random = np.full(errors.shape[1], np.nan)
    if result.live[0, j]:
        expected = reconstruction_errors(np.sqrt(typical_eigenvalues(int(result.live[0, j]), int(result.inputs[j]))))
        random[: len(expected)] = expected
    return Lines(
        title="What is lost by keeping the leading singular values only", layer=layer, x=kept,
        y={f"step {result.shown[at]}": errors[at][kept] for at in (0, -1)},
        reference={"random entries (Marchenko-Pastur law)": random[kept]},
        x_label="singular values kept", y_label="relative error (Frobenius norm)",
    )  # fmt: skip


def _first_and_last(result: Spectrum) -> Table:
    columns: dict[str, Any] = {"layer": result.layers}
    edge = np.stack([values[:, 0] for values in result.singular_values.values()], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # no edge where the outliers are all there is
        over = edge / result.upper_edge
    for heading, values in {
        "live neurons": result.live, "not finite": result.non_finite, "outliers": result.outliers,
        "largest / edge": over, "stable rank": result.stable_rank, "participation ratio": result.participation_ratio,
    }.items():  # fmt: skip
        columns[f"{heading}, first"], columns[f"{heading}, last"] = values[0].tolist(), values[-1].tolist()
    columns["stable rank by chance"] = result.stable_rank_by_chance[-1, :, 1].tolist()
    columns["participation ratio by chance"] = result.participation_ratio_by_chance[-1, :, 1].tolist()
    columns["mean angle, first to last"] = _mean_angles(result.angles_to_last)[0].tolist()
    columns["mean angle by chance"] = result.mean_angle_by_chance[:, 1].tolist()
    return Table(title=f"Step {result.shown[0]} against step {result.shown[-1]}", columns=columns)
