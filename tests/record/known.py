"""A training whose right weights at each step are a closed form, so that whatever a crash leaves is checked exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune

from wdyn.errors import DamagedError
from wdyn.store.reader import open_run
from wdyn.store.run import Run

SHAPES = {"weight": (4, 3), "bias": (150,)}  # a step takes more than one sector of a disk
STEP_BYTES = sum(4 * int(np.prod(shape)) for shape in SHAPES.values()) + 8
MASK_EVERY = 7  # steps that one pruning mask holds


def values(step: int) -> dict[str, np.ndarray]:
    """What step `step` holds: every number is different from all others of all steps, and exact in float32."""
    found, first = {}, step * 256
    for name, shape in SHAPES.items():
        count = int(np.prod(shape))
        found[name] = np.arange(first, first + count, dtype=np.float32).reshape(shape)
        first += count
    return {**found, "count": np.array(step, dtype=np.int64)}


def mask(step: int) -> np.ndarray:
    """The pruning mask of `weight` that holds at a step of a masked training."""
    return (np.arange(12).reshape(4, 3) + step // MASK_EVERY) % 3 > 0


class Known(nn.Module):
    """Has the values of `values`; its buffer is the step."""

    def __init__(self, step: int = 0, *, masked: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.zeros(shape)) for shape in SHAPES.values())
        self.register_buffer("count", torch.tensor(0))
        self.masked = masked
        if masked:
            prune.custom_from_mask(self, "weight", torch.ones(4, 3))
        self.become(step)

    def become(self, step: int) -> None:
        """Take the values of a step."""
        new = {name: torch.from_numpy(array) for name, array in values(step).items()}
        with torch.no_grad():
            (self.weight_orig if self.masked else self.weight).copy_(new["weight"])
            self.bias.copy_(new["bias"])
            self.count.copy_(new["count"])
            if self.masked:
                self.weight_mask.copy_(torch.from_numpy(mask(step).astype(np.float32)))


class Follow(torch.optim.Optimizer):
    """An optimizer whose every update brings the model to its next step."""

    def __init__(self, model: Known) -> None:
        super().__init__(model.parameters(), {})
        self._model = model

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update."""
        self._model.become(int(self._model.count) + 1)


def wrong_rows(run: Run, *, masked: bool = False, lost: list[int] | None = None) -> int:
    """How many steps of a run, and scalars, are not what they were; `lost` gets the steps that are known to be lost."""
    wrong = 0
    for step in run.steps.tolist():
        try:
            state = run.state(step, masked=False)
            held = run.masks(step).get("weight") if masked else None
        except DamagedError:
            assert lost is not None, f"step {step} is damaged"
            lost.append(step)
            continue
        same = all(np.array_equal(state[name], array) for name, array in values(step).items())
        wrong += not (same and (not masked or (held is not None and np.array_equal(held, mask(step)))))
    if "loss" in run.metrics:
        loss = run.metrics["loss"]
        wrong += int(np.sum(loss.values != loss.steps * 0.5))
    return wrong


def readable_steps(path: Path, *, masked: bool = False) -> tuple[list[int], int]:
    """The steps of a run that can be read, and how many of them are wrong."""
    lost: list[int] = []
    with open_run(path) as run:
        wrong = wrong_rows(run, masked=masked, lost=lost)
        return [step for step in run.steps.tolist() if step not in lost], wrong
