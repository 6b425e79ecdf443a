"""A copy of a model's modules that shares its tensors: it may be put into eval mode and run on fake tensors."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from wdyn.record.inventory import MASK, ORIG, is_wrapper_segment, unwrapped

_FORWARD_HOOKS = ("_forward_pre_hooks", "_forward_hooks")
_HOOKS = (*_FORWARD_HOOKS, "_backward_hooks", "_backward_pre_hooks")
_COMPUTES_A_WEIGHT = "torch.nn.utils."  # without such a hook the forward pass is not the same


_SHARED = (Tensor, Optimizer, np.ndarray, DataLoader, Dataset)


class Shell(NamedTuple):
    """The copy, and the paths of the modules whose forward hooks, the user's own code, it lacks."""

    model: nn.Module
    without_hooks: list[str]


def make_shell(model: nn.Module) -> Shell:
    """Copy the modules of a model, not its tensors.

    Pruning masks are gone from the copy: a recorded weight is read with its mask applied. Hooks of
    `torch.nn.utils` that compute a weight stay, all others are gone.

    Args:
        model: any module; it is not touched.

    Returns:
        The copy without the wrappers of torch.compile and data parallelism, in eval mode.

    Raises:
        Exception: whatever a module raises that cannot be copied.
    """
    inner = unwrapped(model)
    without = [name for name, module in inner.named_modules() if any(_of_users(module))]
    copied = copy.deepcopy(inner, _shared(inner))
    for module in list(copied.modules()):
        _without_wrappers(module)
        _without_pruning(module)
    return Shell(copied.eval(), without)


def _shared(model: nn.Module) -> dict[int, Any]:
    """What a deep copy is to take as it is, by identity."""
    known: dict[int, Any] = {}
    for module in model.modules():
        own = (module._parameters.values(), module._buffers.values(), vars(module).values())
        # what hangs on a module besides its tensors may be as large as the model itself
        known |= {id(each): each for values in own for each in values if isinstance(each, _SHARED)}
        for kind in _HOOKS:
            hooks = getattr(module, kind)
            known[id(hooks)] = OrderedDict(
                (key, copy.copy(hook)) for key, hook in hooks.items() if _computes_a_weight(hook)
            )
        for extra in ("_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs"):
            known[id(getattr(module, extra))] = OrderedDict()
    return known


def _of_users(module: nn.Module) -> Iterator[Any]:
    for kind in _FORWARD_HOOKS:
        for hook in getattr(module, kind).values():
            if not _computes_a_weight(hook) and not str(getattr(hook, "__module__", "")).startswith("wdyn."):
                yield hook


def _computes_a_weight(hook: object) -> bool:
    return type(hook).__module__.startswith(_COMPUTES_A_WEIGHT)


def _without_wrappers(module: nn.Module) -> None:
    for key, child in module._modules.items():
        while child is not None and (inside := _inside(child)) is not None:
            module._modules[key] = child = inside


def _inside(module: nn.Module) -> nn.Module | None:
    return next((child for key, child in module._modules.items() if is_wrapper_segment(module, key)), None)


def _without_pruning(module: nn.Module) -> None:
    for key in [key.removesuffix(MASK) for key in module._buffers if key.endswith(MASK)]:
        if key + ORIG in module._parameters:
            module._parameters[key] = module._parameters.pop(key + ORIG)
            del module._buffers[key + MASK]
            vars(module).pop(key, None)  # the masked weight of the last forward pass
            for number, hook in list(module._forward_pre_hooks.items()):
                if getattr(hook, "_tensor_name", None) == key:
                    del module._forward_pre_hooks[number]
