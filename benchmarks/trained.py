"""A real training to measure with: LeNet-300-100 on scikit-learn's digits, drawn to the size of MNIST."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from wdyn.record import packing
from wdyn.record.recorder import Recorder


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """1,797 images of 28 x 28, as (1797, 784) in 0 to 1, and their digits."""
    found = load_digits()
    large = np.kron(found.images / 16, np.ones((3, 3)))  # 24 x 24
    return torch.from_numpy(np.pad(large, ((0, 0), (2, 2), (2, 2))).reshape(-1, 784)).float(), torch.tensor(
        found.target
    )


def updates(optimizer: str, model: nn.Module) -> Iterator[None]:
    """Training without end, an update at a time; momentum SGD, or Adam at the rate tickets are found with."""
    x, y = digits()
    rate = {"SGD": {"lr": 3e-3, "momentum": 0.9}, "Adam": {"lr": 1.2e-3}}[optimizer]
    steps = getattr(torch.optim, optimizer)(model.parameters(), **rate)
    generator = torch.Generator().manual_seed(0)
    while True:
        batch = torch.randint(len(x), (60,), generator=generator)
        steps.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        steps.step()
        yield


def lenet() -> nn.Module:
    """Seeded."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))


def journal(path: Path, steps: int, optimizer: str = "SGD", model: nn.Module | None = None) -> Path:
    """The journal of a recording of all these steps, not packed; the path of its run."""
    packing.pack = lambda run_file: None
    model = lenet() if model is None else model
    with Recorder(model, path, program=False):
        for _, _ in zip(range(steps), updates(optimizer, model), strict=False):
            pass
    return path
