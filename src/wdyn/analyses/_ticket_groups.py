"""Runs of searches in groups: what was trained, after how many rounds, on which data, and how it scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._ticket_origins import Lineage, lineage_of, origins_of, search_names
from wdyn.analyses._ticket_runs import metadata_of, ticket_facts
from wdyn.intervals import Interval, mean_interval, welch_interval

if TYPE_CHECKING:
    from wdyn.store.run import Run

ACCURACIES = ("test_accuracy", "val_accuracy", "accuracy")  # tickets are chosen by validation and judged by test data
LOSSES = ("test_loss", "val_loss", "loss")
UNKNOWN = "data not named"


class Trained(NamedTuple):
    """A run of a search, as its metadata describes it.

    Attributes:
        name: of the run.
        search: name of its search, told apart from others.
        origin: what tells searches apart, see `_ticket_origins`.
        lineage: where it says it comes from.
        kind: dense, ticket, a control or transferred.
        round: rounds of pruning.
        dataset: what it was trained on.
        found_on: what its mask was found on.
        density: parameter to share of its weights that is left.
        scores: name of a metric to the last value logged up to where the search stopped, as far as it was logged.
        early_stop: the metric whose lowest value stopped it; empty where it ran to its end.
    """

    name: str
    search: str
    origin: str
    lineage: Lineage
    kind: str
    round: int
    dataset: str
    found_on: str
    density: dict[str, float]
    scores: dict[str, float]
    early_stop: str


class Compared(NamedTuple):
    """One kind of run by one metric.

    Attributes:
        search, dataset, round, kind, metric: what.
        seeds: how many.
        mean: over the seeds.
        lead: mean of the ticket minus this one.
        verdict: in words.
    """

    search: str
    dataset: str
    round: int
    kind: str
    metric: str
    seeds: int
    mean: Interval
    lead: Interval
    verdict: str


class Cell(NamedTuple):
    """Tickets found on one data set and trained on another, `seeds` of them."""

    round: int
    found_on: str
    dataset: str
    metric: str
    seeds: int
    mean: Interval


def trained(run: Run, name: str) -> Trained | None:
    """What a run says of itself; None for one of no search."""
    facts = ticket_facts(run)
    if not isinstance(facts.get("kind"), str) or not isinstance(facts.get("round"), int):
        return None
    dataset = str(metadata_of(run).get("dataset") or UNKNOWN)
    origin = facts.get("found_on")
    found_on = origin.get("dataset") if isinstance(origin, Mapping) else origin
    if not found_on:
        found_on = UNKNOWN if facts["kind"] == "transferred" else dataset
    return Trained(
        name, "", "", lineage_of(run), facts["kind"], facts["round"], dataset, str(found_on),
        _density(facts), *_scores(run, facts.get("early_stop")),
    )  # fmt: skip


def told_apart(runs: Sequence[Trained]) -> list[Trained]:
    """The same, each with its search."""
    origins = origins_of([each.lineage for each in runs])
    names = search_names(origins, [each.lineage.folder for each in runs])
    return [each._replace(search=names[origin], origin=origin) for each, origin in zip(runs, origins, strict=True)]


def compared(runs: Sequence[Trained]) -> list[Compared]:
    """Tickets and their controls of one search, data set and round, by each metric; dense networks with each."""
    found = []
    for search, dataset, number in dict.fromkeys((e.search, e.dataset, e.round) for e in runs if e.kind == "ticket"):
        peers = [e for e in runs if (e.search, e.dataset) == (search, dataset)]
        groups: dict[str, list[Trained]] = {"ticket": []}
        for each in peers:
            if each.kind != "transferred" and (each.round == number or each.kind == "dense"):
                groups.setdefault(each.kind, []).append(each)
        for metric in metrics_of([each for group in groups.values() for each in group]):
            own = _values(groups["ticket"], metric)
            for kind, group in groups.items():
                values = _values(group, metric)
                if np.isfinite(values).any():
                    lead = Interval(np.nan, np.nan, np.nan) if kind == "ticket" else welch_interval(own, values)
                    found.append(
                        Compared(
                            search, dataset, number, kind, metric, int(np.isfinite(values).sum()),
                            mean_interval(values), lead, "" if kind == "ticket" else _verdict(lead, metric, kind),
                        )
                    )  # fmt: skip
    return found


def transfer_cells(runs: Sequence[Trained]) -> list[Cell]:
    """Tickets at home and elsewhere, for each round after which some were transferred; those of one search together."""
    cells = []
    for number in dict.fromkeys(each.round for each in runs if each.kind == "transferred"):
        those = [each for each in runs if each.round == number and each.kind in ("ticket", "transferred")]
        finders = {(each.found_on, each.search) for each in those}
        for found_on, search, dataset in dict.fromkeys((each.found_on, each.search, each.dataset) for each in those):
            group = [e for e in those if (e.found_on, e.search, e.dataset) == (found_on, search, dataset)]
            several = sum(each == found_on for each, _ in finders) > 1
            for metric in metrics_of(group):
                values = _values(group, metric)
                count = int(np.isfinite(values).sum())
                cells.append(
                    Cell(
                        number,
                        f"{found_on}, {search}" if several else found_on,
                        dataset,
                        metric,
                        count,
                        mean_interval(values),
                    )
                )
    return cells


def metrics_of(runs: Sequence[Trained]) -> list[str]:
    """One accuracy and one loss by which all runs can be compared.

    Of test, validation and plain ones the first that all of them logged, else the first that any did.
    """
    found = []
    for names in (ACCURACIES, LOSSES):
        logged = [[name in each.scores for each in runs] for name in names]
        best = [name for name, those in zip(names, logged, strict=True) if all(those)]
        best += [name for name, those in zip(names, logged, strict=True) if any(those)]
        found += best[:1]
    return found


def what_is_compared(runs: Sequence[Trained], used: Sequence[str]) -> list[str]:
    """Sentences on the metrics that count and on the moment at which.

    Args:
        runs: all.
        used: metrics of the comparisons.
    """
    names = f"{', '.join(ACCURACIES)}, {', '.join(LOSSES)}"
    if not any(each.scores for each in runs):
        return [f"Nothing is compared: no run logged any of {names}"]
    lacking = [f"{each.name} logged none of {names}" for each in runs if not each.scores]
    if not used:
        return lacking
    stops = sorted({each.early_stop for each in runs} - {""})
    where = f" up to where {' or '.join(stops)} was lowest, the early stop of the search, else of all" if stops else ""
    return [f"Compared by {', '.join(used)}: the last value logged{where}, never the best over time", *lacking]


def _density(facts: Mapping[str, Any]) -> dict[str, float]:
    total, kept = facts.get("total"), facts.get("kept")
    if not isinstance(total, Mapping) or not isinstance(kept, Mapping):
        return {}
    return {str(name): kept[name] / count for name, count in total.items() if name in kept and count}


def _scores(run: Run, early_stop: Any) -> tuple[dict[str, float], str]:
    stop, found = _stopped(run, early_stop), dict[str, float]()
    for name in (*ACCURACIES, *LOSSES):
        if name in run.metrics:
            values = run.metrics[name].values[run.metrics[name].steps <= stop]
            found |= {name: float(values[-1])} if len(values) else {}
    return found, str(early_stop) if stop < run.steps[-1] else ""


def _stopped(run: Run, early_stop: Any) -> float:
    """The step whose weights count: the recorded one after 0 with the lowest value, the first of several; else no end.

    As `wdyn.tickets.facts.trained_step` has it, which is out of reach here.
    """
    metric = run.metrics.get(early_stop) if isinstance(early_stop, str) else None
    if metric is None:
        return np.inf
    usable = np.isin(metric.steps, run.steps) & (metric.steps > 0) & ~np.isnan(metric.values)
    return int(metric.steps[usable][np.argmin(metric.values[usable])]) if usable.any() else np.inf


def _values(runs: Sequence[Trained], metric: str) -> Array:
    return np.array([each.scores.get(metric, np.nan) for each in runs], dtype=np.float64)


def _verdict(lead: Interval, metric: str, kind: str) -> str:
    if not np.isfinite(lead.low):
        return "too few seeds for an interval"
    if lead.low <= 0 <= lead.high:
        return f"not told apart from {kind}"
    better = (lead.value > 0) == (metric in ACCURACIES)
    return f"the ticket is {'better' if better else 'worse'} than {kind}"
