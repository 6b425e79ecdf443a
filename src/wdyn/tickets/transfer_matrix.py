"""Every ticket on every data set, beside each data set's own ticket and its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wdyn.errors import MisuseError
from wdyn.intervals import Interval, mean_interval, welch_interval
from wdyn.tickets.controls import run_controls
from wdyn.tickets.facts import Kind, TicketRun
from wdyn.tickets.making import SPARSE, MakeModel, Progress, Schedule, Train
from wdyn.tickets.search import Search
from wdyn.tickets.transfer import transfer


@dataclass(frozen=True)
class Site:
    """A data set: its search, and how networks are trained on it.

    Attributes:
        search: for its own ticket; the schedule and the sample are those that it was made with.
        make_model: see `find_ticket`.
        train: see `find_ticket`.
        schedule: see `find_ticket`.
        sample: see `find_ticket`.
    """

    search: Search
    make_model: MakeModel
    train: Train
    schedule: Schedule = SPARSE
    sample: tuple[Any, Any] | None = None


@dataclass(frozen=True)
class Cell:
    """One kind of network on one data set.

    Attributes:
        values: one for each seed.
        mean: their mean with its 95 % interval.
        lead: mean of the data set's own ticket minus that of these, with its 95 % interval; None for that ticket.
    """

    values: tuple[float, ...]
    mean: Interval
    lead: Interval | None


@dataclass(frozen=True)
class TransferMatrix:
    """Sources and controls against data sets.

    Attributes:
        names: of the data sets.
        round: how often all tickets were pruned.
        runs: (source or kind of control, data set) to the runs; a data set's own ticket has it as its source.
    """

    names: tuple[str, ...]
    round: int
    runs: Mapping[tuple[str, str], tuple[TicketRun, ...]]

    def cells(self, metric: str) -> dict[tuple[str, str], Cell]:
        """The matrix by one metric.

        Args:
            metric: a logged one; runs that lack it have no cell.

        Raises:
            MisuseError: no run has it.
        """
        values = {
            place: tuple(run.metrics[metric] for run in group)
            for place, group in self.runs.items()
            if all(metric in run.metrics for run in group)
        }
        if not values:
            known = sorted({name for group in self.runs.values() for run in group for name in run.metrics})
            raise MisuseError(f"no metric {metric!r}. Logged were: {', '.join(known)}.")
        own = {target: values[target, target] for target in self.names if (target, target) in values}
        return {
            (row, target): Cell(each, mean_interval(each), None if row == target else _lead(own.get(target), each))
            for (row, target), each in values.items()
        }


def transfer_matrix(
    sites: Mapping[str, Site],
    *,
    folder: str | Path,
    round: int | None = None,
    kinds: Sequence[Kind] = ("reinitialised", "random_mask", "shuffled", "dense"),
    seeds: int = 3,
    progress: Progress | None = None,
) -> TransferMatrix:
    """Train every data set's ticket on every data set, and each data set's controls on it.

    Resumable: runs that are done are not repeated. On the diagonal stands the data set's own ticket, trained again
    under other data seeds as a control of its search; transfers are in `<folder>/<source>-on-<data set>/`.

    Args:
        sites: name to data set, two or more.
        folder: of the transfers.
        round: of the tickets; the last that all searches have when omitted.
        kinds: which controls.
        seeds: how many trainings of each.
        progress: told what is being done and which fraction is done.

    Returns:
        The runs, ready to be compared.

    Raises:
        MisuseError: an argument cannot work, or a ticket fits a network nowhere.
        Exception: see `find_ticket`.
    """
    least = min((len(site.search.rounds) - 1 for site in sites.values()), default=0)
    number = least if round is None else round
    if len(sites) < 2 or not 1 <= number <= least:
        raise MisuseError(
            f"{len(sites)} searches with {least} rounds or more: give two or more and a round that all have."
        )
    tell = progress or (lambda label, fraction: None)
    runs: dict[tuple[str, str], tuple[TicketRun, ...]] = {}
    for done, (name, site) in enumerate(sites.items()):
        for at, (source, origin) in enumerate(sites.items()):
            tell(f"{source} on {name}", (done + at / len(sites)) / len(sites))
            if source == name:
                runs |= _own(name, site, number, kinds=kinds, seeds=seeds)
            else:
                where = Path(folder) / f"{source}-on-{name}"
                runs[source, name] = _carried(origin.search.rounds[number].file, site, where, seeds)
    tell("transfers", 1.0)
    return TransferMatrix(tuple(sites), number, runs)


def _own(
    name: str, site: Site, number: int, *, kinds: Sequence[Kind], seeds: int
) -> dict[tuple[str, str], tuple[TicketRun, ...]]:
    """The data set's own ticket, under its name, and its controls, under their kinds."""
    wanted: tuple[Kind, ...] = ("ticket", *(kind for kind in kinds if kind != "ticket"))
    controls = run_controls(
        site.search, site.make_model, site.train, rounds=[number], kinds=wanted, seeds=seeds, schedule=site.schedule,
        sample=site.sample,
    )  # fmt: skip
    return {
        (name if kind == "ticket" else kind, name): tuple(run for run in controls.runs if run.kind == kind)
        for kind in wanted
    }


def _carried(ticket: Path, site: Site, folder: Path, seeds: int) -> tuple[TicketRun, ...]:
    settings = site.search.settings
    return transfer(
        ticket, site.make_model, site.train, folder=folder, seed=settings.seed, seeds=seeds,
        early_stop=settings.early_stop, schedule=site.schedule, metadata=settings.metadata, sample=site.sample,
    ).runs  # fmt: skip


def _lead(own: tuple[float, ...] | None, others: tuple[float, ...]) -> Interval | None:
    return None if own is None else welch_interval(own, others)
