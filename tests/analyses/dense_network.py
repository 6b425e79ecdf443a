"""A ReLU network that lies in memory and runs again, one variant after the other: an `Evaluator` for tests."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses._evaluate import Activity, Place, Scores


class DenseRun(MemoryRun):
    """A MemoryRun that also gives whole states."""

    def state(self, step: int, names: object = None) -> dict[str, np.ndarray]:
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
        self.labels = targets if whole else None

    def at(self, step: int) -> DenseNetwork:
        return DenseNetwork(self, self._run.state(step))


class DenseNetwork:
    """One step of it."""

    def __init__(self, evaluator: DenseEvaluator, state: dict[str, np.ndarray]) -> None:
        self._of, self._state = evaluator, state
        self._intact = self._judged(self._values(state, {})[-1])[0]

    def scores(self, gone: Mapping[str, np.ndarray], mode: str = "zero") -> Scores:
        count = len(next(iter(gone.values()))) if gone else 1
        return self._scores([self._without({name: mask[m] for name, mask in gone.items()}, mode) for m in range(count)])

    def with_weights(self, replaced: Mapping[str, np.ndarray]) -> Scores:
        for name, values in replaced.items():
            assert values.shape == self._state[name].shape
            assert values.dtype == self._state[name].dtype
        return self._scores([self._values({**self._state, **replaced}, {})[-1]])

    def activity(self, place: str) -> Activity:
        active = self._values(self._state, {})[self._position(place)]
        with np.errstate(invalid="ignore"):
            means = [self._mean(active[self._of._targets == c]) for c in range(self._of.classes)]
        return Activity(active.mean(axis=0), np.reshape(means, (self._of.classes, active.shape[1])))

    def features(self) -> np.ndarray:
        return self._values(self._state, {})[-2]

    def taylor(self, place: str) -> np.ndarray:
        """Minus activation x gradient, the gradient by the chain rule from the outputs back."""
        values, targets, names = self._values(self._state, {}), self._of._targets, list(self._of._run.layers)
        with np.errstate(invalid="ignore", over="ignore"):
            if self._of.classes:
                odds = np.exp(values[-1] - values[-1].max(axis=1, keepdims=True))
                gradient = odds / odds.sum(axis=1, keepdims=True) - np.eye(self._of.classes)[targets]
            else:
                gradient = 2 * (values[-1] - targets) / values[-1].shape[1]
            for at in range(len(names) - 1, self._position(place), -1):
                gradient = gradient @ self._state[f"{names[at]}.weight"].astype(np.float64)
                if at - 1 > self._position(place):
                    gradient = gradient * (values[at - 1] > 0)
            return -(values[self._position(place)] * gradient).mean(axis=0)

    def _position(self, place: str) -> int:
        return list(self._of.places).index(place)

    @staticmethod
    def _mean(rows: np.ndarray) -> np.ndarray:
        return rows.mean(axis=0) if len(rows) else np.full(rows.shape[1], np.nan)

    def _without(self, gone: Mapping[str, np.ndarray], mode: str) -> np.ndarray:
        """Outputs of one variant."""
        if mode == "remove":
            return self._values(self._smaller(gone), {})[-1]
        clamped = {}
        for name, mask in gone.items():
            intact = self._values(self._state, {})[self._position(name)]
            bias = self._state.get(f"{name}.bias", np.zeros(len(mask)))
            to = {"zero": np.zeros(len(mask)), "mean": intact.mean(axis=0), "row": np.maximum(bias, 0.0)}[mode]
            clamped[name] = (mask, to)
        return self._values(self._state, clamped)[-1]

    def _smaller(self, gone: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The state without the rows, biases and outgoing weights of the units."""
        state, names = dict(self._state), list(self._of._run.layers)
        for name, mask in gone.items():
            after = f"{names[names.index(name) + 1]}.weight"
            state[f"{name}.weight"], state[after] = state[f"{name}.weight"][~mask], state[after][:, ~mask]
            if f"{name}.bias" in state:
                state[f"{name}.bias"] = state[f"{name}.bias"][~mask]
        return state

    def _values(
        self, state: Mapping[str, np.ndarray], clamped: Mapping[str, tuple[np.ndarray, np.ndarray]]
    ) -> list[np.ndarray]:
        """What each layer gives, after its ReLU, units of some places clamped."""
        values, found = self._of._inputs, []
        with np.errstate(invalid="ignore", over="ignore"):
            for name in self._of._run.layers:
                values = values @ state[f"{name}.weight"].T.astype(np.float64) + state.get(f"{name}.bias", 0.0)
                if name in self._of.places:
                    values = np.maximum(values, 0.0)
                    mask, to = clamped.get(name, (np.zeros(values.shape[1], dtype=bool), 0.0))
                    values = np.where(mask, to, values)
                found.append(values)
        return found

    def _scores(self, outputs: list[np.ndarray]) -> Scores:
        targets, judged = self._of._targets, [self._judged(each) for each in outputs]
        with np.errstate(invalid="ignore"):
            rises = np.array([losses - self._intact for losses, _ in judged])
            error = rises.std(axis=1, ddof=1) / np.sqrt(rises.shape[1])
            by_class = [
                [self._mean(right[targets == c, None])[0] for c in range(self._of.classes)] for _, right in judged
            ]
        loss, score = (np.array([pair[i].mean() for pair in judged]) for i in range(2))
        return Scores(loss, score, np.reshape(by_class, (len(judged), self._of.classes)), error)

    def _judged(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Loss and score of each example."""
        targets = self._of._targets
        with np.errstate(invalid="ignore", over="ignore"):
            if not self._of.classes:
                return ((values - targets) ** 2).mean(axis=1), np.full(len(values), np.nan)
            shifted = values - values.max(axis=1, keepdims=True)
            losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(values)), targets]
        return losses, (values.argmax(axis=1) == targets).astype(np.float64)
