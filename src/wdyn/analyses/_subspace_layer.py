"""One layer at one step with its rank-k parts in its place, scored; the work behind `subspace`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._spectra import bulk, reconstruction_errors
from wdyn.analyses._subspaces import (
    TOLERANCE,
    Factors,
    at_same_error,
    chance_below,
    factors,
    random_parts,
    rank_part,
    stable_rank_up,
    sufficient,
    turned_part,
)

SUBSPACES = 20  # random ones at each rank, drawn as a band
TURNED = 99  # draws of the null that a claim rests on
CURVES = ("loss", "score")
SINGLE: dict[str, tuple[int, ...]] = {
    "full_rank": (), "stable_rank": (), "outliers": (), "sufficient_rank": (), "tested_rank": (), "tested_loss": (),
    "by_chance": (), "turned_loss": (3,),
}  # fmt: skip


class Target(NamedTuple):
    """One layer of one step, and how to score the network with other weights in it: (N, D) -> loss, score."""

    score: Callable[[Array], tuple[float, float]]
    intact: tuple[float, float]
    rows: Array
    ranks: Array
    accuracy: bool


def measure(place: Target, rng: np.random.Generator) -> dict[str, Any]:
    """Every number of one layer at one step, by the name of its field."""
    count = len(place.ranks)
    if not (np.isfinite(place.rows).all() and np.isfinite(place.intact[0])):
        return nothing(count)
    whole = factors(place.rows)
    full, tested = len(whole.values), stable_rank_up(whole.values)
    padded = np.pad(whole.values, (0, min(place.rows.shape) - full))
    errors = reconstruction_errors(padded)[place.ranks] if full else np.full(count, np.nan)
    own = np.array([place.score(rank_part(whole, k)) if k < full else place.intact for k in place.ranks.tolist()])
    random = _random(place, whole, rng)  # (20, K, 2)
    numbers: dict[str, Any] = {"error": errors}
    for i, curve in enumerate(CURVES):
        numbers |= {
            curve: own[:, i], f"random_{curve}": random[..., i].mean(axis=0),
            f"random_{curve}_low": random[..., i].min(axis=0), f"random_{curve}_high": random[..., i].max(axis=0),
        }  # fmt: skip
        shares = np.minimum(place.ranks / max(full, 1), 1.0)
        numbers[f"same_error_{curve}"] = at_same_error(errors, shares, numbers[f"random_{curve}"])
    live = (place.rows != 0).any(axis=1).sum()
    return numbers | {
        "full_rank": full, "stable_rank": (whole.values**2).sum() / whole.values[0] ** 2 if full else np.nan,
        "outliers": bulk(padded[None], np.array([live]), place.rows.shape[1]).outliers[0],
        "sufficient_rank": _sufficient(place, own), "tested_rank": tested, **_tested(place, whole, tested, rng),
    }  # fmt: skip


def nothing(count: int) -> dict[str, Any]:
    curves = [f"{prefix}{curve}{end}" for curve in CURVES for prefix, end in
              (("", ""), ("random_", ""), ("random_", "_low"), ("random_", "_high"), ("same_error_", ""))]  # fmt: skip
    singles = ("full_rank", "stable_rank", "outliers", "sufficient_rank", "tested_rank", "tested_loss", "by_chance")
    return (
        dict.fromkeys(("error", *curves), np.full(count, np.nan))
        | dict.fromkeys(singles, np.nan)
        | {"turned_loss": np.full(3, np.nan)}
    )


def _random(place: Target, whole: Factors, rng: np.random.Generator) -> Array:
    """(20, K, 2) loss and score of random subspaces; without any and with all directions there is nothing to draw."""
    drawn = np.empty((SUBSPACES, len(place.ranks), 2))
    drawn[:] = place.intact
    proper = np.flatnonzero((place.ranks > 0) & (place.ranks < len(whole.values)))
    if len(whole.values):
        drawn[:, place.ranks == 0] = place.score(np.zeros(place.rows.shape))
    for draw in drawn:
        for at, rows in zip(proper, random_parts(whole, place.ranks[proper].tolist(), rng), strict=True):
            draw[at] = place.score(rows)
    return drawn


def _sufficient(place: Target, own: Array) -> float:
    if place.accuracy:
        return sufficient(place.ranks, place.intact[1] - own[:, 1], TOLERANCE + 1e-12)
    rise = own[:, 0] - place.intact[0]
    return sufficient(place.ranks, rise, TOLERANCE * float(np.fmax(rise[0], 0.0)))


def _tested(place: Target, whole: Factors, rank: int, rng: np.random.Generator) -> dict[str, Any]:
    if not rank:
        return {"tested_loss": np.nan, "turned_loss": np.full(3, np.nan), "by_chance": np.nan}
    loss = place.score(rank_part(whole, rank))[0]
    drawn = np.array([place.score(turned_part(whole, rank, rng))[0] for _ in range(TURNED)])
    return {
        "tested_loss": loss, "turned_loss": np.array([drawn.mean(), drawn.min(), drawn.max()]),
        "by_chance": chance_below(loss, drawn),
    }  # fmt: skip
