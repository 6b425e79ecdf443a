"""Proves from its file that a run is the ticket it claims to be, or says which promise broke, where and when."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wdyn.errors import DamagedError, RunFileError
from wdyn.store.reader import open_run
from wdyn.store.run import Run
from wdyn.tickets._audit_case import At, Case, case_of
from wdyn.tickets._audit_choice import check_choice
from wdyn.tickets._audit_counts import check_counts, check_kept
from wdyn.tickets._audit_mask import TicketMask, check_mask, check_sparse, check_zeros, mask_of
from wdyn.tickets._audit_promise import Promise, Status, Violation, unchecked
from wdyn.tickets._audit_start import check_start
from wdyn.tickets.ladder import Rates

__all__ = ["Audit", "Promise", "Status", "Violation", "audit"]

PROMISES = ("sparse", "mask", "zeros", "start", "counts", "choice", "kept")


@dataclass(frozen=True)
class Audit:
    """What is proved of a ticket.

    Attributes:
        path: of the run.
        kind: what the run says it is; empty where it says nothing.
        promises: one each, in the order of `PROMISES`.
    """

    path: Path
    kind: str
    promises: tuple[Promise, ...]

    @property
    def good(self) -> bool:
        """Whether no promise is broken and nothing that was looked at is damaged."""
        return not any(each.status == "broken" or each.damage for each in self.promises)

    def __getitem__(self, name: str) -> Promise:
        """One promise by name."""
        return next(each for each in self.promises if each.name == name)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, the file by its name."""
        promises = {each.name: {k: v for k, v in asdict(each).items() if k != "name"} for each in self.promises}
        return {"file": self.path.name, "kind": self.kind, "good": self.good, "promises": promises}

    def __str__(self) -> str:
        many = [sum(each.status == status for each in self.promises) for status in ("held", "broken", "not checked")]
        head = f"{self.path}: {many[0]} promises held, {many[1]} broken, {many[2]} not checked"
        return "\n".join([head, *(f"{each.status:12} {each.name:7} {each.text}" for each in self.promises)])


def audit(
    run: Run | str | os.PathLike[str],
    *,
    start: At | None = None,
    parent: At | None = None,
    rates: Rates | None = None,
    round: int | None = None,
    progress: Callable[[float], object] | None = None,
) -> Audit:
    """Check what a ticket promises against the recorded steps; a run of any origin will do.

    - `sparse`: weights are pruned at all.
    - `mask`: the recorded masks are there from the first step and never change.
    - `zeros`: what is pruned is exactly zero as the forward pass used it, at every recorded step.
    - `start`: survivors, biases, norms and buffers start to the bit as they should; those of a reinitialised control do
      not, and those of a shuffled one have the same values at other places.
    - `counts`: as many are left, layer by layer (or in all, or by whole units), as `wdyn.tickets.ladder.kept` says.
    - `choice`: the mask is what the trained weights of the round before give by the criterion, and keeps nothing that
      was pruned already. It goes by the mask's own counts, so that a wrong count does not break it too.
    - `kept`: the numbers in the metadata are those of the mask.

    Without recorded masks, the exact zeros of parameters of two axes or more stand for them: at the first recorded
    step, or where there are few or the whole parameter is zero, at the second; fewer than 1 % of one are no mask.

    Args:
        run: a run, or the path of one. It is read a few steps at a time.
        start: another run, or its path, and the step that survivors start from; from the metadata when omitted.
        parent: the same for the trained weights that gave the mask.
        rates: share that goes in each round, one for all or globs to rates; from the metadata when omitted.
        round: how often it was pruned; from the metadata when omitted.
        progress: called with the share of the work done.

    Returns:
        Each promise: held, broken with place and number, or not checked with what would be needed.

    Raises:
        RunFileError: a file is no run, is damaged as a whole, or holds no step. Damage of some steps does not end the
            audit: what could not be read is not checked.
        NotFoundError: there is no such step to start from.
        MisuseError: the metadata or a rate make no sense.
    """
    with ExitStack() as stack:
        opened = run if isinstance(run, Run) else stack.enter_context(open_run(run))
        if not len(opened.steps):
            raise RunFileError(f"{opened.path}: no step was recorded, so there is nothing to audit.")
        case = case_of(opened, stack, start=start, parent=parent, rates=rates, round=round)
        return Audit(opened.path, case.kind or "", _promises(opened, case, stack, progress or (lambda done: None)))


def _promises(run: Run, case: Case, stack: ExitStack, progress: Callable[[float], object]) -> tuple[Promise, ...]:
    try:
        mask = mask_of(run)
    except DamagedError as error:
        return tuple(
            Promise(name, "not checked", f"the mask is not known: {error}", (), (str(error),)) for name in PROMISES
        )
    checks: dict[str, Callable[[], Promise]] = {
        "sparse": lambda: check_sparse(run, mask, case.kind, case.total),
        "mask": lambda: _if_any(mask, "mask", lambda: check_mask(run, mask)),
        "zeros": lambda: check_zeros(run, mask, progress),
        "start": lambda: _if_any(mask, "start", lambda: check_start(run, mask, case, stack)),
        "counts": lambda: check_counts(run, mask, case),
        "choice": lambda: check_choice(run, mask, case),
        "kept": lambda: check_kept(run, mask, case),
    }
    return tuple(checks[name]() for name in PROMISES)


def _if_any(mask: TicketMask, name: str, check: Callable[[], Promise]) -> Promise:
    return check() if mask.masks else unchecked(name, "there is no mask.")
