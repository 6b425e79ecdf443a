"""The mask that a run trained under, recorded or read from its zeros, and whether it held until the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from wdyn.errors import DamagedError
from wdyn.store.run import Run
from wdyn.tickets._audit_promise import Array, Promise, Violation, counted, first_of, unchecked, verdict

WINDOW = 32  # steps that are read together, as long as a stored chunk
_AFTER = "as the optimizer left it: what the training loop sets to zero later, no file shows"
FEWEST = 0.01  # share of a parameter: fewer exact zeros may be the work of chance, mostly of 16-bit initial values


@dataclass(frozen=True)
class TicketMask:
    """The mask of a ticket.

    Attributes:
        masks: name of each parameter of which something is pruned to bool, True where a weight stays.
        recorded: whether they were recorded; else they are exact zeros of the weights.
        zeros_at: the step whose zeros they are; -1 where they were recorded.
        hidden: parameters whose forward values were not recorded, since torch.nn.utils.parametrize makes them.
    """

    masks: dict[str, Array]
    recorded: bool
    zeros_at: int = -1
    hidden: tuple[str, ...] = ()


def mask_of(run: Run, step: int | None = None) -> TicketMask:
    """The mask of a run.

    Args:
        run: open.
        step: at which recorded masks are read; None for the first of each parameter that prunes anything.

    Returns:
        Recorded masks if any pruned anything, else exact zeros; see `zeros_of`.

    Raises:
        DamagedError: they are lost.
        NotFoundError: there is no such step.
    """
    masks: dict[str, Array] = {}
    for name, changes in run.mask_changes().items():
        for at in changes.tolist() if step is None else [step]:
            if not (mask := run.masks(at)[name]).all():
                masks[name] = mask
                break
    hidden = tuple(name for name, spec in run.parameters.items() if "parametrizations" in name and len(spec.shape) > 1)
    if masks or (step is not None and run.mask_changes()):
        return TicketMask(masks, True, hidden=hidden)
    return TicketMask(*_zeros(run), hidden=hidden)


def _zeros(run: Run) -> tuple[dict[str, Array], bool, int]:
    steps = run.steps[:2].tolist()
    names = [name for name, spec in run.parameters.items() if spec.role == "weight" and len(spec.shape) > 1]
    masks, last = {}, steps[0]
    for name in names:
        found = zeros_of([run.state(step, [name])[name] for step in steps])
        if found is not None:
            masks[name], at = ~found[0], steps[found[1]]
            last = max(last, at)
    return masks, False, last


def zeros_of(values: list[Array]) -> tuple[Array, int] | None:
    """Which weights count as pruned where no mask was recorded.

    The exact zeros at the first recorded step, or, where these are few or all, at the second: a mask may have been
    applied only with the first update, a parameter may begin as zero and leave it with the first update, and single
    initial values may be zero by chance. Fewer than 1 % are no mask at all.

    Args:
        values: of one parameter at the first recorded step and, if there is one, at the second.

    Returns:
        Bool of its shape, True where a weight is pruned, and which of the two steps it is from; None for no mask.
    """
    for at, each in enumerate(values):
        zeros: Array = each == 0
        share = zeros.mean() if zeros.size else 0.0
        if share >= FEWEST and (share < 1 or at == len(values) - 1):
            return zeros, at
    return None


def check_sparse(run: Run, mask: TicketMask, kind: str | None, total: Mapping[str, int]) -> Promise:
    """Whether anything is pruned; see `wdyn.tickets.audit`."""
    pruned = {name: each.size - int(each.sum()) for name, each in mask.masks.items()}
    first = int(run.steps[0])
    if kind == "dense":
        found = [
            Violation(
                name, first, count, first_of(~mask.masks[name]), f"it calls itself dense, but {counted(count)} are 0"
            )
            for name, count in pruned.items()
        ]
        if found:
            return verdict("sparse", "", found)
        return unchecked("sparse", "it calls itself a dense network, and no weight of it is pruned.")
    if not pruned:
        return _dense(run, mask, total)
    whole = {**{name: each.size for name, each in mask.masks.items()}, **(total or _sizes(run))}
    left = 1 - sum(pruned.values()) / max(sum(whole.values()), 1)
    how = "recorded masks" if mask.recorded else f"exact zeros at step {mask.zeros_at}, as no mask was recorded"
    return verdict("sparse", f"{counted(sum(pruned.values()))} are pruned, {left:.2%} are left ({how}).")


def _dense(run: Run, mask: TicketMask, total: Mapping[str, int]) -> Promise:
    if mask.hidden:
        return unchecked(
            "sparse",
            f"{mask.hidden[0]} and the like make the weights, which were not recorded themselves. Prune with "
            "torch.nn.utils.prune, whose masks are recorded.",
        )
    text = "no weight is pruned, so this is a dense network"
    step, sizes = int(run.steps[0]), _sizes(run)
    whole = {name: sizes[name] for name in total if name in sizes} if total else sizes
    return verdict("sparse", "", [Violation(name, step, size, None, text) for name, size in whole.items()])


def _sizes(run: Run) -> dict[str, int]:
    """Weights of each parameter of two axes or more, which pruning may take."""
    specs = {name: spec for name, spec in run.parameters.items() if spec.role == "weight" and len(spec.shape) > 1}
    return {name: int(np.prod(spec.shape)) for name, spec in specs.items()}


def check_mask(run: Run, mask: TicketMask) -> Promise:
    """Whether each recorded mask is there from the first step on and never changes; see `wdyn.tickets.audit`."""
    if not mask.recorded:
        return unchecked(
            "mask",
            "no mask was recorded, so the zeros of the weights stand for it. Prune with torch.nn.utils.prune or "
            "wdyn.tickets.masks.apply_masks: such masks are recorded.",
        )
    found, damage = [], []
    changes = run.mask_changes()
    for name, own in mask.masks.items():
        try:
            if (broken := _changed(run, name, own, changes[name])) is not None:
                found.append(broken)
        except DamagedError as error:
            damage.append(str(error))
    held = f"the masks are the same from step {run.steps[0]} to step {run.steps[-1]}."
    return verdict("mask", held, found, damage=dict.fromkeys(damage))  # type: ignore[arg-type]


def _changed(run: Run, name: str, own: Array, changes: Array) -> Violation | None:
    first = int(run.steps[0])
    if changes[0] != first:
        text = f"{counted(int((~own).sum()))} pruned from step {changes[0]} on were not masked before"
        return Violation(name, first, int((~own).sum()), first_of(~own), text)
    for step in changes.tolist():
        now = run.masks(step)[name]
        if (other := now != own).any():
            text = _what_changed(own, now)
            return Violation(name, step, int(other.sum()), first_of(other), text)
    return None


def _what_changed(was: Array, now: Array) -> str:
    back, gone = int((now & ~was).sum()), int((was & ~now).sum())
    if now.all():
        return f"the mask is lost, {counted(back)} are no longer pruned"
    parts = [f"{counted(back)} came back"] if back else []
    return "the mask changed: " + " and ".join([*parts, *([f"{counted(gone)} went"] if gone else [])])


def check_zeros(run: Run, mask: TicketMask, progress: Callable[[float], object]) -> Promise:
    """Whether what is pruned is zero at every recorded step; see `wdyn.tickets.audit`."""
    if not mask.masks:
        return unchecked("zeros", "there is no mask, so nothing has to stay zero.")
    found, damage = [], []
    for number, name in enumerate(mask.masks):
        with np.errstate(invalid="ignore"):  # what is masked may be infinite
            broken, lost = _woken(run, mask, name, partial(_in_part, progress, number, len(mask.masks)))
        found += [broken] if broken else []
        damage += lost
    since = f"since step {mask.zeros_at}" if not mask.recorded else "as the forward pass used them"
    held = f"pruned weights are exactly zero {since}, at all {len(run.steps):,} recorded steps."
    return verdict("zeros", held, found, damage=tuple(dict.fromkeys(damage)))


def _in_part(progress: Callable[[float], object], number: int, parts: int, done: float) -> None:
    progress((number + done) / parts)


def _woken(
    run: Run, mask: TicketMask, name: str, progress: Callable[[float], object]
) -> tuple[Violation | None, list[str]]:
    damage: list[str] = []
    for steps, pruned in _stretches(run, mask, name):
        part = run.select(steps=steps)
        try:
            for at, block in part.history(name):
                awake = (block != 0) & pruned  # NaN is not zero either
                if (steps_of := np.flatnonzero(awake.reshape(len(block), -1).any(1))).size:
                    first = int(steps_of[0])
                    woken = _violation(
                        name, int(part.steps[at + first]), block[first], awake[first], recorded=mask.recorded
                    )
                    return woken, damage
        except DamagedError as error:
            damage.append(str(error))
        progress(float(np.searchsorted(run.steps, steps[-1]) + 1) / len(run.steps))
    return None, damage


def _violation(name: str, step: int, values: Array, awake: Array, *, recorded: bool) -> Violation:
    text = f"{counted(int(awake.sum()), 'pruned weight')} woke up, to {values[awake][0]:.6g}"
    return Violation(name, step, int(awake.sum()), first_of(awake), text if recorded else f"{text}, {_AFTER}")


def _stretches(run: Run, mask: TicketMask, name: str) -> Iterator[tuple[Array, Array]]:
    """Steps that are read together, with what is pruned at all of them."""
    place = np.arange(len(run.steps))
    if not mask.recorded:
        yield from ((run.steps[each], ~mask.masks[name]) for each in _windows(place[run.steps >= mask.zeros_at]))
        return
    changes = run.mask_changes()[name]
    for i, since in enumerate(changes.tolist()):
        until = changes[i + 1] if i + 1 < len(changes) else run.steps[-1] + 1
        try:
            pruned = ~run.masks(since)[name]
        except DamagedError:  # told by the promise on masks
            continue
        held = place[(run.steps >= since) & (run.steps < until)]
        yield from ((run.steps[each], pruned) for each in _windows(held))


def _windows(place: Array) -> list[Array]:
    """Positions of steps cut where stored chunks end."""
    return np.split(place, np.flatnonzero(np.diff(place // WINDOW)) + 1)
