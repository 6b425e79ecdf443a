"""Searches for tickets: how sparse each round is, how tickets do against their controls, and on other data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._charts import Array, Chart, HeatMap, Lines, Table
from wdyn.analyses._runs import distinct_names
from wdyn.analyses._spec import Analysis, Result, measured
from wdyn.analyses._ticket_groups import (
    ACCURACIES,
    LOSSES,
    Cell,
    Compared,
    Trained,
    compared,
    told_apart,
    trained,
    transfer_cells,
    what_is_compared,
)  # fmt: skip
from wdyn.analyses._ticket_runs import ticket_facts
from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.store.run import Run


@dataclass(frozen=True)
class TicketScores(Result):
    """What the logged metrics say of R runs of searches; no weight is read.

    Attributes:
        trained: the runs as their metadata describes them.
        comparisons: tickets and controls, C of them.
        cells: of the transfer matrix.
        notes: by what was compared, and which runs were left out.
        scores: metric to the score of each run, see `_ticket_groups`; NaN where it was not logged.
        density: share of the weights left of each run that pruning may take; NaN where unknown.
        mean: of each comparison, over its seeds.
        mean_low, mean_high: ends of its 95 % interval (Student); NaN for a single seed.
        lead: mean of the ticket minus that of the control; NaN for the ticket itself.
        lead_low, lead_high: ends of its 95 % interval (Welch).
        transfer: mean of each cell of the transfer matrix.
        transfer_low, transfer_high: ends of its 95 % interval.
    """

    trained: tuple[Trained, ...]
    comparisons: tuple[Compared, ...]
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]
    scores: dict[str, Array] = measured("metric", "index")
    density: Array = measured("index")
    mean: Array = measured("index")
    mean_low: Array = measured("index")
    mean_high: Array = measured("index")
    lead: Array = measured("index")
    lead_low: Array = measured("index")
    lead_high: Array = measured("index")
    transfer: Array = measured("index")
    transfer_low: Array = measured("index")
    transfer_high: Array = measured("index")


def compute(runs: Sequence[Run]) -> TicketScores:
    """Sort the runs of searches into groups and compare what they logged.

    Args:
        runs: those with `ticket` in their metadata count. Each comparison is by one accuracy and one loss, of test
            data before validation data, at the step of the early stop or the last.

    Returns:
        All numbers.

    Raises:
        MisuseError: none of them is of a search.
    """
    named = list(zip(runs, distinct_names(runs), strict=True))
    found = [(run, described) for run, name in named if (described := trained(run, name)) is not None]
    if not found:
        raise MisuseError(
            "No run says which search for tickets it belongs to. Give runs that `wdyn lottery` or "
            "`wdyn.tickets.find_ticket` made."
        )
    mine = told_apart([each for _, each in found])
    kinds, cells = compared(mine), transfer_cells(mine)
    used = list(dict.fromkeys([*(each.metric for each in kinds), *(each.metric for each in cells)]))
    logged = [name for name in (*ACCURACIES, *LOSSES) if any(name in each.scores for each in mine)]
    left = [name for run, name in named if all(run is not each for each, _ in found)]
    return TicketScores(
        run=" and ".join(each.name for each in mine), steps=np.array([run.steps[-1] for run, _ in found]), layers=(),
        trained=tuple(mine), comparisons=tuple(kinds), cells=tuple(cells),
        notes=(*what_is_compared(mine, used), *(f"{name} is of no search" for name in left)),
        scores={m: np.array([each.scores.get(m, np.nan) for each in mine]) for m in logged},
        density=np.array([_overall(run) for run, _ in found]),
        **_columns("mean", [each.mean for each in kinds]), **_columns("lead", [each.lead for each in kinds]),
        **_columns("transfer", [each.mean for each in cells]),
    )  # fmt: skip


def _overall(run: Run) -> float:
    facts = ticket_facts(run)
    try:
        return float(sum(facts["kept"].values()) / sum(facts["total"].values()))
    except (KeyError, AttributeError, TypeError, ZeroDivisionError):  # metadata may hold anything
        return np.nan


def _columns(name: str, intervals: Sequence[tuple[float, float, float]]) -> dict[str, Array]:
    values = np.array(intervals, dtype=np.float64).reshape(-1, 3).T
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def charts(result: TicketScores) -> list[Chart]:
    """What to know, the ladder of each search, scores by round, the transfer matrix, and tables."""
    found: list[Chart] = [Table("What to know of these scores", {"note": list(result.notes)})] if result.notes else []
    found += [*_ladders(result), *_by_round(result), *_transfer(result)]
    if result.comparisons:
        found.append(_controls(result))
    return [*found, _runs(result)]


def _ladders(result: TicketScores) -> list[Chart]:
    charts: list[Chart] = []
    for search in dict.fromkeys(each.search for each in result.trained):
        rounds = {e.round: e.density for e in result.trained if e.search == search and e.kind in ("dense", "ticket")}
        x = np.array(sorted(rounds))
        parameters = dict.fromkeys(name for density in rounds.values() for name in density)
        if len(x) > 1 and parameters:
            y = {p.removesuffix(".weight"): np.array([rounds[n].get(p, np.nan) for n in x]) for p in parameters}
            title = f"Density after each round of {search}"
            charts.append(Lines(title, x, y, "round", "share of weights kept", y_scale="log"))
    return charts


def _by_round(result: TicketScores) -> list[Chart]:
    """Mean of each kind against the round, with its interval, where there are several rounds."""
    charts: list[Chart] = []
    for search, dataset, metric in dict.fromkeys((e.search, e.dataset, e.metric) for e in result.comparisons):
        those = [e for e in result.comparisons if (e.search, e.dataset, e.metric) == (search, dataset, metric)]
        x = np.array(sorted({each.round for each in those}))
        if len(x) < 2:
            continue
        y, bands = {}, {}
        for kind in dict.fromkeys(each.kind for each in those):
            means = {each.round: each.mean for each in those if each.kind == kind}
            rows = np.array([means.get(n, (np.nan,) * 3) for n in x], dtype=np.float64)
            y[kind] = rows[:, 0]
            if np.isfinite(rows[:, 1]).any():
                bands[kind] = rows[:, 1], rows[:, 2]
        title = f"{metric} of {search} on {dataset}"
        charts.append(Lines(title, x, y, "round", metric, bands=bands, band_label="95 % of the mean over seeds"))
    return charts


def _transfer(result: TicketScores) -> list[Chart]:
    charts: list[Chart] = []
    for number, metric in dict.fromkeys((each.round, each.metric) for each in result.cells):
        cells = {(c.found_on, c.dataset): c.mean.value for c in result.cells if (c.round, c.metric) == (number, metric)}
        rows, columns = (list(dict.fromkeys(pair[i] for pair in cells)) for i in (0, 1))
        values = np.array([[cells.get((row, column), np.nan) for column in columns] for row in rows])
        base, words = _level(cells, columns, values)
        charts.append(
            HeatMap(
                f"Transfer of tickets after round {number}", np.arange(len(columns)), values, rows, "trained on",
                "found on", metric, columns=columns, base=base, base_label=words,
            )
        )  # fmt: skip
    if result.cells:
        charts.append(_transfer_table(result))
    return charts


def _level(cells: dict[tuple[str, str], float], columns: list[str], values: Array) -> tuple[Array, str]:
    """What tickets from elsewhere are held against on each data set: easy and hard ones have levels of their own."""
    own = np.array([cells.get((column, column), np.nan) for column in columns], dtype=np.float64)
    if np.isfinite(own).all():
        return own, "that of the ticket found on the same data"
    known = np.isfinite(values)
    total, count = np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0)
    return np.divide(total, count, out=np.full(len(columns), np.nan), where=count > 0), "the mean of its column"


def _transfer_table(result: TicketScores) -> Table:
    columns: dict[str, list[object]] = {
        "round": [each.round for each in result.cells],
        "found on": [each.found_on for each in result.cells],
        "trained on": [each.dataset for each in result.cells],
        "metric": [each.metric for each in result.cells],
        "runs": [each.seeds for each in result.cells],
    }
    return Table("Transfer of tickets", columns | _interval_columns("mean", [each.mean for each in result.cells]))


def _controls(result: TicketScores) -> Table:
    several = len({(each.search, each.dataset) for each in result.comparisons}) > 1
    columns: dict[str, list[object]] = {}
    if several:
        columns["search"] = [f"{each.search}, {each.dataset}" for each in result.comparisons]
    columns |= {
        "round": [each.round for each in result.comparisons],
        "metric": [each.metric for each in result.comparisons],
        "trained": [each.kind for each in result.comparisons],
        "seeds": [each.seeds for each in result.comparisons],
    }
    columns |= _interval_columns("mean", [each.mean for each in result.comparisons])
    columns |= _interval_columns("ticket minus this", [each.lead for each in result.comparisons])
    columns["verdict"] = [each.verdict for each in result.comparisons]
    return Table("Tickets against their controls", columns)


def _interval_columns(name: str, intervals: Sequence[tuple[float, float, float]]) -> dict[str, list[object]]:
    headings = (name, f"{name}, 95 % from", f"{name}, to")
    return {heading: [each[i] for each in intervals] for i, heading in enumerate(headings)}


def _runs(result: TicketScores) -> Table:
    columns: dict[str, list[object]] = {
        "run": [each.name for each in result.trained],
        "kind": [each.kind for each in result.trained],
        "round": [each.round for each in result.trained],
        "trained on": [each.dataset for each in result.trained],
        "found on": [each.found_on for each in result.trained],
        "density": result.density.tolist(),
    }
    columns |= {metric: values.tolist() for metric, values in result.scores.items()}
    return Table("Runs of the searches", columns)


ANALYSIS = Analysis(
    title="Searches: density, controls and transfer",
    compute=compute,
    charts=charts,
    takes="runs",
    needs=frozenset(),
    reading=(
        "A ticket counts for something where it beats the same mask with new weights, random masks of the same size "
        "and shuffled survivors, over seeds and not once. Intervals hold 95 % (Student 1908; of differences: Welch "
        "1947) and are no answer to many questions at once. Rows of the transfer matrix are the data that a ticket was "
        "found on, columns the data it was trained on. Controls after Frankle and Carbin, The lottery ticket "
        "hypothesis (2019)."
    ),
)
