"""Masks on a model, by torch's own pruning hooks: whatever the optimizer does, a pruned weight is exactly zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from wdyn.errors import MisuseError, NotFoundError
from wdyn.record.choice import check_each_matches, choose
from wdyn.record.facts import checked_patterns
from wdyn.record.inventory import MASK, ORIG, Inventory, Place, take_inventory

Array = np.ndarray[Any, np.dtype[Any]]
Masks = Mapping[str, Array | Tensor]


def prunable(
    model: nn.Module, *, include: str | Sequence[str] | None = None, exclude: str | Sequence[str] = ()
) -> dict[str, Tensor]:
    """The parameters that pruning looks at.

    Args:
        model: any module; wrappers of torch.compile and data parallelism leave no trace in names.
        include: names or globs of parameters or modules; None for every parameter of two or more axes, which leaves
            biases and the scales of normalisation layers alone.
        exclude: names or globs to leave out of these.

    Returns:
        Name to the parameter itself, as its optimizer has it, in the model's order; tied ones once.

    Raises:
        MisuseError: a pattern matches nothing, or nothing is left.
    """
    inventory = take_inventory(model)
    patterns = checked_patterns("*" if include is None else include), checked_patterns(exclude)
    check_each_matches(inventory, *patterns)
    chosen = set(choose(inventory, *patterns)).intersection(inventory.names("weight"))
    found = {name: place.tensor() for name, place in inventory.places.items() if name in chosen}
    found = {name: tensor for name, tensor in found.items() if include is not None or tensor.dim() > 1}
    if not found:
        raise MisuseError(f"nothing to prune is left by include={include!r} and exclude={exclude!r}.")
    return found


def apply_masks(model: nn.Module, masks: Masks) -> None:
    """Put masks on parameters, in place of those that are there.

    From now on the forward pass uses `weight * mask`: what is masked is exactly zero and has no gradient, with any
    optimizer. The trained parameter is the same object as before, named `<name>_orig` by torch, so an optimizer made
    earlier goes on with it; `torch.nn.utils.prune.remove` makes the zeros permanent.

    Args:
        model: the module.
        masks: recorded name of a parameter to bool array or tensor of its shape, True where a weight stays.

    Raises:
        NotFoundError: there is no such parameter.
        MisuseError: a mask has another shape, or the weight is made of the parameter; see `check_used_as_it_is`.
    """
    inventory = take_inventory(model)
    ready = {name: _checked(inventory, name, mask) for name, mask in masks.items()}
    for name, mask in ready.items():
        for module, key in _owners(model, inventory.places[name].tensor()):
            _put(module, key, mask)


def masks_of(model: nn.Module) -> dict[str, Array]:
    """The masks that a model has now.

    Returns:
        Recorded name of each masked parameter to bool, True where a weight stays.
    """
    found = {}
    for name, place in take_inventory(model).places.items():
        mask = place.module._buffers.get(place.key + MASK)
        if place.role == "weight" and mask is not None:
            found[name] = mask.detach().ne(0).cpu().numpy()
    return found


def _checked(inventory: Inventory, name: str, mask: Array | Tensor) -> Tensor:
    place = inventory.places.get(name)
    if place is None or place.role != "weight":
        raise NotFoundError(f"no parameter {name!r} to mask. The model has: {', '.join(inventory.names('weight'))}.")
    found = torch.as_tensor(mask)
    tensor = place.tensor()
    if found.shape != tensor.shape:
        raise MisuseError(f"the mask of {name} is {tuple(found.shape)}, but the parameter is {tuple(tensor.shape)}.")
    check_used_as_it_is(name, place)
    return found.ne(0).to(tensor)


def check_used_as_it_is(name: str, place: Place) -> None:
    """See that the forward pass uses the parameter itself, since a mask on what a weight is made of is no mask of it.

    Args:
        name: of the parameter.
        place: where it is.

    Raises:
        MisuseError: torch.nn.utils.parametrize, weight_norm or spectral_norm make a weight of it.
    """
    if "parametrizations" in place.path.split("."):
        raise MisuseError(f"{name} is made by torch.nn.utils.parametrize, which pruning cannot hook. Exclude it.")
    for hook in place.module._forward_pre_hooks.values():
        if not isinstance(hook, WeightNorm | SpectralNorm):
            continue
        if place.key in {f"{hook.name}_{part}" for part in ("g", "v", "orig")}:
            kind = "weight_norm" if isinstance(hook, WeightNorm) else "spectral_norm"
            raise MisuseError(
                f"torch.nn.utils.{kind} makes {hook.name} of {name} before pruning's hook has its turn. Exclude it."
            )


def _owners(model: nn.Module, parameter: Tensor) -> Iterator[tuple[nn.Module, str]]:
    """Wherever the parameter is used, without torch's `_orig`: a tied one needs the mask in each of its modules."""
    for module in model.modules():
        for key, tensor in list(module._parameters.items()):
            if tensor is parameter:
                plain = key.removesuffix(ORIG)
                yield module, plain if plain + MASK in module._buffers else key


def _put(module: nn.Module, key: str, mask: Tensor) -> None:
    if key + MASK not in module._buffers:
        prune.custom_from_mask(module, key, mask)  # type: ignore[no-untyped-call]
        return
    module._buffers[key + MASK] = mask
    setattr(module, key, module.get_parameter(key + ORIG) * mask)  # as its hook does before each forward pass
