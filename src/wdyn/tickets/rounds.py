"""The rounds of a search, each made from the ones before it or read where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wdyn.errors import MisuseError, RunFileError
from wdyn.store.reader import open_run
from wdyn.store.run import Run
from wdyn.tickets.facts import TicketRun, reference, ticket_facts, ticket_of, ticket_run
from wdyn.tickets.making import FROM_SCRATCH, Experiment, Start, record_run
from wdyn.tickets.optimizer_state import State, load_state, save_state
from wdyn.tickets.pruning import Array, Targets, choose_masks
from wdyn.tickets.rewind import tensors_of
from wdyn.tickets.seeds import derived
from wdyn.tickets.settings import Settings
from wdyn.tickets.workshop import Workshop

MEMORY = "round-00-optimizer.npz"


def file_name(number: int) -> str:
    """Of the run of a round."""
    return f"round-{number:02}.h5"


@dataclass(frozen=True)
class Trained:
    """What a round leaves to the next.

    Attributes:
        facts: of its run.
        weights: name to values at its trained step.
        start: name to values at its step 0.
        alive: name to its mask.
    """

    facts: TicketRun
    weights: Mapping[str, Array]
    start: Mapping[str, Array]
    alive: Mapping[str, Array]


@dataclass(frozen=True)
class Origin:
    """What the dense run leaves to all that start from it.

    Attributes:
        reference: of the step that survivors go back to, for the metadata.
        start: that step.
        program: the forward pass, or False where it could not be exported.
    """

    reference: Mapping[str, Any]
    start: Start
    program: bool | Mapping[str, Any]


class Rounds:
    """Gives the rounds in order, from 0 on."""

    def __init__(self, shop: Workshop, experiment: Experiment, settings: Settings, targets: Targets) -> None:
        """Nothing is made or read yet.

        Args:
            shop: the folder.
            experiment: the user's functions.
            settings: of the search.
            targets: the parameters that it prunes.
        """
        self._shop, self._experiment, self._settings, self._targets = shop, experiment, settings, targets
        self._origin: Origin | None = None  # of round 0, from the moment it is needed
        self._trained: dict[int, Trained] = {}  # of the round that the next mask comes from
        self._done: list[TicketRun] = []

    def obtain(self, number: int) -> TicketRun:
        """A round: read where it stands, else made.

        Args:
            number: one more than the last time, from 0.

        Raises:
            RunFileError: its file is not of this search.
            MisuseError: it is of another network than make_model() gives.
            Exception: whatever the user's functions raise.
        """
        if (self._shop.folder / file_name(number)).exists():
            with open_run(self._shop.folder / file_name(number)) as run:
                self._check_fits(run)
                facts = self._facts(run)
                check_chain(run, self._done)
        else:
            facts = self._make(number)
        self._done.append(facts)
        return facts

    def _make(self, number: int) -> TicketRun:
        masks, mask_from = self._masks(number) if number else ({}, None)
        origin = self.origin() if number else Origin({}, FROM_SCRATCH, True)
        ticket = ticket_facts(
            self._settings.pruning, self._targets, masks, kind="ticket" if number else "dense", number=number,
            seed=self._settings.seed, data_seed=derived(self._settings.seed, number),
            rewind_to=self._settings.rewind_to, start=origin.reference or None, mask_from=mask_from,
        )  # fmt: skip
        path, dense = self._shop.bench / file_name(number), number == 0
        memory = record_run(
            path, self._experiment, ticket, masks=masks, start=origin.start, program=origin.program,
            step=self._settings.rewind_to if dense else 0, remember=dense and self._settings.remembers,
        )  # fmt: skip
        if memory:
            save_state(self._shop.bench / MEMORY, memory)
        with open_run(path) as run:
            facts = self._facts(run)
            if dense:
                self._origin = origin_of(run, self._settings, memory)
            self._keep(run, facts)
        self._shop.publish(file_name(number), *([MEMORY] if memory else []))
        return facts

    def _masks(self, number: int) -> tuple[dict[str, Array], dict[str, Any]]:
        giver = 0 if self._settings.pruning.one_shot else number - 1
        if giver not in self._trained:
            with open_run(self._done[giver].file) as run:
                self._keep(run, self._done[giver])
        trained = self._trained[giver]
        masks = choose_masks(
            self._targets, self._settings.pruning, number, trained=trained.weights, start=trained.start,
            alive=trained.alive, rng=np.random.default_rng([self._settings.seed, number]),
        )  # fmt: skip
        return masks, trained.facts.reference

    def origin(self) -> Origin:
        """What all but the dense run start from."""
        if self._origin is None:
            folder = self._shop.folder
            memory = load_state(folder / MEMORY) if self._settings.remembers else {}
            with open_run(folder / file_name(0)) as run:
                self._check_fits(run)
                self._origin = origin_of(run, self._settings, memory)
        return self._origin

    def _check_fits(self, run: Run) -> None:
        """See that a run is of the network that make_model() gives now."""
        shapes = {name: tuple(spec.shape) for name, spec in run.parameters.items()}
        for name, target in self._targets.items():
            if shapes.get(name) != target.shape:
                has = f"with shape {shapes[name]}" if name in shapes else "nowhere"
                raise MisuseError(
                    f"{run.path}: {name} was recorded {has}, but make_model() gives a model with one of shape "
                    f"{target.shape}. It must make the same network each time."
                )

    def _facts(self, run: Run) -> TicketRun:
        return ticket_run(run, self._shop.folder / run.path.name, self._settings.early_stop)

    def _keep(self, run: Run, facts: TicketRun) -> None:
        """Of one-shot pruning all masks come from round 0, else each from the one before."""
        if self._settings.pruning.one_shot and facts.round:
            return
        masks, names = run.masks(facts.step), list(self._targets)
        whole = {name: np.ones(target.shape, np.bool_) for name, target in self._targets.items()}
        self._trained = {
            facts.round: Trained(facts, run.state(facts.step, names, masked=False),
                                 run.state(0, names, masked=False), {**whole, **masks})
        }  # fmt: skip


def origin_of(run: Run, settings: Settings, memory: State) -> Origin:
    """What a dense run leaves to those that start from it.

    Args:
        run: the dense run, open.
        settings: of the search.
        memory: what its optimizers remembered at the step to go back to.

    Raises:
        NotFoundError: that step was not recorded.
    """
    step = settings.rewind_to
    start = Start(file_name(0), tensors_of(run, step), step, memory)
    return Origin(reference(file_name(0), step, run.meta["run_id"]), start, run.program or False)


def check_chain(run: Run, before: list[TicketRun]) -> None:
    """See that a run comes from the runs beside it.

    Raises:
        RunFileError: it was made from others of the same names.
    """
    ids = {each.file.name: each.run_id for each in before}
    for role in ("start", "mask_from"):
        named = ticket_of(run).get(role)
        if named is not None and ids.get(named["file"]) != named["run_id"]:
            raise RunFileError(
                f"{run.path}: was made from another {named['file']} than the one beside it. Move it away, and what "
                "follows it, to have them made again."
            )


def standing(folder: Path, settings: Settings) -> tuple[TicketRun, ...]:
    """The rounds of a search as far as they are done, from 0 on without a break.

    Raises:
        RunFileError: a file is not whole or not of this search.
    """
    found: list[TicketRun] = []
    while (path := folder / file_name(len(found))).exists():
        with open_run(path) as run:
            check_chain(run, found)
            found.append(ticket_run(run, path, settings.early_stop))
    return tuple(found)
