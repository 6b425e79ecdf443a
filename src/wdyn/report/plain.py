"""Anything a run or a result holds → values that strict JSON knows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """The value as dicts with text keys, lists, text, numbers, booleans and None.

    Args:
        value: numbers, text, mappings, named tuples, iterables, NumPy arrays and scalars; else it becomes its text.

    Returns:
        JSON-able value. Numbers that are not finite become None; float32 has the fewest digits that name it.
    """
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        return _array(np.asarray(value))
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [plain(each) for each in value]
    return str(value)


def _array(values: np.ndarray) -> Any:
    if values.ndim > 1:
        return [_array(each) for each in values]
    if values.ndim == 1:
        return [_number(each) for each in values]
    return _number(values[()])


def _number(value: Any) -> Any:
    if isinstance(value, np.float32 | np.float16):
        return float(str(value)) if np.isfinite(value) else None  # 0.1, not 0.10000000149011612
    return plain(value.item() if isinstance(value, np.generic) else value)
