"""Recorders that disturb the training at update 3, each in one way, to see whether that is noticed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from wdyn.record.fingerprint import checksum

DUE = 3
Harm = Callable[[nn.Module, Optimizer, Any], object]


class Nothing:
    """No Recorder at all."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.close = self.step = self.log = lambda *_, **__: None


class Bad:
    """Attaches as a Recorder does, and does harm once."""

    def __init__(self, harm: Harm, model: nn.Module, lab: Any) -> None:
        self.model, self._lab, self._harm, self._count = model, lab, harm, 0
        self._handle = register_optimizer_step_post_hook(self._after)
        self.close = self._handle.remove

    def _after(self, optimizer: Optimizer, *_: Any) -> None:
        self._count += 1
        if self._count == DUE:
            with torch.no_grad():
                self._harm(self.model, optimizer, self._lab)


class Referring:
    """Keeps the tensors of each step and not what is in them: at the end all have the values of the last."""

    def __init__(self, model: nn.Module) -> None:
        self._model, self.kept = model, [model.state_dict()]
        self._handle = register_optimizer_step_post_hook(lambda *_: self.kept.append(model.state_dict()))

    def close(self) -> None:
        self._handle.remove()

    def recorded(self) -> dict[int, dict[str, str]]:
        return {step: {name: checksum(value) for name, value in kept.items()} for step, kept in enumerate(self.kept)}


def replaced(model: nn.Module, *_: Any) -> None:
    model.fc.weight = nn.Parameter(model.fc.weight.clone(), requires_grad=True)
    model.fc.weight.grad = torch.zeros_like(model.fc.weight)


def same_values(tensor: torch.Tensor) -> None:
    tensor.data = tensor.data.clone()


def first_moment(optimizer: Optimizer) -> torch.Tensor:
    return next(iter(optimizer.state.values()))["exp_avg"]


# what it does, in which training, and which parts of the fingerprint must be said to differ first
BAD: dict[str, tuple[Harm, str, set[str]]] = {
    "draws from torch": (lambda *_: torch.rand(1), "plain", {"random numbers"}),
    "draws from Python": (lambda *_: random.random(), "plain", {"random numbers"}),
    "draws from NumPy": (lambda *_: np.random.rand(), "plain", {"random numbers"}),  # noqa: NPY002
    "switches the mode": (lambda model, *_: model.norm.eval(), "plain", {"train mode"}),
    "writes to a gradient": (lambda model, *_: model.fc.weight.grad.mul_(2), "plain", {"gradients"}),
    "touches the optimizer": (lambda _, optimizer, __: first_moment(optimizer).mul_(2), "plain", {"optimizer state"}),
    "changes an option": (lambda _, o, __: o.param_groups[0].update(lr=0.02), "plain", {"optimizer state"}),
    "bumps a version": (lambda model, *_: model.fc.weight.mul_(1), "plain", {"versions"}),
    "moves a parameter": (lambda model, *_: same_values(model.fc.weight), "plain", {"addresses"}),
    "replaces a parameter": (replaced, "plain", {"addresses", "gradients", "versions", "optimizer state"}),
    "leaves a hook": (lambda model, *_: model.fc.register_forward_hook(lambda *_: None), "plain", {"hooks"}),
    "leaves a hook on a tensor": (lambda m, *_: m.fc.weight.register_hook(lambda g: None), "plain", {"hooks"}),
    "changes a buffer": (lambda model, *_: model.norm.running_mean.data.add_(1), "plain", {"buffers"}),
    "changes a weight": (lambda model, *_: model.fc.weight.data.mul_(1.001), "plain", {"weights"}),
    "freezes a weight": (lambda model, *_: model.fc.bias.requires_grad_(False), "plain", {"requires_grad"}),
    "leaves an attribute": (lambda model, *_: setattr(model, "recorded", 3), "plain", {"attributes"}),
    "changes a setting": (lambda *_: torch.use_deterministic_algorithms(True), "plain", {"settings"}),
    "changes the loss scale": (lambda _, __, lab: lab.scaler._scale.mul_(2), "loss scale", {"loss scale"}),
}
