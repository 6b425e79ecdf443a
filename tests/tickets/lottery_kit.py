"""Small networks to search tickets in, and what a folder holds, without clocks and names drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from wdyn import open_run
from wdyn.store.pack import pack


def pack_here(path: Path) -> None:
    """In place of `wdyn.record.packing.pack`, which starts an interpreter for each run."""
    pack(path)


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3))


def with_norm() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.01)


def momentum(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9)


def training(steps: int = 6, shape: tuple[int, ...] = (6,), make: Callable[..., Any] = adam) -> Callable[..., None]:
    """A training whose batches depend on the global random numbers, and a value of its own logged at each step."""

    def train(model: nn.Module, recorder: Any) -> None:
        optimizer = make(model.parameters())
        for _ in range(steps):
            loss = model(torch.randn(7, *shape)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.log(val_loss=loss)

    return train


def resumable(steps: int = 8, shape: tuple[int, ...] = (6,), make: Callable[..., Any] = adam) -> Callable[..., None]:
    """A training whose batch depends on its step alone, and that can go on from any."""

    def train(model: nn.Module, recorder: Any, start: int = 0) -> None:
        optimizer = make(model.parameters())
        for step in range(start, steps):
            batch = torch.randn(7, *shape, generator=torch.Generator().manual_seed(step))
            batch = batch.to(next(model.parameters()).dtype)
            loss = model(batch).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train


def content(folder: Path) -> dict[str, Any]:
    """All that the runs of a folder hold: steps, raw values, masks, metrics, and what they say of themselves."""
    found = {}
    for path in sorted(folder.glob("*.h5")):
        with open_run(path) as run:
            values = {step: run.state(step, masked=False) for step in run.steps.tolist()}
            masks = run.masks(int(run.steps[-1]))
            ticket = dict(run.meta["metadata"]["ticket"])
            for role in ("start", "mask_from"):
                ticket[role] = ticket[role] and {**ticket[role], "run_id": None}
            found[path.name] = {
                "values": {
                    step: {name: each.tobytes() for name, each in state.items()} for step, state in values.items()
                },
                "masks": {name: mask.tobytes() for name, mask in masks.items()},
                "metrics": {name: (each.steps.tolist(), each.values.tolist()) for name, each in run.metrics.items()},
                "ticket": ticket,
            }
    return found


def slow_choice(scores: np.ndarray, alive: np.ndarray, keep: int) -> np.ndarray:
    """Sort all that are alive, highest first, of equal ones the later index first, and take so many."""
    places = sorted(np.flatnonzero(alive), key=lambda at: (scores.flat[at], at), reverse=True)
    mask = np.zeros(alive.shape, bool)
    mask.flat[places[:keep]] = True
    return mask
