"""How many directions a layer needs: its rank-k part in its place, scored against random directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Array, Chart, Lines, Table
from wdyn.analyses._evaluate import Evaluator, Network
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.analyses._subspace_layer import CURVES, SINGLE, SUBSPACES, TURNED, Target, measure, nothing
from wdyn.analyses._subspaces import ladder
from wdyn.store.layers import Layer, put_rows

if TYPE_CHECKING:
    from wdyn.store.run import Run

LEVEL = 1 / (1 + TURNED)
MOST_SCORES = 20_000  # scores of the network in all; larger networks have shorter ladders
MOST_WEIGHTS = 2**23  # in a layer: 20 random subspaces of a larger one take minutes


@dataclass(frozen=True)
class Subspace(Result):
    """Scores with the weight matrix of one layer replaced; NaN where it, or the network's loss, is not finite.

    Pruned weights count as 0 in the matrix; what takes its place is not pruned.

    Attributes:
        shown: (T,) int64, the first and the last step, or the only one.
        left_out: layer to the reason why it was not replaced.
        score_name: what `score` is; empty where there is only a loss.
        seed: of the random directions.
        ranks: layer to (K,) ranks k that were tried, 0 and the full one among them.
        loss: with the rank-k part of the layer in its place.
        score: the same for the score.
        error: relative Frobenius distance of the rank-k part to the whole.
        random_loss: mean of 20 random k-dimensional subspaces of the layer's row space, see `random_parts`.
        random_loss_low: the lowest of the 20.
        random_loss_high: the highest of the 20.
        random_score: the same for the score.
        random_score_low: the lowest of the 20.
        random_score_high: the highest of the 20.
        same_error_loss: mean loss of random subspaces that lose as much of the squared weights as the rank-k part
            does, so of higher dimension; interpolated.
        same_error_score: the same for the score.
        intact_loss: of the network as it was recorded.
        intact_score: the same for the score.
        full_rank: number of singular values that are not 0.
        stable_rank: ||W||_F**2 / ||W||_2**2.
        outliers: singular values beyond those of random entries, see `spectrum`.
        sufficient_rank: smallest rank of the ladder from which on accuracy stays within 0.01 of the intact network's;
            where the score is no accuracy, the loss within 1 % of what it rises by when the weights are 0.
        tested_rank: stable rank, rounded up. It follows from the singular values alone, which the null shares.
        tested_loss: loss with the part of that rank.
        turned_loss: mean, lowest and highest loss of 99 matrices with the same leading singular values and output
            directions, but random input directions.
        by_chance: chance of a loss as low as `tested_loss` among these, in [0.01, 1].
    """

    shown: Array
    left_out: dict[str, str]
    score_name: str
    seed: int
    ranks: dict[str, Array] = measured("layer", "index")
    loss: dict[str, Array] = measured("layer", "shown", "index")
    score: dict[str, Array] = measured("layer", "shown", "index")
    error: dict[str, Array] = measured("layer", "shown", "index")
    random_loss: dict[str, Array] = measured("layer", "shown", "index")
    random_loss_low: dict[str, Array] = measured("layer", "shown", "index")
    random_loss_high: dict[str, Array] = measured("layer", "shown", "index")
    random_score: dict[str, Array] = measured("layer", "shown", "index")
    random_score_low: dict[str, Array] = measured("layer", "shown", "index")
    random_score_high: dict[str, Array] = measured("layer", "shown", "index")
    same_error_loss: dict[str, Array] = measured("layer", "shown", "index")
    same_error_score: dict[str, Array] = measured("layer", "shown", "index")
    intact_loss: Array = measured("shown")
    intact_score: Array = measured("shown")
    full_rank: Array = measured("shown", "layer")
    stable_rank: Array = measured("shown", "layer")
    outliers: Array = measured("shown", "layer")
    sufficient_rank: Array = measured("shown", "layer")
    tested_rank: Array = measured("shown", "layer")
    tested_loss: Array = measured("shown", "layer")
    turned_loss: Array = measured("shown", "layer", "index")
    by_chance: Array = measured("shown", "layer")


def compute(
    run: Run, *, evaluate: Evaluator, seed: int = 0, progress: Callable[[float], object] | None = None
) -> Subspace:
    """Replace every layer by parts of it at the first and the last step.

    Args:
        run: the run.
        evaluate: its network, which runs again.
        seed: of the random directions.
        progress: called with the share of the work done.

    Returns:
        Curves over the rank and what chance gives.
    """
    shown = run.steps[sorted({0, len(run.steps) - 1})]
    reason = f"more than {MOST_WEIGHTS:,} weights: random subspaces of it take too long"
    left_out = {name: reason for name, layer in run.layers.items() if layer.rows * layer.columns > MOST_WEIGHTS}
    layers = [layer for name, layer in run.layers.items() if name not in left_out]
    found: dict[str, list[dict[str, Any]]] = {layer.name: [] for layer in layers}
    intact = np.empty((2, len(shown)))
    for t, step in enumerate(shown.tolist()):
        network, state = evaluate.at(step), run.state(step)
        intact[:, t] = _only(network, {})
        for j, layer in enumerate(layers):
            ranks = _affordable(ladder(min(layer.rows, layer.columns)), len(layers) * len(shown))
            place = Target(
                _scorer(network, layer, state[layer.parameter]), (intact[0, t], intact[1, t]),
                run.neurons(layer.name, step), ranks, evaluate.score_name == "accuracy",
            )  # fmt: skip
            # a layer's numbers do not depend on the other layers
            found[layer.name].append({"ranks": ranks} | measure(place, np.random.default_rng([seed, t])))
            if progress:
                progress((t * len(layers) + j + 1) / (len(layers) * len(shown)))
    return Subspace(
        run=run.name, steps=run.steps, layers=tuple(found), shown=shown, left_out=left_out,
        score_name=evaluate.score_name, seed=seed, intact_loss=intact[0], intact_score=intact[1],
        **_assemble(found, len(shown)),
    )  # fmt: skip


def _affordable(ranks: Array, layers: int) -> Array:
    """As many of the ranks as each layer's share of the scores allows, at least three."""
    count = max(3, (MOST_SCORES // layers - TURNED) // (SUBSPACES + 1))
    return ranks[np.unique(np.linspace(0, len(ranks) - 1, min(count, len(ranks))).round().astype(np.int64))]


def _only(network: Network, replaced: Mapping[str, Array]) -> tuple[float, float]:
    scores = network.with_weights(replaced) if replaced else network.scores({})
    loss, score = float(scores.loss[0]), float(scores.score[0])
    return loss if np.isfinite(loss) else np.nan, score


def _scorer(network: Network, layer: Layer, parameter: Array) -> Callable[[Array], tuple[float, float]]:
    return lambda rows: _only(network, {layer.parameter: put_rows(rows, layer, parameter)})


def _assemble(found: Mapping[str, list[dict[str, Any]]], count: int) -> dict[str, Any]:
    """Each field of `measure`: a dict of layers where it is a curve, else with the layers along the second axis."""
    fields: dict[str, Any] = {"ranks": {layer: each[0]["ranks"] for layer, each in found.items()}}
    for name in nothing(1):
        if name in SINGLE:
            columns = [[here[name] for here in each] for each in found.values()]
            fields[name] = np.array(columns, dtype=np.float64).reshape(len(found), count, *SINGLE[name]).swapaxes(0, 1)
        else:
            fields[name] = {layer: np.stack([here[name] for here in each]) for layer, each in found.items()}
    return fields


def charts(result: Subspace) -> list[Chart]:
    """What each rank keeps, layer by layer, and the ranks side by side."""
    curves = [curve for curve in CURVES if curve == "loss" or result.score_name]
    return [_ranks(result), *(_curves(result, layer, curve) for layer in result.layers for curve in curves[::-1])]


def _curves(result: Subspace, layer: str, curve: str) -> Lines:
    name = result.score_name if curve == "score" else "loss"
    y, bands, intact = {}, {}, {}
    for t, step in enumerate(result.shown.tolist()):
        own, random = f"leading directions, step {step}", f"random directions, step {step}"
        y[own] = getattr(result, curve)[layer][t]
        y[random] = getattr(result, f"random_{curve}")[layer][t]
        low, high = (getattr(result, f"random_{curve}_{end}")[layer][t] for end in ("low", "high"))
        bands[random] = low, high
        intact[f"intact, step {step}"] = float(getattr(result, f"intact_{curve}")[t])
    y[f"random, same error, step {result.shown[-1]}"] = getattr(result, f"same_error_{curve}")[layer][-1]
    return Lines(
        title=f"{name[0].upper()}{name[1:]} with so many directions of the layer", layer=layer,
        x=result.ranks[layer], y=y, bands=bands, reference=intact, x_scale="log",
        x_label="rank of the weights in the layer's place", y_label=name,
        band_label=f"lowest to highest of {SUBSPACES} random subspaces",
    )  # fmt: skip


def _ranks(result: Subspace) -> Table:
    columns: dict[str, Any] = {"layer": [*result.layers, *result.left_out]}
    blank = [np.nan] * len(result.left_out)
    for heading, values in {
        "rank": result.full_rank, "needed": result.sufficient_rank, "stable rank": result.stable_rank,
        "outliers": result.outliers, "chance": result.by_chance,
    }.items():  # fmt: skip
        for t, step in enumerate(result.shown.tolist()):
            columns[f"{heading}, step {step}"] = values[t].tolist() + blank
    columns["left out"] = [""] * len(result.layers) + list(result.left_out.values())
    return Table(title=f"Rank that is needed to keep {_what_is_kept(result)}", columns=columns)


def _what_is_kept(result: Subspace) -> str:
    return "the accuracy within 0.01" if result.score_name == "accuracy" else "99 % of what the layer does for the loss"


def findings(result: Subspace) -> Iterator[Finding]:
    """Whether the leading input directions serve the network better than chance ones, at the first and last step."""
    for t, step in enumerate(result.shown.tolist()):
        for j, layer in enumerate(result.layers):
            if np.isfinite(chance := result.by_chance[t, j]):
                better = bool(chance <= LEVEL)
                text = (
                    f"{layer}: its {result.tested_rank[t, j]:.0f} leading input "
                    f"direction{'s serve' if result.tested_rank[t, j] > 1 else ' serves'} the network "
                    f"{'better' if better else 'no better'} than random ones with the same singular values; rank "
                    f"{result.sufficient_rank[t, j]:.0f} of {result.full_rank[t, j]:.0f} keeps {_what_is_kept(result)}"
                )
                yield Finding(layer, step, text, better, LEVEL)


ANALYSIS = Analysis(
    title="How many directions a layer needs",
    compute=compute,
    charts=charts,
    findings=findings,
    when="asked",
    needs=frozenset({"layers", "evaluate"}),
    reading=(
        "The weight matrix of one layer is replaced by the closest one of rank k (Eckart & Young 1936) and the network "
        "scored. Random directions: its rows projected onto random subspaces of their own span. The same error: random "
        "subspaces that lose as much of the squared weights; a gap to that line says that the leading directions "
        "carry more than their size. A claim compares the part of the layer's stable rank with 99 matrices of the same "
        "singular values and output directions whose input directions are random: independent normal weights, as "
        "before training, do no better than these."
    ),
)
