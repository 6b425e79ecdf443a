"""What a run of a search says of itself: the JSON object `ticket` in its metadata, written and read here alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wdyn.errors import NotFoundError, RunFileError
from wdyn.store.run import Run
from wdyn.tickets.pruning import Array, Pruning, Targets

Kind = Literal["dense", "ticket", "reinitialised", "random_mask", "shuffled", "transferred"]
TICKET = "ticket"


@dataclass(frozen=True)
class TicketRun:
    """One recorded run of a search.

    Attributes:
        file: the run file.
        run_id: of the recording.
        kind: what was trained.
        round: how often it was pruned; 0 is the dense network.
        seed: make_model ran under it.
        data_seed: the training ran under it.
        step: the step whose weights count as trained: the last, or where an early stop would have stopped.
        metrics: name to the last value logged up to that step.
        total: parameter to its number of weights, of those that pruning may take.
        kept: parameter to how many of them are left.
    """

    file: Path
    run_id: str
    kind: Kind
    round: int
    seed: int
    data_seed: int
    step: int
    metrics: Mapping[str, float]
    total: Mapping[str, int]
    kept: Mapping[str, int]

    @property
    def density(self) -> float:
        """Share of the weights that pruning may take which is left, in [0, 1]."""
        return sum(self.kept.values()) / max(sum(self.total.values()), 1)

    @property
    def reference(self) -> dict[str, Any]:
        """How another run of the same folder names this one at its trained step."""
        return reference(self.file.name, self.step, self.run_id)


def reference(file: str, step: int, run_id: str) -> dict[str, Any]:
    """A step of a run, as the metadata of another names it; the file is relative to the other's folder."""
    return {"file": file, "step": step, "run_id": run_id}


def ticket_facts(
    pruning: Pruning, targets: Targets, masks: Mapping[str, Array], *, kind: Kind, number: int, seed: int,
    data_seed: int, rewind_to: int, start: Mapping[str, Any] | None, mask_from: Mapping[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    """The JSON object `ticket`.

    Args:
        pruning: how weights are chosen.
        targets: the parameters that are pruned.
        masks: name to mask; what has none is whole.
        kind: see TicketRun.
        number: of rounds.
        seed: see TicketRun.
        data_seed: see TicketRun.
        rewind_to: the step of the dense run that survivors start from.
        start: reference to where the starting values come from, or None.
        mask_from: reference to the trained weights that gave the mask, or None.
    """
    return {
        "kind": kind,
        "round": number,
        "seed": seed,
        "data_seed": data_seed,
        "rates": {name: target.rate for name, target in targets.items()},  # order of globs would be lost in the file
        "criterion": pruning.criterion,
        "scope": pruning.scope,
        "structured": pruning.structured,
        "one_shot": pruning.one_shot,
        "rewind_to": rewind_to,
        "start": start,
        "mask_from": mask_from,
        "total": {name: target.total for name, target in targets.items()},
        "kept": {name: int(masks[name].sum()) if name in masks else each.total for name, each in targets.items()},
    }


def ticket_of(run: Run) -> dict[str, Any]:
    """The JSON object `ticket` of a run.

    Raises:
        RunFileError: it has none.
    """
    found = run.meta["metadata"].get(TICKET)
    if not isinstance(found, dict) or not {"kind", "round", "total", "kept"} <= found.keys():
        raise RunFileError(f"{run.path}: was not made by a search for tickets. Give a run of wdyn.tickets.find_ticket.")
    return found


def ticket_run(run: Run, file: Path, early_stop: str | None) -> TicketRun:
    """What a run of a search says of itself.

    Args:
        run: open.
        file: where it stands, or will stand once it is packed.
        early_stop: name of the metric whose lowest value says when training stopped.

    Raises:
        RunFileError: the run was not made by a search.
        NotFoundError: the metric was not logged.
    """
    ticket = ticket_of(run)
    step = trained_step(run, early_stop)
    logged = {name: metric.values[metric.steps <= step] for name, metric in run.metrics.items()}
    return TicketRun(
        file=file, run_id=run.meta["run_id"], kind=ticket["kind"], round=ticket["round"], seed=ticket["seed"],
        data_seed=ticket["data_seed"], step=step, total=ticket["total"], kept=ticket["kept"],
        metrics={name: float(values[-1]) for name, values in logged.items() if len(values)},
    )  # fmt: skip


def trained_step(run: Run, early_stop: str | None) -> int:
    """The step whose weights count as trained.

    Args:
        run: open.
        early_stop: None for the last recorded step; or the name of a metric: the recorded step after 0 where it was
            lowest, the first of several.

    Raises:
        NotFoundError: the metric was not logged, or is nowhere a number.
    """
    if early_stop is None:
        return int(run.steps[-1])
    metric = run.metrics.get(early_stop)
    if metric is None:
        logged = ", ".join(run.metrics) or "nothing"
        raise NotFoundError(f"{run.path}: early_stop={early_stop!r} was not logged. train() logged: {logged}.")
    usable = np.isin(metric.steps, run.steps) & (metric.steps > 0) & ~np.isnan(metric.values)
    if not usable.any():
        raise NotFoundError(f"{run.path}: early_stop={early_stop!r} was at no recorded step a number.")
    return int(metric.steps[usable][np.argmin(metric.values[usable])])
