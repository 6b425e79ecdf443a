"""The plain way to score a network without a unit: a forward hook, one unit at a time. Imports nothing from wdyn."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def loss_and_accuracy(output, targets: Tensor) -> tuple[float, float]:
    """Mean cross-entropy, and accuracy."""
    logits = output["logits"] if isinstance(output, dict) else output
    logits, targets = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    loss = F.cross_entropy(logits.double(), targets)
    return float(loss), float((logits.argmax(-1) == targets).double().mean())


def without_each_unit(model: nn.Module, after: nn.Module, axis: int, inputs: Tensor, targets: Tensor, *, at: int = 0):
    """(N, 2) loss and accuracy with one unit after the other clamped to 0 in what module `after` returns.

    `at`: which call of the module, where one module stands in several places.
    """
    model.eval()
    rows = []
    unit, call = None, 0

    def clamp(module, args, output):
        nonlocal call
        call += 1
        value = output[0] if isinstance(output, tuple) else output
        if unit is None or call - 1 != at:
            rows.append(value.shape[axis])
            return None
        value = value.clone()
        value.select(axis, unit).zero_()
        return (value, *output[1:]) if isinstance(output, tuple) else value

    handle = after.register_forward_hook(clamp)
    with torch.no_grad():
        model(inputs)
        found = []
        for unit in range(rows[at]):  # noqa: B007, the hook reads it
            call = 0
            found.append(loss_and_accuracy(model(inputs), targets))
    handle.remove()
    return np.array(found)
