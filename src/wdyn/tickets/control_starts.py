"""Masks and starting values of a ticket's controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from wdyn.tickets.making import FROM_SCRATCH, Start
from wdyn.tickets.optimizer_state import State
from wdyn.tickets.pruning import Array, Target, Targets

Masks = Mapping[str, Array]
Variant = tuple[Masks, Start]
Vary = Callable[[Masks, Start, Targets, np.random.Generator], Variant]


def ticket(masks: Masks, start: Start, targets: Targets, rng: np.random.Generator) -> Variant:
    """The same mask and start: other data order alone."""
    return masks, start


def reinitialised(masks: Masks, start: Start, targets: Targets, rng: np.random.Generator) -> Variant:
    """The same mask on a network drawn anew, trained from its beginning."""
    return masks, FROM_SCRATCH


def dense(masks: Masks, start: Start, targets: Targets, rng: np.random.Generator) -> Variant:
    """No mask: the network that the search began with, trained from its beginning."""
    return {}, FROM_SCRATCH


def random_mask(masks: Masks, start: Start, targets: Targets, rng: np.random.Generator) -> Variant:
    """As many survivors per layer, at random places, where they have the starting values of these places.

    Whole units in structured pruning.
    """
    return {name: _elsewhere(targets[name], mask, rng) for name, mask in masks.items()}, start


def shuffled(masks: Masks, start: Start, targets: Targets, rng: np.random.Generator) -> Variant:
    """The survivors with their starting values at random places of their layer: same values, same count.

    Each layer's mask and starting values are permuted together, whole units in structured pruning, and so is what the
    optimizer remembers. A mask shuffled alone, with the start left where it is, would have the same law as
    `random_mask`: every set of so many places is as likely. What this control tells apart is whether the values that
    survived do as well elsewhere.
    """
    orders = {name: rng.permutation(targets[name].size) for name in masks}
    moved = {
        name: _permuted(targets[name], torch.from_numpy(mask), orders[name]).numpy() for name, mask in masks.items()
    }
    tensors = {
        name: _permuted(targets[name], tensor, orders[name]) if name in orders else tensor
        for name, tensor in start.tensors.items()
    }
    return moved, replace(start, tensors=tensors, memory=_moved(start.memory, targets, orders))


def _elsewhere(target: Target, mask: Array, rng: np.random.Generator) -> Array:
    chosen = np.zeros(target.size, np.bool_)
    chosen[rng.choice(target.size, int(target.counted(mask).sum()), replace=False)] = True
    return target.spread(chosen)


def _permuted(target: Target, tensor: Tensor, order: Array) -> Tensor:
    index = torch.from_numpy(order)
    if target.structured:
        return tensor.index_select(target.axis, index)
    return tensor.reshape(-1)[index].reshape(tensor.shape)


def _moved(memory: State, targets: Targets, orders: Mapping[str, Array]) -> State:
    return {
        name: {
            key: _permuted(targets[name], value, orders[name])
            if name in orders and isinstance(value, Tensor) and tuple(value.shape) == targets[name].shape
            else value
            for key, value in entries.items()
        }
        for name, entries in memory.items()
    }
