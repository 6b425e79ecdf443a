"""A run of one step in memory, made from a model, with what replay asks of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from wdyn.record.layers import find_layers
from wdyn.record.program import export_program
from wdyn.record.snapshot import Snapshot
from wdyn.store.layers import Layer
from wdyn.store.sources import Sample


class ModelRun:
    """Offers the steps, layers, tensors, sample and program of a model as it is now."""

    path, no_program = Path("a.h5"), ""

    def __init__(self, model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        snapshot = Snapshot(model, ("*",), ())
        self.steps = np.array([0])
        self.parameters = {spec.name: spec for spec in snapshot.tensors}
        self.layers = {row["name"]: Layer(**row) for row in find_layers(snapshot)[0]}
        self.sample = Sample(_numpy(inputs), targets.numpy())
        self.program = json.loads(json.dumps(export_program(model, (inputs[:4],), {}, snapshot.inventory)))
        self._state = {name: _numpy(place.tensor()) for name, place in snapshot.inventory.places.items()}

    def state(self, step: int, names=None):
        return {name: value.copy() for name, value in self._state.items() if names is None or name in names}


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().clone()
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()
