"""A ticket found on one data set, trained on another."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from wdyn.errors import MisuseError
from wdyn.record.inventory import take_inventory
from wdyn.store.reader import open_run
from wdyn.store.run import Run
from wdyn.tickets.facts import TICKET, TicketRun, reference, ticket_of, ticket_run
from wdyn.tickets.making import SPARSE, Experiment, MakeModel, Progress, Schedule, Start, Train, record_run
from wdyn.tickets.pruning import Array
from wdyn.tickets.rewind import Tensors, tensors_of
from wdyn.tickets.seeds import derived
from wdyn.tickets.workshop import Workshop

_OWN_SEEDS = 99  # sets the seeds of transfers apart from those of controls


@dataclass(frozen=True)
class Transfer:
    """A ticket's trainings on another data set.

    Attributes:
        folder: where they are.
        runs: one for each seed.
        fresh: parameters and buffers that the ticket did not bring, since it has none of such a name and shape.
    """

    folder: Path
    runs: tuple[TicketRun, ...]
    fresh: tuple[str, ...]


def transfer(
    ticket_file: str | Path,
    make_model: MakeModel,
    train: Train,
    *,
    folder: str | Path,
    seed: int = 0,
    seeds: int = 3,
    early_stop: str | None = None,
    schedule: Schedule = SPARSE,
    metadata: Mapping[str, Any] | None = None,
    sample: tuple[Any, Any] | None = None,
    progress: Progress | None = None,
) -> Transfer:
    """Train a ticket on data other than those it was found on.

    It brings its masks and its starting values, biases and buffers included, wherever the new network has a tensor of
    the same name and shape. Where it has none, as in the output layer for another number of classes, the new network's
    own fresh start is trained whole; `metadata["ticket"]["found_on"]["fresh"]` names these tensors. The optimizer
    starts fresh, and a `train` with a parameter `start` is given the step that the ticket was rewound to.

    Args:
        ticket_file: a run of a search, not the dense one.
        make_model: gives the network for the new data.
        train: as for `find_ticket`, on the new data.
        folder: of the runs `round-KK-transferred-seedS.h5`; one for each ticket. Runs that are done are not repeated.
        seed: from which those of fresh tensors and of the trainings are made.
        seeds: how many trainings, from 1.
        early_stop: see `find_ticket`.
        schedule: see `find_ticket`.
        metadata: see `find_ticket`.
        sample: see `find_ticket`.
        progress: told what is being done and which fraction is done.

    Returns:
        The runs.

    Raises:
        MisuseError: an argument cannot work, no masked layer fits, the file is a control's, or the folder holds runs of
            another ticket or made otherwise.
        RunFileError: the file cannot be read or is not of a search.
        Exception: see `find_ticket`.
    """
    if seeds < 1:
        raise MisuseError(f"seeds={seeds!r} leaves nothing to train.")
    experiment = Experiment(make_model, train, schedule, sample, dict(metadata or {}), early_stop)
    tell = progress or (lambda label, fraction: None)
    with Workshop(Path(folder)) as shop, open_run(ticket_file) as found:
        work = _Work(shop, experiment, _Luggage(found, experiment.model(seed)), seed)
        runs = []
        for number in range(1, seeds + 1):
            tell(f"transfer, seed {number}", (number - 1) / seeds)
            runs.append(work.obtain(number))
    tell("transfer", 1.0)
    return Transfer(shop.folder, tuple(runs), work.luggage.fresh)


class _Luggage:
    """What a ticket brings to a network.

    Attributes:
        ticket: the facts of the ticket's run.
        run_id: of that run.
        file: absolute path of it.
        dataset: name of the data it was found on, or None.
        tensors: name to starting values that fit.
        masks: name to mask that fits.
        fresh: names that it does not bring.
    """

    def __init__(self, run: Run, model: nn.Module) -> None:
        self.ticket, self.run_id, self.file = ticket_of(run), run.meta["run_id"], Path(os.path.abspath(run.path))
        if self.ticket["kind"] not in ("ticket", "transferred", "dense"):  # a dense one masks nothing, as is said below
            raise MisuseError(
                f"{run.path}: is a control ({self.ticket['kind']}), whose mask or start was found on no data. Give the "
                "ticket's own run."
            )
        found_on = self.ticket.get("found_on") or {}  # a ticket that was carried before was found where it first was
        self.dataset = found_on.get("dataset") if found_on else run.meta["metadata"].get("dataset")
        places = take_inventory(model).places
        shapes = {name: tuple(place.tensor().shape) for name, place in places.items()}
        start = tensors_of(run, 0)
        fits = {name for name, tensor in start.items() if shapes.get(name) == tuple(tensor.shape)}
        masks = run.masks(0)
        self.tensors: Tensors = {name: tensor for name, tensor in start.items() if name in fits}
        self.masks: Mapping[str, Array] = {name: mask for name, mask in masks.items() if name in fits}
        self.fresh = tuple(name for name in shapes if name not in fits)
        if not self.masks:
            raise MisuseError(
                f"{run.path}: no mask of it fits the new network. It masks {_shapes(masks) or 'nothing'}; the network "
                f"has {', '.join(f'{name} {shape}' for name, shape in shapes.items())}."
            )


class _Work:
    def __init__(self, shop: Workshop, experiment: Experiment, luggage: _Luggage, seed: int) -> None:
        self.luggage = luggage
        self._shop, self._experiment, self._seed = shop, experiment, seed
        self._program: Any = True  # of the first, for those that follow

    def obtain(self, number: int) -> TicketRun:
        name = f"round-{self.luggage.ticket['round']:02}-transferred-seed{number}.h5"
        path = self._shop.folder / name
        made = not path.exists()
        if made:
            path = self._shop.bench / name
            mine = self.luggage
            start = Start(str(mine.file), mine.tensors, mine.ticket.get("rewind_to") or 0)
            facts = self._facts(number)
            record_run(path, self._experiment, facts, masks=mine.masks, start=start, program=self._program)
        with open_run(path) as run:
            self._check(run, number)
            self._program = run.program or False
            found = ticket_run(run, self._shop.folder / name, self._experiment.early_stop)
        if made:
            self._shop.publish(name)
        return found

    def _facts(self, number: int) -> dict[str, Any]:
        mine, round_ = self.luggage, self.luggage.ticket["round"]
        masked = {name: each for name, each in mine.ticket["total"].items() if name in mine.tensors}
        kept = {name: int(mine.masks[name].sum()) if name in mine.masks else each for name, each in masked.items()}
        return mine.ticket | {
            "kind": "transferred",
            "seed": derived(self._seed, round_, _OWN_SEEDS, number, 1),
            "data_seed": derived(self._seed, round_, _OWN_SEEDS, number),
            "start": reference(self._relative(mine.file), 0, mine.run_id),
            "mask_from": self._seen_from_here(mine.ticket.get("mask_from")),
            "total": masked,
            "kept": kept,
            "found_on": {
                "dataset": mine.dataset,
                "file": self._relative(mine.file),
                "run_id": mine.run_id,
                "fresh": list(mine.fresh),
            },
        }

    def _seen_from_here(self, named: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if named is None:
            return None
        return {**named, "file": self._relative(self.luggage.file.parent / named["file"])}

    def _relative(self, file: Path) -> str:
        return Path(os.path.relpath(file, self._shop.folder)).as_posix()

    def _check(self, run: Run, number: int) -> None:
        said = ticket_of(run)
        found_on = said.get("found_on", {})
        if found_on.get("run_id") != self.luggage.run_id:
            raise MisuseError(
                f"{run.path}: is of another ticket ({found_on.get('file')}), not of {self.luggage.file}. Give another "
                "folder."
            )
        own = {name: value for name, value in run.meta["metadata"].items() if name != TICKET}
        facts, wanted = self._facts(number), json.loads(json.dumps(dict(self._experiment.metadata)))
        for name, there, asked in (
            ("metadata", own, wanted), *((name, said.get(name), facts[name]) for name in ("seed", "data_seed", "total"))
        ):  # fmt: skip
            if there != asked:
                raise MisuseError(
                    f"{run.path}: was trained with {name}={there!r}, not {asked!r}. Give the same, or another folder."
                )


def _shapes(arrays: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
