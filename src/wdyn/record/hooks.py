"""Notice the updates of torch optimizers: once for each finished `step()`, nested ones not counted twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
        self._running: list[int] = []
        self._handles = [
            register_optimizer_step_pre_hook(self._begin),
            register_optimizer_step_post_hook(self._end),
        ]

    def detach(self) -> None:
        """Remove the hooks; further calls do nothing."""
        while self._handles:
            self._handles.pop().remove()

    def _begin(self, optimizer: Optimizer, *_: Any) -> None:
        if not self._owns(optimizer):
            return
        self._before()
        if self._only is None or optimizer is self._only:
            self._leave(optimizer)  # still there if its last step raised
            self._running.append(id(optimizer))

    def _end(self, optimizer: Optimizer, *_: Any) -> None:
        if self._leave(optimizer) and not self._running:
            self._after(optimizer)

    def _leave(self, optimizer: Optimizer) -> bool:
        if id(optimizer) not in self._running:
            return False
        del self._running[self._running.index(id(optimizer)) :]
        return True


def was_skipped(optimizer: Optimizer) -> bool:
    """Whether a fused optimizer left the weights alone because GradScaler found an infinite gradient.

    GradScaler does not call other optimizers at all then; a fused one it calls, with `found_inf` set for the call.
    """
    found = getattr(optimizer, "found_inf", None)
    return found is not None and float(found) > 0
