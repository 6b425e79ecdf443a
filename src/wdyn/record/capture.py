"""The model as it is at one moment, copied; and what may have happened to it before training began."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from wdyn.journal.schema import TensorSpec
from wdyn.record.snapshot import Buffer, Pool, Snapshot


class Captured(NamedTuple):
    """The values in a buffer, and the pruning masks that hold."""

    buffer: Buffer
    masks: dict[str, Tensor]


class Camera:
    """Takes the captures, and follows a model through changes that leave its tensors the same.

    Attributes:
        pool: where a capture's buffer goes back to.
        settles_later: whether `settle` returns the initial weights even where they are those of the first capture.
    """

    def __init__(self, model: nn.Module, snapshot: Snapshot) -> None:
        """Keep a capture of the initial weights until training begins."""
        self._model, self._snapshot, self.settles_later = model, snapshot, False
        self.pool = Pool(snapshot.tensors, snapshot.dtypes)
        self._initial: Captured | None = self.capture()
        self._owned: frozenset[int] = frozenset()

    @property
    def initial(self) -> Captured | None:
        """The capture of the initial weights, until training begins."""
        return self._initial

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """What a capture holds, in order."""
        return self._snapshot.tensors

    @property
    def sharded(self) -> bool:
        """Whether all processes must capture together."""
        return self._snapshot.sharded

    @property
    def step_bytes(self) -> int:
        """Bytes of a capture."""
        return sum(spec.nbytes for spec in self.tensors)

    def arrange(self, tensors: Sequence[TensorSpec]) -> None:
        """Lay captures out in the order of a run's tensors; before any was handed over.

        Raises:
            ModelChangedError: the model has other tensors.
        """
        views = {spec.name: i for i, spec in enumerate(self.tensors)}
        self._snapshot.arrange(tensors)
        assert self._initial is not None
        before, self.pool = self._initial, Pool(self._snapshot.tensors, self._snapshot.dtypes)
        before.buffer.wait()
        buffer = self.pool.take(wait=True, pinned=self._snapshot.on_cuda)
        assert buffer is not None  # a new pool has one
        for spec, view in zip(self.tensors, buffer.views, strict=True):
            view.copy_(before.buffer.views[views[spec.name]])
        self._initial = Captured(buffer, before.masks)

    def capture(self) -> Captured:
        """Copy the model, waiting for a buffer where all are in use.

        Raises:
            ModelChangedError: its tensors are not the run's any more.
        """
        captured = self.try_capture(wait=True)
        assert captured is not None  # it waited for a buffer
        return captured

    def try_capture(self, *, wait: bool) -> Captured | None:
        """`capture`, or None where no buffer is free and `wait` is False."""
        # where tensors are gathered, no process may leave a step out
        buffer = self.pool.take(wait=wait or self.sharded, pinned=self._snapshot.on_cuda)
        if buffer is None:
            return None
        try:
            if not self._snapshot.copy(buffer):
                self._snapshot = self._snapshot.retaken(same_parameters=True)
                self._snapshot.copy(buffer)
            return Captured(buffer, self._snapshot.masks())
        except BaseException:
            self.pool.give(buffer)
            raise

    def settle(self, *, updated: bool) -> Captured | None:
        """Once, at the first step: weights may have been loaded, moved or initialised since the Recorder was made.

        Args:
            updated: whether the first update is over, so that the initial weights can no longer be seen.

        Returns:
            The initial weights where they are not those of the first capture, or were to be settled now.

        Raises:
            ModelChangedError: the model has other tensors now.
        """
        if self._initial is None:
            return None
        initial, self._initial = self._initial, None
        now: Captured | None = None
        try:
            self._snapshot = self._snapshot.retaken(same_parameters=False)
            self._owned = self._parameters()
            now = None if updated else self.capture()
            if now is not None and self._same_weights(initial, now):
                self.pool.give(now.buffer)
                now = None
            if now is None and self.settles_later:
                now = initial
            return now
        finally:
            if now is not initial:
                self.pool.give(initial.buffer)

    def check(self) -> None:
        """Look for a change that no hook saw, since a model replaced as a whole trains with an optimizer not its own.

        Raises:
            ModelChangedError: its tensors are not the run's any more.
        """
        if not self._snapshot.is_current():
            self._snapshot = self._snapshot.retaken(same_parameters=self._initial is None)

    def unrecorded(self) -> list[str]:
        """Parameters that the model did not have when recording began, and that would have been recorded."""
        return self._snapshot.newcomers()

    def trained_by(self, optimizer: Optimizer) -> bool:
        """Whether an optimizer owns a parameter of the model."""
        owned = self._owned if self._initial is None else self._parameters()
        for group in optimizer.param_groups:  # asked twice in each update, so without a generator
            for parameter in group["params"]:
                if id(parameter) in owned:
                    return True
        return False

    def _parameters(self) -> frozenset[int]:
        return frozenset(id(parameter) for parameter in self._model.parameters())

    def _same_weights(self, some: Captured, others: Captured) -> bool:
        """Buffers aside: the first forward pass, not the user, has changed them."""
        some.buffer.wait()
        others.buffer.wait()
        weights = [i for i, spec in enumerate(self._snapshot.tensors) if spec.role == "weight"]
        return (
            some.masks.keys() == others.masks.keys()
            and all(torch.equal(some.buffer.views[i], others.buffer.views[i]) for i in weights)
            and all(torch.equal(mask, others.masks[name]) for name, mask in some.masks.items())
        )
