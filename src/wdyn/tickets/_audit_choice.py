"""Whether a mask is the one that the trained weights give by the criterion, within the mask they trained under."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wdyn.errors import DamagedError, MisuseError
from wdyn.store.run import Run
from wdyn.tickets._audit_case import Case, Neighbour
from wdyn.tickets._audit_counts import nothing_to_count, rows_of_units, unit_axis
from wdyn.tickets._audit_mask import TicketMask, mask_of
from wdyn.tickets._audit_promise import Array, Promise, Violation, counted, first_of, unchecked, verdict
from wdyn.tickets.choose import highest, highest_of_all, scores, unit_scores

Masks = Mapping[str, Array]


class UnknownError(Exception):
    """What the trained weights give cannot be computed; the text says why and what would help."""


def check_choice(run: Run, mask: TicketMask, case: Case) -> Promise:
    """Whether the mask is the one that the trained weights give; see `wdyn.tickets.audit`."""
    if why := nothing_to_count(mask, case):
        return unchecked("choice", why)
    if case.kind in ("random_mask", "shuffled"):
        return unchecked("choice", "the places of this control were drawn at random, as they should be.")
    own = completed(run, mask, case)
    try:
        alive = alive_before(case, own)
        found = _differences(run, own, alive, f"pruned before, in {case.parent}, came back")
        if not found:
            found = _differences(
                run, own, chosen(case, own, alive), f"stayed, though others score higher in {case.parent}"
            )
    except UnknownError as error:
        return unchecked("choice", str(error))
    except DamagedError as error:
        return verdict("choice", "", damage=[str(error)])
    ranked = "all layers together" if case.scope == "global" else "layer by layer"
    assumed = "" if case.says else " (assumed, since the file does not say how it was chosen)"
    held = f"the mask is what {case.parent} gives by {case.criterion}, {ranked}, among what was left there{assumed}."
    return verdict("choice", held, found)


def completed(run: Run, mask: TicketMask, case: Case) -> dict[str, Array]:
    """The masks with whole ones for the parameters that may be pruned but were not, in the model's order."""
    names = [name for name in run.parameters if name in mask.masks or name in case.total]
    return {name: mask.masks.get(name, np.ones(run.parameters[name].shape, np.bool_)) for name in names}


def _differences(run: Run, own: Masks, expected: Masks, text: str) -> list[Violation]:
    """Where a weight is left that should not be."""
    found, step = [], int(run.steps[0])
    for name, mask in own.items():
        wrong = mask & ~expected[name]
        if count := int(wrong.sum()):
            found.append(Violation(name, step, count, first_of(wrong), f"{counted(count)} {text}"))
    return found


def alive_before(case: Case, own: Masks) -> dict[str, Array]:
    """The mask under which the weights were trained that gave this one.

    Raises:
        UnknownError: it is not known.
        DamagedError: it is lost.
    """
    if isinstance(case.parent, str):
        raise UnknownError(case.parent)
    specs, file = case.parent.run.parameters, case.parent.run.path.name
    for name, mask in own.items():
        if name not in specs or tuple(specs[name].shape) != mask.shape:
            raise UnknownError(f"{file} has no {name} of shape {mask.shape}. Give the right run: --parent RUN:STEP")
    masks = mask_of(case.parent.run, case.parent.step).masks
    return {name: masks.get(name, np.ones(mask.shape, np.bool_)) for name, mask in own.items()}


def chosen(case: Case, own: Masks, alive: Masks) -> dict[str, Array]:
    """The masks that trained weights give by the criterion, with as many survivors as there are.

    Args:
        case: with the criterion and the parent.
        own: the masks in question, of which only the number of survivors is taken.
        alive: see `alive_before`.

    Raises:
        UnknownError: that cannot be computed.
        DamagedError: weights are lost.
    """
    assert isinstance(case.parent, Neighbour)  # else there is no `alive`
    if case.criterion == "random":
        raise UnknownError("the criterion is random, so nothing follows from the weights.")
    parent = case.parent
    if case.criterion != "magnitude" and parent.run.steps[0] != 0:
        raise UnknownError(f"{parent.run.path.name} does not hold step 0, from which {case.criterion} is counted.")
    axes = {name: unit_axis(parent.run, name) for name in own}
    try:
        values = {name: _scores(case, parent, name, axes[name]) for name in own}
        left = {name: _counted(case, alive[name], axes[name]) for name in own}
        keep = {name: int(_counted(case, mask, axes[name]).sum()) for name, mask in own.items()}
        if case.scope == "global":
            found = highest_of_all(values, left, sum(keep.values()))
        else:
            found = {name: highest(values[name], left[name], keep[name]) for name in own}
    except MisuseError as error:
        raise UnknownError(f"the weights of {parent} cannot be ranked: {error}") from error
    return {name: _spread(case, each, own[name].shape, axes[name]) for name, each in found.items()}


def _scores(case: Case, parent: Neighbour, name: str, axis: int) -> Array:
    first = parent.step if case.criterion == "magnitude" else int(parent.run.steps[0])
    trained, start = (parent.run.state(step, [name], masked=False)[name] for step in (parent.step, first))
    rng = np.random.default_rng(0)  # of no use: what was chosen at random is not asked for
    if case.structured:
        return unit_scores(case.criterion, trained, start, norm=case.structured, axis=axis, rng=rng)  # type: ignore[arg-type]
    return scores(case.criterion, trained, start, rng=rng)  # type: ignore[arg-type]


def _counted(case: Case, mask: Array, axis: int) -> Array:
    """One bool for each thing that is counted: weights, or units."""
    return np.logical_or.reduce(rows_of_units(mask, axis), axis=1) if case.structured else mask


def _spread(case: Case, chosen: Array, shape: tuple[int, ...], axis: int) -> Array:
    if not case.structured:
        return chosen
    beside = [1] * len(shape)
    beside[axis] = shape[axis]
    return np.broadcast_to(chosen.reshape(beside), shape)
