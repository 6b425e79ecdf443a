"""What a run says of itself at its start, and the checks of what the user hands in."""

from __future__ import annotations

import json
import operator
import platform
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from wdyn._version import __version__
from wdyn.errors import MisuseError
from wdyn.record.distributed import class_name
from wdyn.record.inventory import unwrapped
from wdyn.record.layers import find_layers
from wdyn.record.schedule import describe
from wdyn.record.snapshot import Snapshot

Array = np.ndarray[Any, np.dtype[Any]]
FORMAT = 1
MOST_DIGITS = 4300  # of a whole number in JSON that Python reads unless it is told otherwise


def facts(
    model: nn.Module,
    snapshot: Snapshot,
    *,
    optimizer: Optimizer | None,
    schedule: Callable[[int], bool],
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    """The schema's `meta`, JSON-able."""
    layers, left_out = find_layers(snapshot)
    return {
        "format": FORMAT,
        "wdyn": __version__,
        "run_id": uuid.uuid4().hex,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": class_name(unwrapped(model)),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "optimizer": None if optimizer is None else type(optimizer).__name__,
        "schedule": describe(schedule),
        "layers": layers,
        "left_out": left_out,
        "tied": _recorded_ties(snapshot),
        "metadata": dict(metadata),
    }


def check_arguments(model: object, optimizer: object, schedule: object, when_behind: object) -> None:
    """Look at what needs no further work to be seen as wrong.

    Raises:
        MisuseError: the model, optimizer, schedule or policy cannot be used.
    """
    if not isinstance(model, nn.Module):
        raise MisuseError(f"the model must be a torch.nn.Module, but got {type(model).__name__}.")
    if not callable(schedule):
        raise MisuseError(f"schedule is a function of the step, such as every(10), but got {schedule!r}.")
    if when_behind not in ("wait", "skip"):
        raise MisuseError(f"when_behind is 'wait' or 'skip', but got {when_behind!r}.")
    if optimizer is None:
        return
    if not isinstance(optimizer, Optimizer):
        got = type(optimizer).__name__
        raise MisuseError(
            f"optimizer must be a torch.optim.Optimizer, but got {got}. Leave it out and call rec.step()."
        )
    owned = {id(parameter) for group in optimizer.param_groups for parameter in group.get("params", ())}
    if not any(id(parameter) in owned for parameter in model.parameters()):
        raise MisuseError(f"this {type(optimizer).__name__} owns no parameter of the model, so it cannot train it.")


def checked_resume(resume: object, path: Path | None) -> bool | int:
    """Whether to go on with the run at a path, or from which step.

    Raises:
        MisuseError: it is neither, or there is no path.
    """
    if isinstance(resume, bool):
        step: bool | int = resume
    elif isinstance(resume, SupportsIndex) and operator.index(resume) >= 0:
        step = operator.index(resume)
    else:
        raise MisuseError(f"resume is True, False or the step that the model is at, from 0, but got {resume!r}.")
    if step is not False and path is None:
        raise MisuseError(
            "resume goes on with a run, so give its path as well: Recorder(model, 'runs/a.h5', resume=True)."
        )
    return step


def checked_bound(max_bytes: object) -> int | None:
    """What the recorded steps may take, in whole bytes, or None.

    Raises:
        MisuseError: it is no number of bytes.
    """
    if max_bytes is None:
        return None
    if isinstance(max_bytes, int | float | np.integer) and max_bytes == max_bytes // 1:  # 2e9 is easily said
        return int(max_bytes)
    raise MisuseError(f"max_bytes is a number of bytes, such as 2e9, but got {max_bytes!r}.")


def checked_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """The metadata as JSON gives it back.

    Raises:
        MisuseError: it is not a dict, or holds something that JSON cannot.
    """
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, Mapping):
        raise MisuseError(f"metadata is a dict of names to JSON values, but got {type(metadata).__name__}.")
    try:
        checked: dict[str, Any] = json.loads(json.dumps(dict(metadata), allow_nan=False), parse_int=_whole)
    except (TypeError, ValueError, RecursionError) as error:
        raise MisuseError(
            f"metadata must be values that JSON can hold (numbers, text, lists, dicts): {error}."
        ) from error
    return checked


def checked_sample(sample: object) -> dict[str, Array]:
    """The sample as arrays `inputs` and `targets`, first axis the example.

    Raises:
        MisuseError: it is not a pair of number arrays of one length.
    """
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise MisuseError(f"sample is a pair (inputs, targets), but got {type(sample).__name__}.")
    inputs, targets = (_array(part) for part in sample)
    if len(inputs) != len(targets):
        raise MisuseError(f"sample has {len(inputs)} inputs but {len(targets)} targets; there must be one for each.")
    return {"inputs": inputs, "targets": targets}


def checked_patterns(patterns: object) -> tuple[str, ...]:
    """Globs as a tuple, from one or several.

    Raises:
        MisuseError: one of them is not text.
    """
    given = tuple(patterns) if isinstance(patterns, Iterable) and not isinstance(patterns, str) else (patterns,)
    names = tuple(pattern for pattern in given if isinstance(pattern, str))
    if len(names) < len(given):
        raise MisuseError(f"include and exclude take names or globs such as 'fc*', but got {patterns!r}.")
    return names


def single_number(value: Any) -> float:
    """A number, or the one number of a tensor or array.

    Raises:
        Exception: it is none; of whatever type the value raises.
    """
    if isinstance(value, str | bytes):
        raise TypeError(f"{value!r} is text")
    return float(value.item() if hasattr(value, "item") else value)


def single_numbers(values: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Those values that are single numbers, and what is wrong with the others."""
    numbers, others = {}, {}
    for name, value in values.items():
        try:
            numbers[name] = single_number(value)
        except Exception as error:  # a value may raise anything
            others[name] = str(error)
    return numbers, others


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


def _recorded_ties(snapshot: Snapshot) -> dict[str, str]:
    recorded = {spec.name for spec in snapshot.tensors}
    return {alias: name for alias, name in snapshot.inventory.tied.items() if name in recorded}


def _array(part: object) -> Array:
    try:
        if isinstance(part, torch.Tensor):
            part = part.detach().cpu()
            part = part.float().numpy() if part.dtype is torch.bfloat16 else part.numpy()
        array = np.asarray(part)
    except (TypeError, ValueError, RuntimeError) as error:  # sparse, quantized, of a type that NumPy lacks
        raise MisuseError(f"sample must be two arrays of numbers: {error}.") from error
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise MisuseError(f"sample must be two arrays of numbers, but one is {array.dtype} {array.shape}.")
    return array
