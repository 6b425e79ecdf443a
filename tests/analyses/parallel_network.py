"""A network for any run: all layers side by side, ReLU, and fixed random weights from their units to the outputs.

An `Evaluator` for tests that go through all analyses, whatever the layers of a run are; fast for many variants.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from wdyn.analyses._evaluate import Activity, Examples, Place, Scores
from wdyn.analyses._spec import Analysis

EXAMPLES, CLASSES = 30, 3


def keywords(analysis: Analysis, run: Any, *, seed: int) -> dict[str, Any]:
    """What the pipeline passes to `compute` beside the run, as far as it asks for it."""
    wanted = inspect.signature(analysis.compute).parameters
    given = {"seed": seed} if "seed" in wanted else {}
    several = analysis.takes == "runs"
    evaluate: Any = (lambda each: ParallelEvaluator(each, seed=seed)) if several else ParallelEvaluator(run, seed=seed)
    return given | ({"evaluate": evaluate} if "evaluate" in wanted else {})


class ParallelEvaluator:
    """Inputs, targets and output weights are random and know nothing of the run."""

    left_out: Mapping[str, str] = {}
    examples, classes, score_name = EXAMPLES, CLASSES, "accuracy"
    labels = None  # its outputs are not those of the run's last layer

    def __init__(self, run: Any, *, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.run, self.targets = run, rng.integers(0, CLASSES, EXAMPLES)
        layers = run.layers.values()
        self.tensors = [layer.parameter for layer in layers]
        self.places = {layer.name: Place(layer.name, layer.rows, "neuron") for layer in layers}
        self.inputs = {layer.name: rng.normal(size=(EXAMPLES, layer.columns)) for layer in layers}
        self.out = {layer.name: rng.normal(size=(layer.rows, CLASSES)) / np.sqrt(layer.rows) for layer in layers}

    def at(self, step: int) -> ParallelNetwork:
        return ParallelNetwork(self, {name: self.run.neurons(name, step) for name in self.places})


class ParallelNetwork:
    """One step of it; knows the mode `zero` alone."""

    def __init__(self, of: ParallelEvaluator, rows: Mapping[str, np.ndarray]) -> None:
        self._of, self._rows = of, rows
        with np.errstate(invalid="ignore", over="ignore"):
            self._active = {n: np.maximum(of.inputs[n] @ w.T.astype(np.float64), 0.0) for n, w in rows.items()}
        self._intact = self._judged(self._logits({}))[0]

    def scores(self, gone: Mapping[str, np.ndarray], mode: str = "zero") -> Scores:
        assert mode == "zero"
        return self._scores(self._logits(gone))

    def with_weights(self, replaced: Mapping[str, np.ndarray]) -> Scores:
        return self._scores(self._replaced(replaced)._logits({}))

    def each(self, replaced: Mapping[str, np.ndarray]) -> Examples:
        losses, right = self._judged(self._replaced(replaced)._logits({}))
        return Examples(losses[0], right[0])

    def statistics(self, replaced: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {}

    def _replaced(self, replaced: Mapping[str, np.ndarray]) -> ParallelNetwork:
        named = {self._of.run.layers[name].parameter: name for name in self._rows}
        rows = {named[parameter]: values.reshape(self._rows[named[parameter]].shape)
                for parameter, values in replaced.items()}  # fmt: skip
        return ParallelNetwork(self._of, {**self._rows, **rows})

    def activity(self, place: str) -> Activity:
        active = self._active[place]
        by_class = [active[self._of.targets == c] for c in range(CLASSES)]
        means = [rows.mean(axis=0) if len(rows) else np.full(active.shape[1], np.nan) for rows in by_class]
        return Activity(active.mean(axis=0), np.stack(means))

    def taylor(self, place: str) -> np.ndarray:
        with np.errstate(invalid="ignore", over="ignore"):
            logits = self._logits({})[0]
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            gradient = (odds / odds.sum(axis=1, keepdims=True) - np.eye(CLASSES)[self._of.targets]) @ self._of.out[
                place
            ].T
            return -(self._active[place] * gradient).mean(axis=0)

    def _logits(self, gone: Mapping[str, np.ndarray]) -> np.ndarray:
        """(M, E, C), linear in what is kept."""
        count = len(next(iter(gone.values()))) if gone else 1
        total = np.zeros((count, EXAMPLES * CLASSES))
        with np.errstate(invalid="ignore", over="ignore"):
            for name, active in self._active.items():
                kept = ~gone.get(name, np.zeros((count, active.shape[1]), dtype=bool))
                each = active.T[:, :, None] * self._of.out[name][:, None]  # (N, E, C)
                total += kept.astype(np.float64) @ each.reshape(len(each), -1)
        return total.reshape(count, EXAMPLES, CLASSES)

    def _scores(self, logits: np.ndarray) -> Scores:
        losses, right = self._judged(logits)
        with np.errstate(invalid="ignore"):
            error = (losses - self._intact).std(axis=1, ddof=1) / np.sqrt(EXAMPLES)
        by_class = [right[:, self._of.targets == c] for c in range(CLASSES)]
        means = [each.mean(axis=1) if each.size else np.full(len(right), np.nan) for each in by_class]
        return Scores(losses.mean(axis=1), right.mean(axis=1), np.stack(means, axis=1), error)

    def _judged(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(M, E) loss and score of each example."""
        targets = self._of.targets
        with np.errstate(invalid="ignore", over="ignore"):
            shifted = logits - logits.max(axis=2, keepdims=True)
            losses = np.log(np.exp(shifted).sum(axis=2)) - shifted[:, np.arange(EXAMPLES), targets]
        return losses, (logits.argmax(axis=2) == targets).astype(np.float64)
