"""Whether a mask has the exact counts of its round, and the metadata those of the mask."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wdyn.store.run import Run
from wdyn.tickets._audit_case import Case, rates_by_name
from wdyn.tickets._audit_mask import TicketMask
from wdyn.tickets._audit_promise import Array, Promise, Violation, counted, first_of, unchecked, verdict
from wdyn.tickets.ladder import kept

Masks = Mapping[str, Array]


def check_counts(run: Run, mask: TicketMask, case: Case) -> Promise:
    """Whether as many weights are left as the ladder says; see `wdyn.tickets.audit`."""
    if why := nothing_to_count(mask, case):
        return unchecked("counts", why)
    if case.rates is None or case.round is None:
        missing = " and ".join(w for w, v in (("--rate 0.2", case.rates), ("--round 3", case.round)) if v is None)
        return unchecked("counts", f"it does not say how much each round takes. Give it, such as {missing}.")
    if case.scope == "global" and case.fresh:
        return unchecked("counts", "layers were counted together where it was found, and not all are here.")
    listed = case.total or [name for name, spec in run.parameters.items() if len(spec.shape) > 1]
    pruned = [name for name, spec in run.parameters.items() if spec.role == "weight" and name in listed]
    rates = rates_by_name(run, case.rates, pruned)
    step = int(run.steps[0])
    found = [
        Violation(name, step, each.size - int(each.sum()), first_of(~each), "it has a mask, but should not be pruned")
        for name, each in mask.masks.items()
        if name not in rates
    ]
    found += _tornrows_of_units(run, mask.masks, case)
    left = {name: _counted_in(run, name, mask.masks, case) for name in rates}
    if case.scope == "global" and rates:
        sizes, stay = (sum(pair[i] for pair in left.values()) for i in range(2))
        found += _off("all layers together", step, stay, kept(sizes, next(iter(rates.values())), case.round), case)
    else:
        for name, (size, stay) in left.items():
            found += _off(name, step, stay, kept(size, rates[name], case.round), case)
    unit = "unit" if case.structured else "weight"
    held = f"{counted(sum(stay for _, stay in left.values()), unit)} are left, exactly what round {case.round} leaves"
    return verdict("counts", f"{held}{' in all' if case.scope == 'global' else ', layer by layer'}.", found)


def nothing_to_count(mask: TicketMask, case: Case) -> str:
    """Why there is no mask to count in; empty where there is one."""
    if case.kind == "dense":
        return "a dense network has no mask."
    return "" if mask.masks else "there is no mask."


def _off(name: str, step: int, stay: int, expected: int, case: Case) -> list[Violation]:
    if stay == expected:
        return []
    unit = "unit" if case.structured else "weight"
    off = counted(abs(stay - expected), unit)
    text = f"{off} too {'many' if stay < expected else 'few'} pruned: {stay:,} are left, not {expected:,}"
    return [Violation(name, step, abs(stay - expected), None, text)]


def _counted_in(run: Run, name: str, masks: Masks, case: Case) -> tuple[int, int]:
    """How many weights, or units, a parameter has, and how many of them are left."""
    shape = run.parameters[name].shape
    own = masks.get(name)
    if not case.structured:
        size = int(np.prod(shape))
        return size, size if own is None else int(own.sum())
    size = shape[unit_axis(run, name)]
    return size, size if own is None else int(rows_of_units(own, unit_axis(run, name)).any(1).sum())


def _tornrows_of_units(run: Run, masks: Masks, case: Case) -> list[Violation]:
    if not case.structured:
        return []
    found = []
    for name, own in masks.items():
        units = rows_of_units(own, unit_axis(run, name))
        torn = np.logical_xor(units.any(1), units.all(1))
        if count := int(torn.sum()):
            text = f"{counted(count, 'unit')} pruned in part, not as a whole"
            found.append(Violation(name, int(run.steps[0]), count, first_of(torn), text))
    return found


def unit_axis(run: Run, name: str) -> int:
    """The axis of a parameter that counts its units: 1 in transposed convolutions."""
    return next((layer.axis for layer in run.layers.values() if layer.parameter == name), 0)


def rows_of_units(values: Array, axis: int) -> Array:
    """(units, weights of one) of a parameter."""
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def check_kept(run: Run, mask: TicketMask, case: Case) -> Promise:
    """Whether the numbers in the metadata are those of the mask; see `wdyn.tickets.audit`."""
    if not case.kept or not case.total:
        return unchecked("kept", "it says nothing of how many weights are left.")
    if not mask.masks:
        return unchecked("kept", "there is no mask.")
    found, step = [], int(run.steps[0])
    for name in dict.fromkeys([*case.total, *case.kept, *mask.masks]):
        if name not in run.parameters:
            found.append(Violation(name, step, 0, None, "the metadata count a parameter that was not recorded"))
            continue
        size = int(np.prod(run.parameters[name].shape))
        there = size, int(mask.masks[name].sum()) if name in mask.masks else size
        said = case.total.get(name, size), case.kept.get(name, size)
        if there != said:
            text = (
                f"the metadata say that {said[1]:,} of {said[0]:,} weights are left, but the mask leaves "
                f"{there[1]:,} of {there[0]:,}"
            )
            found.append(Violation(name, step, abs(there[1] - said[1]), None, text))
    return verdict("kept", "the numbers in the metadata are those of the mask.", found)
