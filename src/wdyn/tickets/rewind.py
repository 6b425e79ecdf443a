"""Where survivors start: the tensors of a recorded step, back in a model to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wdyn.errors import MisuseError
from wdyn.record.inventory import take_inventory
from wdyn.store.run import Run

Array = np.ndarray[Any, np.dtype[Any]]
Tensors = Mapping[str, Tensor]


def tensors_of(run: Run, step: int) -> dict[str, Tensor]:
    """All weights and buffers of a step with the types they had while training, what is under a mask included.

    Raises:
        NotFoundError: the step was not recorded.
    """
    state = run.state(step, run.parameters, masked=False)
    return {
        name: torch.from_numpy(np.asarray(state[name])).to(getattr(torch, spec.dtype))
        for name, spec in run.parameters.items()
    }


def load(model: nn.Module, tensors: Tensors, *, source: str) -> None:
    """Give a model these weights and buffers.

    Args:
        model: as `make_model` made it.
        tensors: recorded name to values; what it does not name is left as it is.
        source: file that they come from, for the text of an error.

    Raises:
        MisuseError: the model has no tensor of such a name and shape.
    """
    places = take_inventory(model).places
    for name, tensor in tensors.items():
        own = places[name].tensor() if name in places else None
        if own is None or own.shape != tensor.shape:
            has = "no such tensor" if own is None else f"one of shape {tuple(own.shape)}"
            raise MisuseError(
                f"{source}: {name} was recorded with shape {tuple(tensor.shape)}, but make_model() gives a model with "
                f"{has}. It must make the same network each time."
            )
        with torch.no_grad():
            own.copy_(tensor)
