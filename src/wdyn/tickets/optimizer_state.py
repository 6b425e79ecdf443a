"""An optimizer's memory (momentum, second moments, step counts) at a step, kept in a file and given to another."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from wdyn.errors import DamagedError, MisuseError
from wdyn.record.inventory import MASK, take_inventory

State = dict[str, dict[str, Tensor | float]]  # recorded name of a parameter -> what the optimizer remembers of it


def remembered(model: nn.Module, optimizer: Optimizer) -> State:
    """A copy of what an optimizer remembers of the model's parameters.

    Raises:
        MisuseError: it holds something that is neither a tensor nor a number.
    """
    found: State = {}
    for name, parameter in _parameters(model).items():
        kept = {key: value for key, value in optimizer.state.get(parameter, {}).items() if value is not None}
        for key, value in kept.items():
            if not isinstance(value, Tensor | int | float):
                raise MisuseError(
                    f"{type(optimizer).__name__} remembers {key!r}, a {type(value).__name__}, of {name}, which cannot "
                    f"be kept. Search with optimizer_state='fresh'."
                )
        if kept:
            found[name] = {k: v.detach().cpu().clone() if isinstance(v, Tensor) else v for k, v in kept.items()}
    return found


@contextmanager
def reminded(model: nn.Module, state: State) -> Iterator[None]:
    """Let each optimizer of the model's parameters remember this from its first step on; its groups stay as they are.

    Args:
        model: with the masks that hold: what is remembered of a masked weight is set to zero.
        state: as from `remembered`, of a model with the same parameters.
    """
    waiting = dict(state)

    def before(optimizer: Optimizer, *_: Any) -> None:
        if waiting:
            owned = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
            for name, parameter in _parameters(model).items():
                if name in waiting and id(parameter) in owned:
                    optimizer.state[parameter] = _fitted(
                        model, name, parameter, waiting.pop(name), owned[id(parameter)]
                    )

    handle = register_optimizer_step_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def save_state(path: Path, state: State) -> None:
    """Write it as npz: `index`, JSON of names, types and shapes; `values`, all bytes in that order; `checksum`.

    Raises:
        OSError: it could not be written.
    """
    index, values = [], []
    for name, entries in state.items():
        for key, value in entries.items():
            tensor = (
                torch.as_tensor(value) if isinstance(value, Tensor | int) else torch.tensor(value, dtype=torch.float64)
            )
            kind = str(tensor.dtype).removeprefix("torch.")
            index.append([name, key, kind, list(tensor.shape), isinstance(value, Tensor)])
            values.append(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    text, raw = json.dumps(index).encode(), b"".join(values)
    buffer = io.BytesIO()
    sum_ = np.array(crc32(raw, crc32(text)), "<u4")
    np.savez(buffer, index=np.frombuffer(text, np.uint8), values=np.frombuffer(raw, np.uint8), checksum=sum_)
    with path.open("wb") as file:
        file.write(buffer.getvalue())
        file.flush()
        os.fsync(file.fileno())


def load_state(path: Path) -> State:
    """Read what `save_state` wrote.

    Raises:
        DamagedError: it is missing, or not what was written.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            text, raw, sum_ = file["index"].tobytes(), file["values"].tobytes(), int(file["checksum"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DamagedError(f"{path}: the optimizer's state of the dense run cannot be read ({error}).") from error
    if crc32(raw, crc32(text)) != sum_:
        raise DamagedError(f"{path}: the optimizer's state of the dense run does not match its checksum.")
    found: State = {}
    at = 0
    for name, key, kind, shape, is_tensor in json.loads(text):
        dtype = getattr(torch, kind)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        tensor = torch.frombuffer(bytearray(raw[at : at + size]), dtype=torch.uint8) if size else torch.empty(0)
        tensor = tensor.view(dtype).reshape(shape) if size else torch.empty(shape, dtype=dtype)
        found.setdefault(name, {})[key] = tensor if is_tensor else tensor.item()
        at += size
    return found


def _parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: place.tensor() for name, place in take_inventory(model).places.items() if place.role == "weight"}


def _fitted(
    model: nn.Module, name: str, parameter: Tensor, entries: Mapping[str, Any], group: Mapping[str, Any]
) -> dict[str, Any]:
    """On the parameter's device and under its mask; the count of steps where torch's own optimizers want it."""
    place = take_inventory(model).places[name]
    mask = place.module._buffers.get(place.key + MASK)
    on_device = bool(group.get("capturable") or group.get("fused"))
    found = {}
    for key, value in entries.items():
        if isinstance(value, Tensor):
            value = value.clone() if key == "step" and not on_device else value.to(parameter.device, copy=True)
            if mask is not None and value.shape == mask.shape:
                value = value * mask.to(value)
        found[key] = value
    return found
