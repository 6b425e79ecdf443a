"""What an audit goes by: what the run says of itself, what the caller gives in its place, and the neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

from wdyn.errors import MisuseError, RunFileError
from wdyn.store.reader import open_run
from wdyn.store.run import Run
from wdyn.tickets.choose import Criterion, Norm
from wdyn.tickets.ladder import Rates, checked_rate, rate_of

At = tuple["Run | str | Path", int]


class Neighbour(NamedTuple):
    """A step of another run."""

    run: Run
    step: int

    def __str__(self) -> str:
        return f"step {self.step} of {self.run.path.name}"


@dataclass(frozen=True)
class Case:
    """What is known of a ticket beside its weights.

    Attributes:
        kind: what it says it is; None where it says nothing.
        round: how often it was pruned; None where that is not known.
        rates: share that goes in a round; None likewise.
        criterion: by which weights were chosen.
        scope: whether they are ranked within a `layer` or all together, `global`.
        structured: the norm by which units are ranked; None for single weights.
        total: parameter to its number of weights, of those that are pruned; empty where that is not known.
        kept: parameter to how many weights are left, as the run says.
        rewind_to: step of the dense run that survivors start from; None where it does not say.
        start: where survivors start from, or why that is not known.
        parent: the trained weights that gave the mask, or why these are not known.
        fresh: tensors that a ticket trained on other data did not bring along.
        says: whether the run says anything of itself.
    """

    kind: str | None
    round: int | None
    rates: Rates | None
    criterion: str
    scope: str
    structured: Norm | None
    total: Mapping[str, int]
    kept: Mapping[str, int]
    rewind_to: int | None
    start: Neighbour | str
    parent: Neighbour | str
    fresh: frozenset[str]
    says: bool


def case_of(
    run: Run, stack: ExitStack, *, start: At | None, parent: At | None, rates: Rates | None, round: int | None
) -> Case:
    """Read what there is; neighbours stay open as long as the stack.

    Args:
        run: the audited run.
        stack: closes what is opened here.
        start: see `wdyn.tickets.audit`.
        parent: likewise.
        rates: likewise.
        round: likewise.

    Raises:
        MisuseError: the run's metadata or an argument are not what they should be.
        RunFileError: a neighbour given by the caller cannot be read.
        NotFoundError: it has no such step.
    """
    ticket = run.meta["metadata"].get("ticket", {})
    field = _Fields(run, ticket)
    rates = field.rates() if rates is None else rates
    for each in rates.values() if isinstance(rates, Mapping) else [] if rates is None else [rates]:
        checked_rate(each)
    return Case(
        kind=field.word("kind"),
        round=field.number("round") if round is None else round,
        rates=rates,
        criterion=field.word("criterion", get_args(Criterion)) or "magnitude",
        scope=field.word("scope", ("layer", "global")) or "layer",
        structured=field.word("structured", get_args(Norm)),  # type: ignore[arg-type]
        total=field.counts("total"),
        kept=field.counts("kept"),
        rewind_to=field.number("rewind_to"),
        start=_neighbour(run, stack, start, field.mapping("start"), "--start RUN:STEP"),
        parent=_neighbour(run, stack, parent, field.mapping("mask_from"), "--parent RUN:STEP"),
        fresh=field.fresh(),
        says=bool(ticket),
    )


def rates_by_name(run: Run, rates: Rates, names: list[str]) -> dict[str, float]:
    """The rate of each parameter that has one, by its names and those of the modules that it is in."""
    found = {}
    for name in names:
        aliases = [name, *(alias for alias, first in run.meta["tied"].items() if first == name)]
        parts = [each.split(".") for each in aliases]
        rate = rate_of([".".join(each[:end]) for each in parts for end in range(len(each), 0, -1)], rates)
        if rate is not None:
            found[name] = rate
    return found


def original_start(case: Case, stack: ExitStack) -> Neighbour | str:
    """Where survivors of the untouched ticket start: the run's own start, else that of the run that gave its mask."""
    if isinstance(case.start, Neighbour) or isinstance(case.parent, str):
        return case.start
    parent = case.parent.run
    says = _Fields(parent, parent.meta["metadata"].get("ticket", {}))
    if says.word("kind") == "dense" or not says.mapping("start"):
        step = case.rewind_to or 0
        return Neighbour(parent, step) if step in parent.steps else f"{parent.path.name} has no step {step}."
    return _neighbour(parent, stack, None, says.mapping("start"), "--start RUN:STEP")


def _neighbour(
    run: Run, stack: ExitStack, given: At | None, said: Mapping[str, Any] | None, option: str
) -> Neighbour | str:
    if given is not None:
        where = given[0] if isinstance(given[0], Run) else stack.enter_context(open_run(given[0]))
        where.select(steps=[given[1]])  # raises where there is no such step
        return Neighbour(where, given[1])
    if not said:
        return f"the file does not say where to look. Give it: wdyn audit {run.path.name} {option}"
    file, step = said.get("file"), said.get("step")
    if not isinstance(file, str) or not isinstance(step, int):
        raise MisuseError(f"{run.path}: its metadata names {said!r} where a file and a step should stand.")
    path = run.path.parent / file
    try:
        found = stack.enter_context(open_run(path))
    except RunFileError as error:
        return f"{file} cannot be read ({error}). Put it beside {run.path.name}, or give it: {option}"
    if said.get("run_id") not in (None, found.meta["run_id"]):
        return f"{path.name} is another recording than the one that {run.path.name} names. Give the right one: {option}"
    if step not in found.steps:
        return f"{path.name} has no step {step} any more. Give one that has it: {option}"
    return Neighbour(found, step)


class _Fields:
    """Entries of the metadata, which may hold anything."""

    def __init__(self, run: Run, ticket: Any) -> None:
        self._run = run
        self._ticket: Mapping[str, Any] = self._checked("ticket", ticket, lambda: isinstance(ticket, Mapping))

    def word(self, key: str, allowed: tuple[str, ...] | None = None) -> str | None:
        value = self._ticket.get(key)
        fits = value is None or (isinstance(value, str) and (allowed is None or value in allowed))
        found: str | None = self._checked(key, value, lambda: fits)
        return found

    def number(self, key: str) -> int | None:
        value = self._ticket.get(key)
        found: int | None = self._checked(key, value, lambda: value is None or _whole(value))
        return found

    def mapping(self, key: str) -> Mapping[str, Any] | None:
        value = self._ticket.get(key)
        found: Mapping[str, Any] | None = self._checked(key, value, lambda: value is None or isinstance(value, Mapping))
        return found

    def counts(self, key: str) -> Mapping[str, int]:
        found = self.mapping(key) or {}
        return self._checked(key, found, lambda: all(_whole(each) for each in found.values()))  # type: ignore[no-any-return]

    def fresh(self) -> frozenset[str]:
        found = (self.mapping("found_on") or {}).get("fresh", [])
        fits = isinstance(found, list) and all(isinstance(each, str) for each in found)
        return frozenset(self._checked("found_on", found, lambda: fits))

    def rates(self) -> Rates | None:
        value = self._ticket.get("rates")
        fits = value is None or isinstance(value, Mapping | int | float)
        return self._checked("rates", value, lambda: fits)  # type: ignore[no-any-return]

    def _checked(self, key: str, value: Any, fits: Callable[[], bool]) -> Any:
        if not fits():
            raise MisuseError(f"{self._run.path}: its metadata have {value!r} for {key!r} of a ticket.")
        return value


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
