"""A ticket beside its controls: the same training from other starts or under other masks, with several seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wdyn.errors import MisuseError
from wdyn.intervals import Interval, mean_interval, welch_interval
from wdyn.store.reader import open_run
from wdyn.tickets import control_starts
from wdyn.tickets.control_starts import Vary
from wdyn.tickets.facts import Kind, TicketRun, ticket_facts, ticket_of, ticket_run
from wdyn.tickets.making import SPARSE, Experiment, MakeModel, Progress, Schedule, Train, record_run
from wdyn.tickets.pruning import Array, Targets, targets_of
from wdyn.tickets.rounds import Rounds, check_chain
from wdyn.tickets.search import Search
from wdyn.tickets.seeds import derived
from wdyn.tickets.settings import agree, settings_of
from wdyn.tickets.workshop import Workshop

KINDS: dict[Kind, Vary] = {
    "ticket": control_starts.ticket,
    "reinitialised": control_starts.reinitialised,
    "random_mask": control_starts.random_mask,
    "shuffled": control_starts.shuffled,
    "dense": control_starts.dense,
}


@dataclass(frozen=True)
class Comparison:
    """One kind of run after one number of rounds, by one metric.

    Attributes:
        round: how often the ticket was pruned.
        kind: what was trained.
        metric: what was measured.
        values: one for each seed.
        mean: their mean with its 95 % interval.
        lead: mean of the ticket's values minus that of these, with its 95 % interval; None for the ticket itself, or
            where it was not run.
    """

    round: int
    kind: Kind
    metric: str
    values: tuple[float, ...]
    mean: Interval
    lead: Interval | None


@dataclass(frozen=True)
class Controls:
    """The controls of a search.

    Attributes:
        folder: of the search, where their runs are too.
        runs: all of them.
        comparisons: by round, kind and metric. The dense network does not depend on the round, and is run once and
            compared with each.
    """

    folder: Path
    runs: tuple[TicketRun, ...]
    comparisons: tuple[Comparison, ...]


def run_controls(
    search: Search,
    make_model: MakeModel,
    train: Train,
    *,
    rounds: Sequence[int] | None = None,
    kinds: Sequence[Kind] = tuple(KINDS),
    seeds: int = 3,
    schedule: Schedule = SPARSE,
    sample: tuple[Any, Any] | None = None,
    progress: Progress | None = None,
) -> Controls:
    """Train a ticket's controls, each a recorded run beside it, and compare.

    Resumable as the search is: runs that are done are read, not repeated. `ticket` has the mask and the start of the
    round and another data order; `reinitialised` the same mask on a network drawn anew under another seed;
    `random_mask` as many survivors per layer at random places; `shuffled` the survivors moved, with their values, to
    random places of their layer; `dense` no mask. Those drawn anew and the dense ones train their whole
    schedule, the others from `rewind_to` on where `train` has a parameter `start`.

    Args:
        search: from `find_ticket` or `open_search`.
        make_model: as for the search.
        train: as for the search.
        rounds: which tickets, from 1; the last when omitted.
        kinds: which controls.
        seeds: how many runs of each, from 1; intervals need 2.
        schedule: as for the search.
        sample: as for the search.
        progress: told what is being done and which fraction is done.

    Returns:
        Runs and comparisons. Intervals are for one comparison each; of twenty, one misses its mark by chance.

    Raises:
        MisuseError: there is no such kind or round, or the arguments are not those of the search.
        RunExistsError: another process is at work in the folder.
        Exception: see `find_ticket`.
    """
    chosen = [len(search.rounds) - 1] if rounds is None else sorted(set(rounds))
    _check(search, chosen, kinds, seeds)
    settings = search.settings
    experiment = Experiment(make_model, train, schedule, sample, settings.metadata, settings.early_stop)
    orders = [(number, kind, seed) for number, kind in _pairs(chosen, kinds) for seed in range(1, seeds + 1)]
    tell = progress or (lambda label, fraction: None)
    with Workshop(search.folder) as shop:
        agree(shop, settings_of(settings.pruning, experiment, rewind_to=settings.rewind_to,
                                optimizer_state=settings.optimizer_state, seed=settings.seed, rounds=1))  # fmt: skip
        work = _Work(shop, experiment, search)
        runs = []
        for done, (number, kind, seed) in enumerate(orders):
            tell(f"round {number}, {kind}, seed {seed}", done / len(orders))
            runs.append(work.obtain(number, kind, seed))
    tell("controls", 1.0)
    return Controls(search.folder, tuple(runs), tuple(compare(runs, chosen)))


def compare(runs: Sequence[TicketRun], rounds: Sequence[int]) -> list[Comparison]:
    """Runs of one kind after one number of rounds, together, by each metric that all of them have.

    Args:
        runs: those of several seeds.
        rounds: numbers of rounds; dense runs, of round 0, are compared with each.
    """
    found: list[Comparison] = []
    for number in rounds:
        groups: dict[Kind, list[TicketRun]] = {}
        for run in runs:
            if run.round == number or run.kind == "dense":
                groups.setdefault(run.kind, []).append(run)
        for kind, group in groups.items():
            for metric in [each for each in group[0].metrics if all(each in run.metrics for run in group)]:
                values = [run.metrics[metric] for run in group]
                own = [run.metrics[metric] for run in groups.get("ticket", []) if metric in run.metrics]
                lead = welch_interval(own, values) if own and kind != "ticket" else None
                found.append(Comparison(number, kind, metric, tuple(values), mean_interval(values), lead))
    return found


class _Work:
    """Makes or reads the runs one by one."""

    def __init__(self, shop: Workshop, experiment: Experiment, search: Search) -> None:
        self._shop, self._experiment, self._search = shop, experiment, search
        self._targets: Targets = targets_of(experiment.model(search.settings.seed), search.settings.pruning)
        self._origin = Rounds(shop, experiment, search.settings, self._targets).origin()
        self._masks: dict[int, dict[str, Array]] = {}

    def obtain(self, number: int, kind: Kind, seed: int) -> TicketRun:
        path = self._shop.folder / f"round-{number:02}-{kind}-seed{seed}.h5"
        if not path.exists():
            return self._make(number, kind, seed, path.name)
        with open_run(path) as run:
            check_chain(run, list(self._search.rounds))
            return self._facts(run)

    def _make(self, number: int, kind: Kind, seed: int, name: str) -> TicketRun:
        own, place = self._search.settings.seed, list(KINDS).index(kind)
        mine, start = KINDS[kind](
            self._mask(number), self._origin.start, self._targets, np.random.default_rng([own, number, place, seed])
        )
        ticket = ticket_facts(
            self._search.settings.pruning, self._targets, mine, kind=kind, number=number,
            seed=derived(own, number, place, seed, 1) if kind == "reinitialised" else own,
            data_seed=derived(own, number, place, seed), rewind_to=self._search.settings.rewind_to,
            start=self._origin.reference if start.tensors else None, mask_from=self._mask_from(number),
        )  # fmt: skip
        path = self._shop.bench / name
        record_run(path, self._experiment, ticket, masks=mine, start=start, program=self._origin.program)
        with open_run(path) as run:
            facts = self._facts(run)
        self._shop.publish(name)
        return facts

    def _mask(self, number: int) -> Mapping[str, Array]:
        if number and number not in self._masks:
            with open_run(self._search.rounds[number].file) as run:
                whole = {name: np.ones(target.shape, np.bool_) for name, target in self._targets.items()}
                self._masks[number] = {**whole, **run.masks(0)}
        return self._masks.get(number, {})

    def _mask_from(self, number: int) -> dict[str, Any] | None:
        """The run that gave the ticket its mask, for the controls that have it, or as many survivors, moved or not."""
        if not number:
            return None
        with open_run(self._search.rounds[number].file) as run:
            found: dict[str, Any] = ticket_of(run)["mask_from"]
        return found

    def _facts(self, run: Any) -> TicketRun:
        return ticket_run(run, self._shop.folder / run.path.name, self._experiment.early_stop)


def _pairs(rounds: Iterable[int], kinds: Sequence[Kind]) -> list[tuple[int, Kind]]:
    masked: list[tuple[int, Kind]] = [(number, kind) for number in rounds for kind in kinds if kind != "dense"]
    return masked + ([(0, "dense")] if "dense" in kinds else [])


def _check(search: Search, rounds: Sequence[int], kinds: Sequence[Kind], seeds: int) -> None:
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise MisuseError(f"no control {unknown[0]!r}. There are: {', '.join(KINDS)}.")
    if not kinds or seeds < 1:
        raise MisuseError(f"kinds={kinds!r} and seeds={seeds!r} leave nothing to train.")
    if wrong := [number for number in rounds if not 1 <= number < len(search.rounds)]:
        raise MisuseError(
            f"{search.folder}: no ticket of round {wrong[0]}. It has rounds 1 to {len(search.rounds) - 1}."
        )
