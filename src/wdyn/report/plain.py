"""Anything a run or a result holds → values that strict JSON knows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """The value as dicts with text keys, lists, text, numbers, booleans and None.

    Args:
        value: numbers, text, mappings, iterables, NumPy arrays and scalars; anything else becomes its text.

    Returns:
        JSON-able value. Numbers that are not finite become None; float32 keeps its nine significant digits.
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
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [plain(each) for each in value]
    return str(value)


def _array(values: np.ndarray) -> Any:
    if values.ndim:
        return [_array(each) for each in values] if values.ndim > 1 else [_number(v, values.dtype) for v in values.tolist()]
    return _number(values.item(), values.dtype)


def _number(value: Any, dtype: np.dtype) -> Any:
    if not isinstance(value, float):
        return plain(value)
    if not math.isfinite(value):
        return None
    return float(f"{value:.9g}") if dtype == np.float32 else value  # 9 digits name a float32 exactly, 17 are noise
