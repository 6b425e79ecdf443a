"""What the pictures of `pca` and `umap` have in common: result fields, quality numbers, the chart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array, Chart, Lines, PointsThroughTime
from wdyn.analyses._paths import Paths
from wdyn.analyses._spec import Result, measured

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_STEPS = 30
NEIGHBOURS = 10
MIN_DIST = 0.1


@dataclass(frozen=True)
class Embedding(Result):
    """Neurons of each layer at the shown steps as points in the plane, all steps of a layer in one picture.

    Attributes:
        seed: what all randomness was drawn from.
        shown: (T,) int64, the steps shown, at most 30.
        neurons: layer to (n,) int64, the neurons shown: all, or evenly spaced ones.
        method: layer to `umap` or `pca`, how its places were found.
        rows: (L,) int64, neurons of the layer.
        lost: (T, L) int64, shown neurons that are dead or not finite and so have no place.
        groups: layer to (n,) int64, group of aligned neurons at the last step, -1 for none.
        norms: layer to (T, n) float64, length of each neuron, in units of the weights.
        xy: layer to (T, n, 2) float64, coordinates without unit; NaN where a neuron has no place.
        trustworthiness: (T, L) float64 in [0, 1], of the neurons at one step: 1 if all 10 (fewer in layers of under 21
            neurons) nearest neighbours in the picture are nearest neighbours in truth; NaN under 4 neurons.
        shuffled: (T, L) float64, the same after neurons have swapped places at random: about 0.5.
        motion: (T, L) float64, mean distance from a neuron's place at the shown step before, in units of the spread:
            the root mean square distance of all neurons from their centre. NaN at the first step.
        motion_shuffled: (T, L) float64, the same for each neuron's steps in a random order: how calm the method makes
            paths that are none.
    """

    seed: int
    shown: np.ndarray
    neurons: dict[str, np.ndarray]
    method: dict[str, str]
    rows: np.ndarray = measured("layer")
    lost: np.ndarray = measured("shown", "layer")
    groups: dict[str, np.ndarray] = measured("layer", "neuron")
    norms: dict[str, np.ndarray] = measured("layer", "shown", "neuron")
    xy: dict[str, np.ndarray] = measured("layer", "shown", "neuron", "index")
    trustworthiness: np.ndarray = measured("shown", "layer")
    shuffled: np.ndarray = measured("shown", "layer")
    motion: np.ndarray = measured("shown", "layer")
    motion_shuffled: np.ndarray = measured("shown", "layer")


def near(count: int) -> int:
    """How many of so many neurons count as neighbours of one: 10, less in small layers, none among fewer than 4."""
    return min(NEIGHBOURS, (count - 1) // 2) if count > 3 else 0


def trustworthiness(unit: Array, xy: Array) -> float:
    """How far neighbours in the picture are neighbours in truth.

    Args:
        unit: (N, D) float64, rows of length one; neighbours by cosine.
        xy: (N, 2), their places; neighbours by distance.

    Returns:
        Float in [0, 1], over the 10 nearest neighbours, or (N - 1) // 2 where that is less; 0.5 on average for places
        at random. NaN for fewer than 4 rows.

    Source:
        Venna & Kaski, Neighborhood preservation in nonlinear projection methods, ICANN (2001).
    """
    return _share_of_true(_ranks(unit), xy) if len(unit) > 3 else np.nan


def _ranks(unit: Array) -> Array:
    """(N, N) rank of each column in its row by cosine, 1 for the nearest; the row itself has rank 0."""
    closeness = unit @ unit.T
    np.fill_diagonal(closeness, np.inf)
    order = np.argsort(-closeness, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(order))[None, :], axis=1)
    return ranks


def _share_of_true(ranks: Array, xy: Array) -> float:
    count, listed = len(xy), near(len(xy))
    apart = ((xy[:, None, :] - xy[None, :, :]) ** 2).sum(axis=-1)
    np.fill_diagonal(apart, np.inf)
    seen = np.argpartition(apart, listed - 1, axis=1)[:, :listed]
    intrusion = np.maximum(np.take_along_axis(ranks, seen, axis=1) - listed, 0)
    return 1.0 - float(intrusion.sum()) * 2 / (count * listed * (2 * count - 3 * listed - 1))


class Picture(NamedTuple):
    """One layer's share of an `Embedding`; see there.

    `scores` is (T, 4): trustworthiness, shuffled, motion and motion_shuffled.
    """

    method: str
    neurons: Array
    groups: Array
    norms: Array
    xy: Array
    scores: Array


def picture(paths: Paths, xy: Array, method: str, *, control: Array, rng: np.random.Generator) -> Picture:
    """Rate the places of a layer's neurons at each step.

    Args:
        paths: the neurons' directions.
        xy: (T, n, 2) their places.
        method: how they were found.
        control: (T, n, 2) places found in the same way for each neuron's steps in random order.
        rng: swaps the places of one step for the other control.

    Returns:
        The picture.
    """
    scores = np.full((len(xy), 4), np.nan)
    for t, (place, places) in enumerate(zip(paths.place, xy, strict=True)):
        seen = np.isfinite(places).all(axis=1)
        if seen.sum() > 3:
            ranks = _ranks(paths.points[place[seen]].astype(np.float64))
            scores[t, :2] = [_share_of_true(ranks, each) for each in (places[seen], rng.permutation(places[seen]))]
    scores[1:, 2], scores[1:, 3] = motion(xy), motion(control)
    return Picture(method, paths.neurons, paths.groups, paths.norms, xy, scores)


def motion(xy: Array) -> Array:
    """How far neurons move from one shown step to the next.

    Args:
        xy: (T, n, 2) places, NaN where a neuron has none.

    Returns:
        (T - 1,) float64, mean distance over the root mean square distance from the centre at the later step, both of
        the neurons that have a place at either; NaN where they all have the same.
    """
    moved = np.full(len(xy) - 1, np.nan)
    for t, (before, after) in enumerate(pairwise(xy)):
        both = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
        if both.any():
            spread = np.sqrt(after[both].var(axis=0).sum())
            distance = np.linalg.norm(after[both] - before[both], axis=1).mean()
            moved[t] = distance / spread if spread > 0 else np.nan
    return moved


def at_places(paths: Paths, coordinates: Array) -> Array:
    """(T, n, 2) places of the neurons, from the (P, 2) coordinates of their points; NaN where there is none."""
    return np.asarray(np.append(coordinates, [[np.nan, np.nan]], axis=0)[paths.place])


def embedding_fields(run: Run, shown: Array, seed: int, pictures: Mapping[str, Picture]) -> dict[str, Any]:
    """The fields of `Embedding`, from one picture per layer."""
    each = list(pictures.values())
    return {
        "run": run.name,
        "steps": run.steps,
        "layers": tuple(pictures),
        "seed": seed,
        "shown": shown,
        "neurons": {layer: made.neurons for layer, made in pictures.items()},
        "method": {layer: made.method for layer, made in pictures.items()},
        "rows": np.array([run.layers[layer].rows for layer in pictures], dtype=np.int64),
        "lost": _by_layer(shown, [np.isnan(made.xy[..., 0]).sum(axis=1) for made in each]),
        "groups": {layer: made.groups for layer, made in pictures.items()},
        "norms": {layer: made.norms for layer, made in pictures.items()},
        "xy": {layer: made.xy for layer, made in pictures.items()},
        "trustworthiness": _by_layer(shown, [made.scores[:, 0] for made in each]),
        "shuffled": _by_layer(shown, [made.scores[:, 1] for made in each]),
        "motion": _by_layer(shown, [made.scores[:, 2] for made in each]),
        "motion_shuffled": _by_layer(shown, [made.scores[:, 3] for made in each]),
    }


def _by_layer(shown: Array, columns: list[Array]) -> Array:
    return np.stack(columns, axis=1) if columns else np.empty((len(shown), 0))


def points_chart(result: Embedding, layer: str, *, title: str, method: str) -> PointsThroughTime:
    """The picture of a layer, with what a reader must know.

    Args:
        result: the embedding.
        layer: one of its layers.
        title: of the chart.
        method: how the places were found, one sentence with its settings.

    Returns:
        The chart; colour is the group at the last step, size the norm.
    """
    j = result.layers.index(layer)
    facts = [
        method,
        f"{len(result.neurons[layer])} of {result.rows[j]} neurons, {len(result.shown)} of {len(result.steps)} steps.",
        f"Trustworthiness at the last step {result.trustworthiness[-1, j]:.2f}, "
        f"with places swapped at random {result.shuffled[-1, j]:.2f}.",
    ]
    if np.isfinite(result.motion[:, j]).any():
        moved, by_chance = (np.nanmean(each[:, j]) for each in (result.motion, result.motion_shuffled))
        facts.append(
            f"From one shown step to the next a neuron moves {moved:.2f} of the picture's spread, "
            f"and {by_chance:.2f} with each neuron's steps in random order."
        )
    if result.lost[:, j].any():
        facts.append(f"Dead or not finite, hence without a place: {result.lost[-1, j]} at the last step.")
    return PointsThroughTime(
        title=title,
        steps=result.shown,
        xy=result.xy[layer],
        neurons=result.neurons[layer],
        groups=result.groups[layer],
        group_label="group of aligned neurons at the last step",
        caption=" ".join(facts),
        layer=layer,
        size=result.norms[layer],
    )


def quality_chart(result: Embedding) -> Chart:
    """Trustworthiness of the picture at each shown step, against places swapped at random."""
    return Lines(
        title="Can the picture be trusted?",
        x=result.shown,
        y=dict(zip(result.layers, result.trustworthiness.T, strict=True)),
        x_label="optimizer step",
        y_label="trustworthiness, neurons of one step",
        reference={"places swapped at random": 0.5, "perfect": 1.0},
    )
