"""What a search prunes in a model and how much of it each round leaves: parameters, units, counts, masks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np
from torch import nn

from wdyn.errors import MisuseError
from wdyn.record.inventory import Inventory, take_inventory
from wdyn.tickets.choose import Criterion, Norm, highest, highest_of_all, scores, unit_scores
from wdyn.tickets.ladder import Rates, checked_rate, kept, rate_of
from wdyn.tickets.masks import check_used_as_it_is, prunable

Array = np.ndarray[Any, np.dtype[Any]]
Scope = Literal["layer", "global"]


@dataclass(frozen=True)
class Pruning:
    """How weights are chosen.

    Attributes:
        rate: share of those left that goes each round: one for all, or names or globs of parameters or modules to
            rates, of which the first that fits holds; what fits none is left alone.
        criterion: see `wdyn.tickets.choose.scores`.
        scope: rank within each `layer`, or all layers together (`global`).
        structured: None for single weights, or the norm by which whole units are ranked.
        one_shot: every round's mask is chosen from the dense run, not from the round before.
        exclude: names or globs of what is left alone.
    """

    rate: Rates = 0.2
    criterion: Criterion = "magnitude"
    scope: Scope = "layer"
    structured: Norm | None = None
    one_shot: bool = False
    exclude: tuple[str, ...] = ()

    @property
    def rates(self) -> dict[str, float]:
        """The rate as a mapping."""
        return dict(self.rate) if isinstance(self.rate, Mapping) else {"*": self.rate}


@dataclass(frozen=True)
class Target:
    """A parameter that is pruned.

    Attributes:
        shape: of the parameter.
        rate: share of it that goes each round.
        axis: the axis that counts its units: 1 in a transposed convolution, else 0.
        structured: whether it is pruned by units.
    """

    shape: tuple[int, ...]
    rate: float
    axis: int
    structured: bool

    @property
    def total(self) -> int:
        """Single weights."""
        return int(np.prod(self.shape))

    @property
    def size(self) -> int:
        """What is counted: units where it is pruned by them, else single weights."""
        return self.shape[self.axis] if self.structured else self.total

    def spread(self, chosen: Array) -> Array:
        """From one bool for each thing that is counted to a mask of the parameter's shape."""
        if not self.structured:
            return chosen.reshape(self.shape)
        beside = [1] * len(self.shape)
        beside[self.axis] = self.size
        return np.broadcast_to(chosen.reshape(beside), self.shape).copy()

    def counted(self, mask: Array) -> Array:
        """The way back: one bool for each thing that is counted, (size,)."""
        if not self.structured:
            return mask.ravel()
        return np.asarray(np.moveaxis(mask, self.axis, 0).reshape(self.size, -1).any(axis=1))


Targets = Mapping[str, Target]


def targets_of(model: nn.Module, pruning: Pruning) -> dict[str, Target]:
    """The parameters that a search prunes.

    Those of `wdyn.tickets.masks.prunable` for which there is a rate. Where whole units are pruned by one rate for all,
    the last is left alone too, since its units are the network's outputs; a mapping of rates decides for itself.

    Returns:
        Name to target, in the model's order.

    Raises:
        MisuseError: a name or glob matches nothing, a rate is not in [0, 1), nothing is left, layers ranked together
            have different rates, or a weight is made of a parameter.
    """
    for rate in pruning.rates.values():
        checked_rate(rate)
    inventory = take_inventory(model)
    names = {name: _names(inventory, name) for name in prunable(model, exclude=pruning.exclude)}
    if pruning.structured and not isinstance(pruning.rate, Mapping):
        del names[list(names)[-1]]
    rates = {name: rate_of(own, pruning.rate) for name, own in names.items()}
    found = {name: _target(inventory, name, rate, pruning) for name, rate in rates.items() if rate is not None}
    _check(found, names, pruning)
    for name in found:
        check_used_as_it_is(name, inventory.places[name])
    return found


def choose_masks(
    targets: Targets, pruning: Pruning, rounds: int, *, trained: Mapping[str, Array], start: Mapping[str, Array],
    alive: Mapping[str, Array], rng: np.random.Generator,
) -> dict[str, Array]:  # fmt: skip
    """The masks that leave what a number of rounds leaves, counted from the intact network.

    Args:
        targets: of the model.
        pruning: how to choose.
        rounds: 1 or more.
        trained: name to weights at the end of the training that the choice looks at.
        start: the same at its beginning.
        alive: name to the mask that held in it; what is gone stays gone.
        rng: for the criterion `random`.

    Returns:
        Name to bool, True where a weight stays.

    Raises:
        MisuseError: a weight is not a number; the text names the parameter and the round.
    """
    values = {}
    for name, target in targets.items():
        try:
            values[name] = _scores(target, pruning, trained[name], start[name], rng)
        except MisuseError as error:
            raise MisuseError(f"{name}, mask of round {rounds}: {error}") from error
    left = {name: target.counted(alive[name]) for name, target in targets.items()}
    if pruning.scope == "global":
        rate = next(iter(targets.values())).rate
        chosen = highest_of_all(values, left, kept(sum(each.size for each in targets.values()), rate, rounds))
    else:
        chosen = {
            name: highest(values[name], left[name], kept(target.size, target.rate, rounds))
            for name, target in targets.items()
        }
    _warn_of_nothing_left(chosen, rounds)
    return {name: target.spread(chosen[name]) for name, target in targets.items()}


def _warn_of_nothing_left(chosen: Mapping[str, Array], rounds: int) -> None:
    if gone := [name for name, each in chosen.items() if not each.any()]:
        text = f"round {rounds} keeps nothing of {', '.join(gone)}, so nothing passes there. Give a lower rate for it."
        warnings.warn(text, RuntimeWarning, stacklevel=3)


def _scores(target: Target, pruning: Pruning, trained: Array, start: Array, rng: np.random.Generator) -> Array:
    if pruning.structured:
        return unit_scores(pruning.criterion, trained, start, norm=pruning.structured, axis=target.axis, rng=rng)
    return scores(pruning.criterion, trained, start, rng=rng).ravel()


def _names(inventory: Inventory, name: str) -> list[str]:
    """What a parameter goes by: its names and those of the modules it is in."""
    own = [name, *(alias for alias, first in inventory.tied.items() if first == name)]
    return [".".join(parts[:end]) for each in own for parts in [each.split(".")] for end in range(len(parts), 0, -1)]


def _target(inventory: Inventory, name: str, rate: float, pruning: Pruning) -> Target:
    place = inventory.places[name]
    transposed = isinstance(place.module, nn.modules.conv._ConvTransposeNd)
    return Target(tuple(place.tensor().shape), rate, 1 if transposed else 0, pruning.structured is not None)


def _check(found: Targets, names: Mapping[str, list[str]], pruning: Pruning) -> None:
    for glob in pruning.rates:
        if not any(fnmatchcase(each, glob) for own in names.values() for each in own):
            raise MisuseError(f"rate={{{glob!r}: ...}} matches nothing. What can be pruned: {', '.join(names)}.")
    if not found:
        raise MisuseError(f"rate={pruning.rate!r} and structured={pruning.structured!r} leave nothing to prune.")
    if pruning.scope == "global" and len({target.rate for target in found.values()}) > 1:
        raise MisuseError(
            "scope='global' ranks all layers together, so it takes one rate; exclude what it should skip."
        )
