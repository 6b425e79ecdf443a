"""Small models, loops around them, and clones of what they hold."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def small() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def update(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor | None = None) -> None:
    optimizer.zero_grad()
    out = model(torch.randn(5, 4) if x is None else x)
    out = out[0] if isinstance(out, tuple) else out
    out.square().sum().backward()
    optimizer.step()


def raw(model: nn.Module) -> dict[str, bytes]:
    """Bytes of everything in the state dict, as contiguous copies."""
    return {name: as_bytes(tensor) for name, tensor in model.state_dict().items()}


def as_bytes(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().clone(memory_format=torch.contiguous_format).reshape(-1)
    return flat.view(torch.uint8).cpu().numpy().tobytes()


def train(
    model: nn.Module, steps: int, make: Callable[..., torch.optim.Optimizer] = torch.optim.SGD
) -> list[dict[str, bytes]]:
    """Train and clone: position k holds the bytes after update k."""
    optimizer = make(model.parameters(), lr=0.1)
    seen = [raw(model)]
    for _ in range(steps):
        update(model, optimizer)
        seen.append(raw(model))
    return seen
