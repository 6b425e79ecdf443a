"""Whether survivors start where they should, to the bit."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from wdyn.errors import DamagedError
from wdyn.store.run import Run
from wdyn.tickets._audit_case import Case, Neighbour, original_start
from wdyn.tickets._audit_choice import UnknownError, alive_before, chosen, completed
from wdyn.tickets._audit_mask import TicketMask
from wdyn.tickets._audit_promise import Array, Promise, Violation, counted, first_of, unchecked, verdict

MOST_EQUAL = 0.5  # share of reinitialised survivors that may equal the original: 16-bit values often do by chance


def check_start(run: Run, mask: TicketMask, case: Case, stack: ExitStack) -> Promise:
    """Whether the first step equals the start, or differs from it; see `wdyn.tickets.audit`."""
    if case.kind == "dense":
        return unchecked("start", "a dense network starts from itself.")
    if run.steps[0] != 0:
        return unchecked("start", f"step 0 was not recorded, the first is {run.steps[0]}. Record from the start.")
    start = original_start(case, stack) if case.kind == "reinitialised" else case.start
    if isinstance(start, str):
        return unchecked("start", start)
    reader = _Starts(run, mask, start, case.fresh)
    if case.kind == "reinitialised":
        return _drawn_anew(reader)
    if case.kind == "shuffled":
        return _moved(reader, case)
    return _rewound(reader)


class _Starts:
    """Values of the audited run at its first step beside those of the run that it starts from."""

    def __init__(self, run: Run, mask: TicketMask, start: Neighbour, fresh: frozenset[str]) -> None:
        self.run, self.mask, self.start, self.fresh = run, mask, start, fresh
        self.step = int(run.steps[0])
        self.open_ends: list[str] = []
        self.damage: list[str] = []

    def pair(self, name: str) -> tuple[Array, Array] | None:
        """What is there and what should be; None, with the reason noted, where they cannot be compared."""
        mine, theirs = self.run.parameters[name], self.start.run.parameters.get(name)
        if theirs is None or (theirs.shape, theirs.dtype) != (mine.shape, mine.dtype):
            has = "it was not recorded" if theirs is None else f"it is {theirs.dtype} {theirs.shape}"
            self.open_ends.append(f"{name} cannot be compared with {self.start}: {has} there.")
            return None
        try:
            return tuple(  # type: ignore[return-value]
                each.state(step, [name], masked=False)[name]
                for each, step in ((self.run, self.step), (self.start.run, self.start.step))
            )
        except DamagedError as error:
            self.damage.append(str(error))
            return None

    def names(self, *, masked: bool) -> list[str]:
        names = [name for name in self.run.parameters if name not in self.fresh]
        return [name for name in names if (name in self.mask.masks) is masked]

    def verdict(self, held: str, found: list[Violation]) -> Promise:
        return verdict("start", held, found, open_ends=self.open_ends, damage=dict.fromkeys(self.damage))  # type: ignore[arg-type]

    def differing(self, names: list[str]) -> list[Violation]:
        """Where what is not pruned differs."""
        found = []
        for name in names:
            if (pair := self.pair(name)) is not None:
                other = ~same_bits(*pair)
                other = other & self.mask.masks[name] if name in self.mask.masks else other
                if count := int(other.sum()):
                    what = "value" if self.run.parameters[name].role == "buffer" else "weight"
                    survivors = counted(count, f"surviving {what}" if name in self.mask.masks else what)
                    text = f"{survivors} {'does' if count == 1 else 'do'} not start as in {self.start}"
                    found.append(Violation(name, self.step, count, first_of(other), text))
        return found


def _rewound(reader: _Starts) -> Promise:
    found = reader.differing([*reader.names(masked=True), *reader.names(masked=False)])
    survivors = sum(int(mask.sum()) for mask in reader.mask.masks.values())
    roles = [reader.run.parameters[name].role for name in reader.names(masked=False)]
    held = (
        f"{counted(survivors, 'survivor')}, {counted(roles.count('weight'), 'other parameter')} (biases, norms) and "
        f"{counted(roles.count('buffer'), 'buffer')} start as in {reader.start}, to the bit"
    )
    held += f"; {counted(len(reader.fresh), 'tensor')} of this network are new." if reader.fresh else "."
    return reader.verdict(held, found)


def _drawn_anew(reader: _Starts) -> Promise:
    found = []
    for name in reader.names(masked=True):
        if (pair := reader.pair(name)) is not None:
            same = same_bits(*pair) & reader.mask.masks[name]
            if (count := int(same.sum())) > MOST_EQUAL * max(int(reader.mask.masks[name].sum()), 1):
                text = f"{counted(count, 'survivor')} should have been drawn anew, but start as in {reader.start}"
                found.append(Violation(name, reader.step, count, first_of(same), text))
    return reader.verdict(f"survivors do not start as in {reader.start}: they were drawn anew.", found)


def _moved(reader: _Starts, case: Case) -> Promise:
    """The same starting values as the ticket's survivors have, layer by layer, at other places."""
    found = reader.differing(reader.names(masked=False))
    own = completed(reader.run, reader.mask, case)
    try:
        tickets = chosen(case, own, alive_before(case, own))
    except (UnknownError, DamagedError) as error:
        reader.open_ends.append(f"with which values the ticket's survivors start is not known: {error}")
        return reader.verdict("", found)
    for name in reader.names(masked=True):
        if (pair := reader.pair(name)) is not None:
            now, then = np.sort(pair[0][own[name]]), np.sort(pair[1][tickets[name]])
            if count := int((~same_bits(now, then)).sum()):  # as many, since `chosen` keeps the number of survivors
                text = f"{counted(count)} are not the ticket's starting values of {reader.start} at other places"
                found.append(Violation(name, reader.step, count, None, text))
    return reader.verdict(f"survivors start with the values of {reader.start}, at other places of their layer.", found)


def same_bits(a: Array, b: Array) -> Array:
    """Bool of their shape: NaN equals itself, and -0 is not 0."""
    kind = f"u{a.dtype.itemsize}"
    same: Array = np.ascontiguousarray(a).reshape(-1).view(kind) == np.ascontiguousarray(b).reshape(-1).view(kind)
    return same.reshape(a.shape)
