"""A run that lies in memory, for tests of the analyses: the part of `wdyn.store.run.Run` that they use."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping

import numpy as np

from wdyn.store.run import Layer, Metric


class MemoryRun:
    """`weights` maps a layer's name to its (S, N, D) history; `block` steps are handed out at a time."""

    name = "memory"
    sample = None

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        steps: np.ndarray | None = None,
        metrics: Mapping[str, Metric] | None = None,
        block: int = 3,
    ) -> None:
        self._weights = dict(weights)
        count = len(next(iter(self._weights.values()))) if self._weights else 0
        self.steps = np.arange(count) if steps is None else np.asarray(steps, dtype=np.int64)
        self.metrics = dict(metrics or {})
        self._block = block
        self.layers = {
            name: Layer(name, f"{name}.weight", *history.shape[1:], 0, 0, 1, "Linear", None)
            for name, history in self._weights.items()
        }

    def neurons(self, layer: str, step: int) -> np.ndarray:
        return self._weights[layer][list(self.steps).index(step)]

    def blocks(self, layer: str) -> Iterator[tuple[int, np.ndarray]]:
        for at in range(0, len(self.steps), self._block):
            yield at, self._weights[layer][at : at + self._block]

    def select(self, *, layers: str | None = None, steps: slice | list[int] | None = None) -> MemoryRun:
        kept = {name: history for name, history in self._weights.items() if fnmatch.fnmatch(name, layers or "*")}
        at = np.arange(len(self.steps))
        if steps is not None:
            at = at[steps] if isinstance(steps, slice) else np.searchsorted(self.steps, steps)
        return MemoryRun(
            {name: history[at] for name, history in kept.items()}, self.steps[at], self.metrics, self._block
        )
