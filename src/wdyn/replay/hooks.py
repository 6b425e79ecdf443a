"""Forward hooks: units that give something else, and what modules give while they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def clamping(gone: Tensor, value: Tensor, axis: int) -> Callable[..., Tensor]:
    """A hook that puts `value` (units,) in place of what the units give that are `gone` (units,) along an axis."""
    shape = (-1, *[1] * (-1 - axis))

    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return torch.where(gone.reshape(shape), value.to(output.dtype).reshape(shape), output)

    return hook


@contextmanager
def seen(
    modules: Mapping[str, nn.Module], *, watch: bool = False, calls: list[str] | None = None
) -> Iterator[dict[str, Tensor]]:
    """What modules give while the block runs; with `watch` as leaves that gradients are asked for.

    `calls` gets the name of a module each time it is called.
    """
    values: dict[str, Tensor] = {}

    def hook_for(name: str) -> Callable[..., Tensor | None]:
        def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
            values[name] = output.detach().requires_grad_() if watch else output
            if calls is not None:
                calls.append(name)
            return values[name] if watch else None

        return hook

    handles = [module.register_forward_hook(hook_for(name)) for name, module in modules.items()]
    try:
        yield values
    finally:
        for handle in handles:
            handle.remove()
