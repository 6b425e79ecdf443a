"""The Recorder of a search: it keeps the steps that the search needs, whatever the schedule says of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from wdyn.record.facts import single_number
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import Schedule, describe
from wdyn.tickets.optimizer_state import State, remembered


class RoundRecorder(Recorder):
    """Keeps more steps than the schedule, and leaves its journal for the search to pack.

    These are a step named beforehand, each that has the lowest value so far of a watched metric, and the last.

    Attributes:
        memory: what the optimizers remembered after the step named beforehand.
    """

    def __init__(
        self,
        model: nn.Module,
        path: Path,
        *,
        schedule: Callable[[int], bool],
        step: int,
        remember: bool,
        watch: str | None,
        sample: tuple[Any, Any] | None,
        metadata: Mapping[str, Any],
        program: bool | Mapping[str, Any],
    ) -> None:
        """Record the initial weights and attach.

        Args:
            model: see Recorder.
            path: see Recorder.
            schedule: see Recorder.
            step: a step to keep; 0 asks for none besides the first.
            remember: take the optimizers' state at that step.
            watch: name of the metric whose lowest value counts.
            sample: see Recorder.
            metadata: see Recorder.
            program: see Recorder.
        """
        self._step, self._remember, self._watch = step, remember and step > 0, watch
        self._recorded, self._lowest = 0, math.inf
        self._model, self._trained_with, self.memory = model, dict[int, Optimizer](), State()
        super().__init__(
            model, path, schedule=_with(schedule, step), sample=sample, metadata=metadata, program=program
        )  # fmt: skip

    def log(self, /, **scalars: Any) -> None:
        """Record scalars at the current step; see Recorder."""
        super().log(**scalars)
        self._guarded(lambda: self._keep_if_lowest(scalars))

    def _keep_if_lowest(self, scalars: Mapping[str, Any]) -> None:
        if self._watch is not None and self._watch in scalars and self.step_count:  # the start is not trained
            value = single_number(scalars[self._watch])
            if value < self._lowest:
                self._lowest = value
                self._keep()

    def _keep(self) -> None:
        if self.step_count > self._recorded:
            self._record()

    def _record(self) -> None:
        super()._record()
        self._recorded = self.step_count

    def _after(self, optimizer: Optimizer) -> None:
        super()._after(optimizer)
        if self._remember and self._active and self.step_count <= self._step:
            self._trained_with[id(optimizer)] = optimizer
            if self.step_count == self._step:
                for each in self._trained_with.values():
                    self.memory |= remembered(self._model, each)

    def _close(self, *, failed: bool) -> None:
        if not failed:
            self._guarded(self._keep)
        super()._close(failed=failed)

    def _pack(self) -> None:
        """Left to the search, which goes on meanwhile."""


def _with(schedule: Callable[[int], bool], step: int) -> Callable[[int], bool]:
    """The schedule, and a step besides."""
    if step == 0 or schedule(step):
        return schedule
    return Schedule(f"{describe(schedule)} and step {step}", lambda now: now == step or bool(schedule(now)))
