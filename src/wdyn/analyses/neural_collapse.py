"""Neural collapse: how near the classifier's rows, and the features it reads, come to a simplex."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._collapse_charts import NC, ROWS, charts, verdict
from wdyn.analyses._neurons import live_rows, shown_steps
from wdyn.analyses._simplex import Collapse, collapse, simplex, simplex_by_chance
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.analyses._evaluate import Evaluator
    from wdyn.store.run import Layer, Run

SHOWN = 60
SHUFFLES = 5
LEVEL = 0.005  # of random classifiers lie below the band of 99 %
NEED_FEATURES = (
    "NC1, NC3, NC4 and NC2 of the class means need the features of the last hidden layer: a run that can run again on "
    "a sample with classes, or compute(run, features=..., labels=...). The rows of the classifier alone tell NC2 of "
    "the rows."
)


@dataclass(frozen=True)
class NeuralCollapse(Result):
    """Distance to a perfect simplex, all 0 there; `layers` holds the classifier, the last layer, alone.

    Attributes:
        shown: (T,) int64, the steps looked at, at most 60.
        reason: why `rows` is NaN at all steps; empty where it is not.
        features_reason: the same for `features`.
        rows: NC2 of the classifier's centred live rows, by name: `rows_norm_variation`, the standard deviation of the
            norms over their mean; `rows_cosine_spread`, that of the cosines; `rows_simplex_gap`, mean |cos + 1/(C-1)|.
        rows_by_chance: low and high end of each for as many rows of independent entries, by name with `_by_chance`.
        live: rows of the classifier with a direction.
        features: `nc1`, the three of NC2 for the class means, `nc3` and `nc4`; NaN without features.
        shuffled: mean of the same over five shuffles of the labels, by name with `_shuffled`.
        points: number of points with finite features.
    """

    shown: Array
    reason: str
    features_reason: str
    rows: Mapping[str, Array] = measured("metric", "shown", "layer")
    rows_by_chance: Mapping[str, Array] = measured("metric", "shown", "layer", "index")
    live: Array = measured("shown", "layer", unit="neurons")
    features: Mapping[str, Array] = measured("metric", "shown", "layer")
    shuffled: Mapping[str, Array] = measured("metric", "shown", "layer")
    points: Array = measured("shown", "layer", unit="points")


def compute(
    run: Run,
    *,
    features: Callable[[int], Array] | None = None,
    labels: Array | None = None,
    evaluate: Evaluator | None = None,
    seed: int = 0,
    progress: Callable[[float], object] | None = None,
) -> NeuralCollapse:
    """Neural collapse at up to 60 steps.

    Args:
        run: the run; its last layer is taken for the classifier.
        features: step -> (n, p) inputs of the classifier at that step, one row per point, the same points at each step.
        labels: (n,) int, class of each point, which is the number of its row in the classifier; the targets of the
            run's sample when omitted.
        evaluate: where features come from when none are given.
        seed: of the random rows and the shuffled labels that the numbers are compared with.
        progress: is told the share that is done, in [0, 1].

    Returns:
        What the rows of the classifier tell alone, and NC1 to NC4 where there are features.

    Raises:
        MisuseError: features without labels, or of another shape than labels and classifier.
    """
    if features is None and evaluate is not None and evaluate.labels is not None:
        features, labels = _replayed(evaluate), evaluate.labels
    chosen = run.select(steps=run.steps[shown_steps(run.steps, SHOWN)])
    classifier = list(run.layers.values())[-1:]
    tables = _nothing(len(chosen.steps), len(classifier))
    classes = None if features is None else _class_numbers(run, classifier, labels)
    by_chance: dict[int, Array] = {}
    for t, weights in _history(chosen, classifier):
        now = _of_rows(weights, by_chance, seed)
        if features is not None and classes is not None:
            step = int(chosen.steps[t])
            now |= _of_features(
                np.asarray(features(step)), classes, _Head(weights, _bias(run, classifier[0], step)), seed
            )
        for name, value in now.items():
            tables[name][t, 0] = value
        if progress is not None:
            progress((t + 1) / len(chosen.steps))
    return NeuralCollapse(
        run=run.name, steps=run.steps, layers=tuple(layer.name for layer in classifier), shown=chosen.steps,
        rows={name: tables[name] for name in ROWS},
        rows_by_chance={f"{name}_by_chance": tables[f"{name}_by_chance"] for name in ROWS},
        features={name: tables[name] for name in NC},
        shuffled={f"{name}_shuffled": tables[f"{name}_shuffled"] for name in NC},
        live=tables["live"], points=tables["points"], reason=_reason(classifier, tables["live"]),
        features_reason=NEED_FEATURES if features is None else "",
    )  # fmt: skip


def _replayed(evaluate: Evaluator) -> Callable[[int], Array]:
    return lambda step: evaluate.at(step).features()


def _nothing(steps: int, layers: int) -> dict[str, Array]:
    """An array for every number, NaN or 0."""
    tables = {name: np.full((steps, layers), np.nan) for name in (*ROWS, *NC, *(f"{name}_shuffled" for name in NC))}
    tables |= {f"{name}_by_chance": np.full((steps, layers, 2), np.nan) for name in ROWS}
    return tables | {name: np.zeros((steps, layers), dtype=np.int64) for name in ("live", "points")}


def _history(chosen: Run, classifier: list[Layer]) -> Iterator[tuple[int, Array]]:
    """Position of the step, and the rows of the classifier there."""
    for layer in classifier:
        for at, block in chosen.blocks(layer.name):
            yield from enumerate(block, start=at)


def _of_rows(weights: Array, by_chance: dict[int, Array], seed: int) -> dict[str, Any]:
    """What live rows tell; `by_chance` keeps what was simulated, by their number."""
    rows = live_rows(weights)
    count, inputs = rows.shape
    if not 2 <= count <= inputs + 1:
        return {"live": count}
    if count not in by_chance:
        by_chance[count] = simplex_by_chance(count, inputs, rng=np.random.default_rng(seed))
    chance = {f"{name}_by_chance": ends for name, ends in zip(ROWS, by_chance[count], strict=True)}
    return {"live": count, **dict(zip(ROWS, simplex(rows), strict=True)), **chance}


class _Head(NamedTuple):
    weights: Array  # (C, p)
    bias: Array  # (C,)


def _bias(run: Run, layer: Layer, step: int) -> Array:
    if layer.bias is None:
        return np.zeros(layer.rows)
    return run.state(step, [layer.bias])[layer.bias][layer.start : layer.start + layer.rows]


def _of_features(features: Array, classes: Array, head: _Head, seed: int) -> dict[str, Any]:
    """NC1 to NC4 over the points with finite features and the classes that have any, and the same by chance."""
    if features.shape != (len(classes), head.weights.shape[1]):
        raise MisuseError(
            f"features have shape {features.shape}, expected {(len(classes), head.weights.shape[1])}: one row per "
            "label, one column per input of the last layer."
        )
    finite = np.isfinite(features).all(axis=1)
    points, (present, labels) = features[finite], np.unique(classes[finite], return_inverse=True)
    weights, bias = head.weights[present], head.bias[present]
    if len(present) < 2 or not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        return {"points": len(points)}
    rng = np.random.default_rng(seed)
    found = _flat(collapse(points, labels, weights=weights, bias=bias))
    shuffled = [_flat(collapse(points, rng.permutation(labels), weights=weights, bias=bias)) for _ in range(SHUFFLES)]
    by_chance = dict(zip((f"{name}_shuffled" for name in NC), np.mean(shuffled, axis=0), strict=True))
    return {"points": len(points), **dict(zip(NC, found, strict=True)), **by_chance}


def _flat(found: Collapse) -> tuple[float, ...]:
    return (found.nc1, *found.nc2, found.nc3, found.nc4)


def _class_numbers(run: Run, classifier: list[Layer], labels: Array | None) -> Array:
    """(n,) int64 rows of the classifier."""
    if labels is None and run.sample is not None:
        labels = run.sample.targets
    if labels is None:
        raise MisuseError("features need the class of each point: give labels=..., since the run keeps no sample.")
    labels, rows = np.asarray(labels), sum(layer.rows for layer in classifier)
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= rows:
        raise MisuseError(
            f"labels of type {labels.dtype} and shape {labels.shape} do not number the {rows} rows of the last layer. "
            f"Expected (n,) whole numbers from 0 to {rows - 1}."
        )
    return labels.astype(np.int64)


def _reason(classifier: list[Layer], live: Array) -> str:
    """Why the rows say nothing at any step; empty where they do."""
    if not classifier:
        return "the run has no layer that gives neuron rows"
    name, rows, inputs = classifier[0].name, classifier[0].rows, classifier[0].columns
    if ((live >= 2) & (live <= inputs + 1)).any():
        return ""
    if live.max(initial=0) < 2:
        return f"the last layer, {name}, has fewer than two live rows"
    return f"the last layer, {name}, has {rows} rows but {inputs} inputs: a simplex of {rows} needs {rows - 1}"


def findings(result: NeuralCollapse) -> Iterator[Finding]:
    """Whether the rows of the classifier are nearer to a simplex than by chance, at the first and the last step."""
    for name, label in () if result.reason else ROWS.items():
        values, ends = result.rows[name][:, 0], result.rows_by_chance[f"{name}_by_chance"][:, 0]
        for at in sorted({0, len(values) - 1}):
            if np.isfinite(values[at]):
                text = f"rows of {result.layers[0]}, {label}: {verdict(values[: at + 1], ends[: at + 1])}"
                nearer = bool(values[at] < ends[at, 0])
                yield Finding(result.layers[0], int(result.shown[at]), text, nearer, LEVEL)


ANALYSIS = Analysis(
    title="Neural collapse",
    compute=compute,
    charts=charts,
    reading=(
        "Late in training, class means and classifier rows tend to a simplex: equal norms, equal and widest angles "
        "(Papyan, Han & Donoho 2020). All of these numbers are 0 on a simplex. The rows of the last layer, read as the "
        "classifier, are "
        "compared with rows of independent entries (99 % band). NC1, NC3 and NC4 need features of the last hidden "
        "layer, and are compared with the same features under shuffled labels."
    ),
    findings=findings,
)
