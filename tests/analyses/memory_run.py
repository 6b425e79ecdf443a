"""A run that lies in memory, for tests of the analyses: the part of `wdyn.store.run.Run` that they use."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from wdyn.journal.schema import TensorSpec
from wdyn.store.run import Layer, Metric


class MemoryRun:
    """`weights` maps a layer's name to its (S, N, D) history, `biases` to (S, N); `block` steps come at a time."""

    name = "memory"
    path = Path("memory.h5")
    sample = program = None
    condition = "recording"  # so nothing of it is kept in the cache

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        steps: np.ndarray | None = None,
        metrics: Mapping[str, Metric] | None = None,
        block: int = 3,
        biases: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self._weights, self._biases = dict(weights), dict(biases or {})
        count = len(next(iter(self._weights.values()))) if self._weights else 0
        self.steps = np.arange(count) if steps is None else np.asarray(steps, dtype=np.int64)
        self.metrics = dict(metrics or {})
        self._block = block
        self.layers = {
            name: Layer(
                name, f"{name}.weight", *history.shape[1:], 0, 0, 1, "Linear",
                f"{name}.bias" if name in self._biases else None,
            )
            for name, history in self._weights.items()
        }  # fmt: skip
        self.parameters = {
            f"{name}.weight": TensorSpec(f"{name}.weight", "weight", history.dtype.name, history.shape[1:])
            for name, history in self._weights.items()
        }
        self.meta = {"layers": [layer._asdict() for layer in self.layers.values()]}

    def neurons(self, layer: str, step: int) -> np.ndarray:
        return self._weights[layer][list(self.steps).index(step)]

    def blocks(self, layer: str, *, bias: bool = False) -> Iterator[tuple[int, np.ndarray]]:
        history = self._weights[layer]
        if bias and layer in self._biases:
            history = np.concatenate([history, self._biases[layer][..., None]], axis=-1)
        for at in range(0, len(self.steps), self._block):
            yield at, history[at : at + self._block]

    def select(self, *, layers: str | None = None, steps: slice | list[int] | None = None) -> MemoryRun:
        kept = {name: history for name, history in self._weights.items() if fnmatch.fnmatch(name, layers or "*")}
        at = np.arange(len(self.steps))
        if steps is not None:
            at = at[steps] if isinstance(steps, slice) else np.searchsorted(self.steps, steps)
        biases = {name: history[at] for name, history in self._biases.items() if name in kept}
        chosen = type(self)(
            {name: history[at] for name, history in kept.items()}, self.steps[at], self.metrics, self._block, biases
        )
        chosen.meta = self.meta
        return chosen
