"""Prune a model as it stands, in a training loop of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from wdyn.errors import MisuseError
from wdyn.record.facts import checked_patterns
from wdyn.record.inventory import ORIG, take_inventory
from wdyn.tickets.choose import Criterion, Norm
from wdyn.tickets.ladder import Rates
from wdyn.tickets.masks import apply_masks, masks_of
from wdyn.tickets.pruning import Pruning, Scope, choose_masks, targets_of

Array = np.ndarray[Any, np.dtype[Any]]
_FROM_START = ("magnitude_increase", "movement")


def prune(
    model: nn.Module,
    rate: Rates = 0.2,
    *,
    rounds: int = 1,
    criterion: Criterion = "magnitude",
    scope: Scope = "layer",
    structured: Norm | None = None,
    exclude: str | Sequence[str] = (),
    start: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> dict[str, Array]:
    """Mask the lowest weights of a model, as one round of `find_ticket` does, and leave the others as they are.

    Args:
        model: to prune, masked before or not; what is masked stays so.
        rate: share of the weights that goes in a round, see `find_ticket`.
        rounds: leave what so many rounds leave of the intact network: 2 in the second call of an iterative pruning, as
            counts are exact and do not depend on how the call before was rounded.
        criterion: `magnitude`, `magnitude_increase`, `movement` or `random`.
        scope: rank within each `layer`, or all layers together (`global`).
        structured: None for single weights; `l1` or `l2` for whole neurons or filters by that norm.
        exclude: names or globs of parameters or modules to leave alone. Biases and scales are never pruned.
        start: the model's `state_dict()` from where the training began, for increase and movement.
        seed: for `random`.

    Returns:
        Recorded name of each pruned parameter to bool, True where a weight stays.

    Raises:
        MisuseError: an argument cannot work, fewer weights are left than should stay, or a weight is not a number.
    """
    if rounds < 1:
        raise MisuseError(f"rounds is how many rounds to leave the weights of, from 1, not {rounds}.")
    pruning = Pruning(rate, criterion, scope, structured, exclude=checked_patterns(exclude))
    targets, places, masked = targets_of(model, pruning), take_inventory(model).places, masks_of(model)
    now = {name: _values(places[name].tensor()) for name in targets}
    masks = choose_masks(
        targets, pruning, rounds, trained=now, start=_started(start, now) if criterion in _FROM_START else now,
        alive={name: masked.get(name, np.ones(target.shape, dtype=bool)) for name, target in targets.items()},
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    apply_masks(model, masks)
    return masks


def _started(start: Mapping[str, Tensor] | None, now: Mapping[str, Array]) -> dict[str, Array]:
    found = {name: (start or {}).get(name, (start or {}).get(name + ORIG)) for name in now}
    missing = [name for name, each in found.items() if each is None or tuple(each.shape) != now[name].shape]
    if missing:
        raise MisuseError(
            f"how far weights have moved is told from where they began: give start=, the model's state_dict() of then, "
            f"which lacks {missing[0]!r} in this shape."
        )
    return {name: _values(each) for name, each in found.items() if each is not None}


def _values(tensor: Tensor) -> Array:
    return tensor.detach().cpu().double().numpy()
