"""Notice the updates of torch optimizers: once for each finished `step()`, nested ones not counted twice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook


class OptimizerHooks:
    """Calls back before and after each update.

    An optimizer that steps another one inside its own step (sharpness-aware and look-ahead wrappers, sharded
    optimizers) makes one update, finished when the outer step is.
    """

    def __init__(
        self,
        optimizer: Optimizer | None,
        *,
        owns: Callable[[Optimizer], bool],
        before: Callable[[], None],
        after: Callable[[Optimizer], None],
    ) -> None:
        """Attach.

        Args:
            optimizer: the only one whose updates count; None for every optimizer that `owns` accepts.
            owns: whether an optimizer trains the recorded model.
            before: called when any of these begins an update.
            after: called when one that counts has finished. None of the three may raise.
        """
        self._only, self._owns, self._before, self._after = optimizer, owns, before, after
        self._running: list[_Call] = []  # outermost first
        # a compiled loop runs the hooks as they are: Dynamo would warn of what it finds in them
        disable: Callable[..., Any] = torch.compiler.disable
        self._handles = [
            register_optimizer_step_pre_hook(disable(self._begin)),
            register_optimizer_step_post_hook(disable(self._end)),
        ]

    def detach(self) -> None:
        """Remove the hooks; further calls do nothing."""
        while self._handles:
            self._handles.pop().remove()

    def _begin(self, optimizer: Optimizer, *_: Any) -> None:
        if not self._owns(optimizer):
            return
        self._before()
        if self._only is not None and optimizer is not self._only:
            return
        frame = _step_of(sys._getframe(1))
        if self._running:  # of these, a step that raised is on the stack no more
            around = set(_calls(frame.f_back))
            self._running = [call for call in self._running if call in around]
        self._running.append(_call(frame))

    def _end(self, optimizer: Optimizer, *_: Any) -> None:
        own = _call(_step_of(sys._getframe(1)))
        if own in self._running:
            del self._running[self._running.index(own) :]
            if not self._running:
                self._after(optimizer)


# Of the Python call that runs an optimizer's step. Not the frame itself: where the step raised, it would keep
# everything alive that the loop let go of. Its number may come again, but hardly for another call of the same code.
_Call = tuple[int, CodeType]


def _step_of(frame: FrameType | None) -> FrameType:
    """The call that runs a hook; torch.compiler.disable puts its own in between."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith("torch._dynamo"):
        frame = frame.f_back
    assert frame is not None  # torch runs hooks from within the step
    return frame


def _call(frame: FrameType) -> _Call:
    return id(frame), frame.f_code


def _calls(frame: FrameType | None) -> Iterator[_Call]:
    """The calls on the stack, innermost first."""
    while frame is not None:
        yield _call(frame)
        frame = frame.f_back


def was_skipped(optimizer: Optimizer) -> bool:
    """Whether a fused optimizer left the weights alone because GradScaler found an infinite gradient.

    GradScaler does not call other optimizers at all then; a fused one it calls, with `found_inf` set for the call.
    """
    found = getattr(optimizer, "found_inf", None)
    return found is not None and float(found) > 0
