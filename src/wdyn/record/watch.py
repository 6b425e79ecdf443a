"""One line for each update of a training: what it came to, as a fingerprint, and how long it took."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from wdyn.record.fingerprint import Fingerprint, Parts
from wdyn.record.hooks import OptimizerHooks, was_skipped

Line = dict[str, Any]  # whatever JSON can hold


class Watch:
    """Looks at trainings after each update, in the way that a Recorder counts them.

    The first updates are compared: each line has a fingerprint. Of those that follow only the time is taken, since
    taking a fingerprint gives the Recorder's thread time to write, which it has not where a training runs on.

    Attributes:
        updates: seen so far, of all trainings.
    """

    def __init__(
        self,
        write: Callable[[Line], None],
        *,
        compared: float = float("inf"),
        done: Callable[[str], None] | None = None,
    ) -> None:
        """Begin with nothing to look at.

        Args:
            write: takes the lines.
            compared: how many updates to compare; as many again are timed.
            done: called with the reason when all were seen, or when one could not be looked at.
        """
        self._write, self._compared, self._done = write, compared, done or (lambda _: None)
        self._followed: list[Followed] = []
        self._since: float | None = None
        self.updates = 0

    def follow(
        self,
        model: nn.Module,
        optimizer: Optimizer | None = None,
        *,
        counted: Callable[[], None] = lambda: None,
        extra: Callable[[], Parts] = dict,
    ) -> Followed:
        """Look at a model after each update from now on, and once now.

        Args:
            model: as it is given to a Recorder, which must have attached its hooks before, so that the time that these
                take falls into what is measured.
            optimizer: the only one that counts.
            counted: called at each update.
            extra: gives parts of the fingerprint that only the caller can see.
        """
        followed = Followed(self, model, optimizer, counted=counted, extra=extra)
        self._followed.append(followed)
        self._write({"update": 0, "seen": followed.take()})
        self._since = None
        return followed

    def end(self, reason: str) -> None:
        """Look once more, now also for hooks; to be called when the Recorder is closed."""
        for followed in self._followed:
            followed.hooks.detach()
            self._write({"update": followed.count, "end": reason, "seen": followed.take(hooks=True)})

    def see(self, followed: Followed) -> None:
        """Write the line of an update that has just finished."""
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
        # from the end of the last look to the beginning of this one: the loop and the hooks of the Recorder, which come
        # before ours, but neither the fingerprint nor the line
        seconds = None if self._since is None else time.perf_counter() - self._since
        self.updates += 1
        line: Line = {"update": followed.count, "seconds": seconds}
        if self.updates <= self._compared:
            line["seen"] = followed.take()
        self._write(line)
        if self.updates >= 2 * self._compared:
            self._done("updates")
        self._since = time.perf_counter()

    def fail(self, error: Exception) -> None:
        """Say that an update could not be looked at; the training does not see it."""
        self._write({"error": f"{type(error).__name__}: {error}"})
        self._done("error")


class Followed:
    """One model that is looked at.

    Attributes:
        count: its updates.
        hooks: tell of them.
    """

    def __init__(
        self,
        watch: Watch,
        model: nn.Module,
        optimizer: Optimizer | None,
        *,
        counted: Callable[[], None],
        extra: Callable[[], Parts],
    ) -> None:
        """Attach; the arguments are those of `Watch.follow`."""
        self._watch, self._model, self._counted, self._extra = watch, model, counted, extra
        self._fingerprint = Fingerprint(model)
        self.count, self._counted_by, self._pid = 0, "", os.getpid()
        self.hooks = OptimizerHooks(optimizer, owns=self._owns, before=lambda: None, after=self._after)

    def step(self) -> None:
        """Count one update, as `Recorder.step` does."""
        self._count("step")

    def take(self, *, hooks: bool = False) -> Parts:
        """The fingerprint, with what the caller adds."""
        return self._fingerprint.take(hooks=hooks) | self._extra()

    def _owns(self, optimizer: Optimizer) -> bool:
        owned = {id(parameter) for parameter in self._model.parameters()}
        if not any(id(parameter) in owned for group in optimizer.param_groups for parameter in group["params"]):
            return False
        self._fingerprint.add(optimizer)
        return True

    def _after(self, optimizer: Optimizer) -> None:
        if not was_skipped(optimizer):
            self._count("optimizer")

    def _count(self, source: str) -> None:
        self._counted_by = self._counted_by or source
        if source != self._counted_by or os.getpid() != self._pid:  # a forked child is not looked at
            return
        self.count += 1
        self._counted()
        try:
            self._watch.see(self)
        except Exception as error:
            self._watch.fail(error)
