"""The facts of a run as a stranger's file gives them: each must be of the kind that FORMAT.md says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from wdyn.journal.schema import ITEM_SIZES, TensorSpec
from wdyn.store.layers import Layer

_TEXTS = ("wdyn", "torch", "python", "run_id", "created", "model", "schedule")
_NUMBERS = {"rows", "columns", "axis", "start", "groups"}  # fields of a Layer; the others are text
_Tensors = Mapping[str, TensorSpec]


def check_facts(meta: Mapping[str, Any]) -> dict[str, TensorSpec]:
    """Look at all facts that wdyn uses.

    Args:
        meta: the object of a run of a format that this wdyn reads.

    Returns:
        Name to tensor, in the order of the run.

    Raises:
        ValueError: a fact is missing, or of another kind; the text names it.
    """
    if not _is_list(meta.get("tensors"), _is_tensor):
        raise ValueError("tensors")
    listed = [TensorSpec(name, role, dtype, tuple(shape)) for name, role, dtype, shape in meta["tensors"]]
    tensors = {each.name: each for each in listed}
    good = {
        **{key: isinstance(meta.get(key), str) for key in _TEXTS},
        "tensors": len(tensors) == len(listed),
        "optimizer": isinstance(meta.get("optimizer", 0), str | None),
        "layers": _is_list(meta.get("layers"), lambda layer: _is_layer(layer, tensors)),
        "left_out": _is_list(meta.get("left_out"), _is_pair_of_texts),
        "tied": isinstance(meta.get("tied"), dict) and all(_is_name(name, tensors) for name in meta["tied"].values()),
        "metadata": isinstance(meta.get("metadata"), dict),
        "notes": _is_list(meta.get("notes"), _is_note),
    }
    for key in (key for key, fine in good.items() if not fine):
        raise ValueError(key)
    return tensors


def is_count(value: object, least: int = 0) -> bool:
    """Whether a JSON value is a whole number that fits 64 bits, and not too small."""
    return type(value) is int and least <= value < 1 << 63


def is_shape(value: object) -> bool:
    """Whether a JSON value is the shape of an array."""
    return _is_list(value, is_count) and len(value) <= 32  # type: ignore[arg-type]


def _is_list(value: object, good: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(good, value))


def _is_pair_of_texts(value: object) -> bool:
    return _is_list(value, lambda part: isinstance(part, str)) and len(value) == 2  # type: ignore[arg-type]


def _is_name(value: object, tensors: _Tensors) -> bool:
    return isinstance(value, str) and value in tensors


def _is_tensor(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 4:
        return False
    name, role, dtype, shape = value
    texts = isinstance(name, str) and role in ("weight", "buffer") and isinstance(dtype, str) and dtype in ITEM_SIZES
    return texts and is_shape(shape)


def _is_note(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("what"), str):
        return False
    steps = value.get("steps", [0, 0])
    texts = isinstance(value.get("reason", ""), str) and is_count(value.get("step", 0))
    return texts and _is_list(steps, is_count) and len(steps) == 2


def _is_layer(value: object, tensors: _Tensors) -> bool:
    """Whether these are the fields of a Layer, and it lies within its parameter."""
    if not isinstance(value, dict) or value.keys() != set(Layer._fields):
        return False
    numbers = all(is_count(value[field]) == (field in _NUMBERS) for field in Layer._fields)
    texts = all(isinstance(value[field], str) for field in ("name", "kind"))
    bias = value["bias"] is None or _is_name(value["bias"], tensors)
    if not (numbers and texts and bias and _is_name(value["parameter"], tensors)):
        return False
    return _fits(Layer(**value), tensors[value["parameter"]].shape, tensors)


def _fits(layer: Layer, shape: tuple[int, ...], tensors: _Tensors) -> bool:
    if layer.bias is not None and tensors[layer.bias].shape[:1] < (layer.start + layer.rows,):
        return False
    if layer.axis == 0 and shape:
        return layer.start + layer.rows <= shape[0] and layer.columns == math.prod(shape[1:])
    if layer.axis != 1 or len(shape) < 2 or layer.start or not layer.groups or shape[0] % layer.groups:
        return False
    inputs = shape[0] // layer.groups * math.prod(shape[2:])
    return layer.rows == shape[1] * layer.groups and layer.columns == inputs
