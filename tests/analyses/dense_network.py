"""A ReLU network that lies in memory and runs again, one variant after the other: an `Evaluator` for tests."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses._evaluate import Activity, Place, Scores


class DenseRun(MemoryRun):
    """A MemoryRun that also gives whole states."""

    def state(self, step: int) -> dict[str, np.ndarray]:
        at = list(self.steps).index(step)
        weights = {f"{name}.weight": history[at] for name, history in self._weights.items()}
        return weights | {f"{name}.bias": history[at] for name, history in self._biases.items()}


class DenseEvaluator:
    """Layers of a DenseRun in a row, ReLU between them. Whole `targets` are classes, others values."""

    left_out: Mapping[str, str] = {}

    def __init__(self, run: DenseRun, inputs: np.ndarray, targets: np.ndarray) -> None:
        self._run, self._inputs, self._targets = run, np.asarray(inputs, dtype=np.float64), targets
        hidden = list(run.layers)[:-1]
        self.places = {name: Place(name, run.layers[name].rows, "neuron") for name in hidden}
        self.examples = len(inputs)
        whole = np.issubdtype(targets.dtype, np.integer)
        self.classes = next(reversed(run.layers.values())).rows if whole else 0
        self.score_name = "accuracy" if whole else ""

    def at(self, step: int) -> DenseNetwork:
        return DenseNetwork(self, self._run.state(step))


class DenseNetwork:
    """One step of it; knows the mode `zero` alone."""

    def __init__(self, evaluator: DenseEvaluator, state: dict[str, np.ndarray]) -> None:
        self._of, self._state = evaluator, state
        self._intact = self._losses(state, {})[0]

    def scores(self, gone: Mapping[str, np.ndarray], mode: str = "zero") -> Scores:
        assert mode == "zero"
        count = len(next(iter(gone.values()))) if gone else 1
        return self._scores([self._losses(self._state, {n: g[m] for n, g in gone.items()}) for m in range(count)])

    def with_weights(self, replaced: Mapping[str, np.ndarray]) -> Scores:
        for name, values in replaced.items():
            assert values.shape == self._state[name].shape
            assert values.dtype == self._state[name].dtype
        return self._scores([self._losses({**self._state, **replaced}, {})])

    def activity(self, place: str) -> Activity:
        raise NotImplementedError

    def taylor(self, place: str) -> np.ndarray:
        raise NotImplementedError

    def _scores(self, variants: list[tuple[np.ndarray, np.ndarray]]) -> Scores:
        with np.errstate(invalid="ignore"):
            rises = np.array([losses - self._intact for losses, _ in variants])
            error = rises.std(axis=1, ddof=1) / np.sqrt(rises.shape[1])
        loss, score = (np.array([pair[i].mean() for pair in variants]) for i in range(2))
        return Scores(loss, score, np.full((len(variants), self._of.classes), np.nan), error)

    def _losses(self, state: Mapping[str, np.ndarray], gone: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Loss and score of each example."""
        values, targets = self._of._inputs, self._of._targets
        with np.errstate(invalid="ignore", over="ignore"):
            for name in self._of._run.layers:
                values = values @ state[f"{name}.weight"].T.astype(np.float64) + state.get(f"{name}.bias", 0.0)
                if name in self._of.places:
                    values = np.maximum(values, 0.0) * ~gone.get(name, np.zeros(values.shape[1], dtype=bool))
            if not self._of.classes:
                return ((values - targets) ** 2).mean(axis=1), np.full(len(values), np.nan)
            shifted = values - values.max(axis=1, keepdims=True)
            losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(values)), targets]
        return losses, (values.argmax(axis=1) == targets).astype(np.float64)
