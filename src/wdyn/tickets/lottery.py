"""A user's experiment file → a search and its controls, and what to tell of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from wdyn.errors import MisuseError, WdynError
from wdyn.intervals import Interval
from wdyn.places import RUNS
from wdyn.replay.rebuild import file_module
from wdyn.tickets.controls import Comparison, Controls, run_controls
from wdyn.tickets.ladder import Rates
from wdyn.tickets.making import SPARSE, MakeModel, Progress, Schedule, Train
from wdyn.tickets.search import Search, find_ticket

_FEWEST = 2  # runs of each kind without which there is no interval


@dataclass(frozen=True)
class ExperimentFile:
    """What an experiment file defines, its data loaded.

    Attributes:
        name: of the file, without its ending.
        make_model: its `make_model`.
        train: its `train`, with the data bound to it.
        rate: its `RATE`, or 0.2.
        schedule: its `SCHEDULE`, or one of about a hundred steps.
        metadata: its `METADATA`, or nothing.
        sample: what its `make_sample(data)` gives, or None.
    """

    name: str
    make_model: MakeModel
    train: Train
    rate: Rates
    schedule: Schedule
    metadata: Mapping[str, Any]
    sample: tuple[Any, Any] | None


@dataclass(frozen=True)
class Lottery:
    """A search and its controls.

    Attributes:
        search: the search.
        controls: its controls, or None where none were asked for.
    """

    search: Search
    controls: Controls | None


def read_experiment(file: Path, data: Path | None = None) -> ExperimentFile:
    """Run an experiment file and load its data.

    Args:
        file: defines `make_model()`, `make_data()` or `make_data(path)`, and `train(model, data, recorder)`, with a
            further parameter `start` if it can go on from a step. May define `RATE`, `SCHEDULE`, `METADATA` and
            `make_sample(data)`.
        data: given to `make_data` if it takes a path.

    Raises:
        MisuseError: the file lacks one of the functions, takes no path or needs one, or its code fails.
    """
    if file.suffix != ".py" or not file.is_file():
        raise MisuseError(
            f"{file}: no Python file. It defines make_model(), make_data() and train(model, data, recorder)."
        )
    module = _guarded(file, "the file", partial(file_module, file))
    make_model, make_data, train = (_function(module, file, name) for name in ("make_model", "make_data", "train"))
    loaded = _guarded(file, "make_data", _data_maker(make_data, file, data))
    sample = getattr(module, "make_sample", None)
    return ExperimentFile(
        file.stem, make_model, _bound(train, loaded), getattr(module, "RATE", 0.2),
        getattr(module, "SCHEDULE", SPARSE), getattr(module, "METADATA", {}),
        None if sample is None else _guarded(file, "make_sample", partial(sample, loaded)),
    )  # fmt: skip


def run_lottery(
    experiment: ExperimentFile, *, folder: Path | None = None, controls: int = 0, rate: Rates | None = None,
    progress: Progress | None = None, **options: Any,
) -> Lottery:  # fmt: skip
    """Search for a ticket and run its controls.

    Args:
        experiment: from `read_experiment`.
        folder: of the search; `checkpoints/<name>-lottery` when omitted.
        controls: how many runs of each control; 0 for none.
        rate: see `find_ticket`; the experiment's own when omitted.
        progress: told what is being done and which fraction is done.
        options: further arguments of `find_ticket`.

    Raises:
        Exception: see `find_ticket` and `run_controls`.
    """
    search = find_ticket(
        experiment.make_model, experiment.train, folder=folder or RUNS / f"{experiment.name}-lottery",
        rate=experiment.rate if rate is None else rate, schedule=experiment.schedule, metadata=experiment.metadata,
        sample=experiment.sample, progress=progress, **options,
    )  # fmt: skip
    if not controls:
        return Lottery(search, None)
    return Lottery(
        search,
        run_controls(
            search, experiment.make_model, experiment.train, seeds=controls, schedule=experiment.schedule,
            sample=experiment.sample, progress=progress,
        ),
    )  # fmt: skip


def told(lottery: Lottery) -> str:
    """Tables of the rounds and of the controls, a verdict, and where the files are."""
    parts = [_table(_rounds(lottery.search))]
    if lottery.controls is None:
        parts.append("No controls were run. Without them a ticket shows nothing: --controls 3")
    else:
        parts += [_table(_controls(lottery.controls)), "\n".join(verdicts(lottery.controls))]
    return "\n\n".join([*parts, f"runs: {lottery.search.folder}"])


def verdicts(controls: Controls) -> list[str]:
    """One sentence for each control, by the first of the logged metrics that tells how good a network is.

    That is one whose name has `test` before others, then `val`, and an accuracy or score, good when large, before a
    loss, error or perplexity, good when small.
    """
    names = list(dict.fromkeys(each.metric for each in controls.comparisons))
    metric = min((name for name in names if _large(name) or _small(name)), key=_telling, default=None)
    if metric is None:
        logged = ", ".join(names) or "nothing that all runs of a kind have"
        return [f"No verdict: log an accuracy, score, loss, error or perplexity under such a name. Logged: {logged}."]
    found = [each for each in controls.comparisons if each.metric == metric and each.lead is not None]
    return [sentence for each in found for sentence in _verdict(each)]


def _large(metric: str) -> bool:
    return "acc" in metric or "score" in metric


def _small(metric: str) -> bool:
    return any(word in metric for word in ("loss", "error", "perplexity"))


def _telling(metric: str) -> tuple[int, bool]:
    return next((at for at, word in enumerate(("test", "val")) if word in metric), 2), not _large(metric)


def _verdict(found: Comparison) -> list[str]:
    if found.lead is None:
        return []
    kind = found.kind.replace("_", " ")
    if len(found.values) < _FEWEST:
        return [f"{found.metric}: one run of {kind} tells nothing; an interval needs --controls 2 or more."]
    gain = found.lead.value if _large(found.metric) else -found.lead.value
    shown = found.lead.low > 0 or found.lead.high < 0
    how = ("better than" if gain > 0 else "worse than") if shown else "not shown to be better or worse than"
    lead = _told(found.lead)
    return [f"{found.metric}: the ticket of round {found.round} is {how} {kind}: {lead}"]


def _rounds(search: Search) -> list[list[str]]:
    names = list(dict.fromkeys(name for run in search.rounds for name in run.metrics))
    rows = [["round", "density", "kept", "step", *names]]
    for run in search.rounds:
        values = [f"{run.metrics[name]:.4g}" if name in run.metrics else "" for name in names]
        rows.append([str(run.round), f"{run.density:.2%}", f"{sum(run.kept.values()):,}", str(run.step), *values])
    return rows


def _controls(controls: Controls) -> list[list[str]]:
    rows = [["control", "metric", "runs", "mean [95 %]", "ticket minus it [95 %]"]]
    for each in controls.comparisons:
        lead = "" if each.lead is None else _told(each.lead)
        rows.append([each.kind.replace("_", " "), each.metric, _runs(each.values), _told(each.mean), lead])
    return rows


def _runs(values: Sequence[float]) -> str:
    """How many, and how many of them the mean is of, since one that diverged is left out of it."""
    finite = sum(map(math.isfinite, values))
    return str(finite) if finite == len(values) else f"{finite} of {len(values)}"


def _told(interval: Interval) -> str:
    ends = "unknown" if math.isnan(interval.low) else f"{interval.low:.4g}, {interval.high:.4g}"
    return f"{interval.value:.4g} [{ends}]"


def _table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _function(module: ModuleType, file: Path, name: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if not callable(found):
        raise MisuseError(
            f"{file}: has no function {name}. It needs make_model(), make_data() and train(model, data, recorder)."
        )
    function: Callable[..., Any] = found
    return function


def _data_maker(make_data: Callable[..., Any], file: Path, data: Path | None) -> Callable[[], Any]:
    parameters = list(inspect.signature(make_data).parameters.values())
    if data is not None and not parameters:
        raise MisuseError(f"{file}: make_data() takes no path, so --data has no use.")
    if data is None and parameters and parameters[0].default is inspect.Parameter.empty:
        raise MisuseError(f"{file}: make_data({parameters[0].name}) needs a path. Give it: --data PATH")
    return make_data if data is None else partial(make_data, data)


def _bound(train: Callable[..., Any], data: Any) -> Train:
    """`train` without its data, with a parameter `start` only where the user's has one."""
    if "start" in inspect.signature(train).parameters:
        return lambda model, recorder, start: train(model, data, recorder, start=start)
    return lambda model, recorder: train(model, data, recorder)


def _guarded(file: Path, what: str, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except WdynError:
        raise
    except Exception as error:  # the user's own code may raise anything
        raise MisuseError(f"{file}: {what}: {type(error).__name__}: {error}") from error
