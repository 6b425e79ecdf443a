"""JSON that a stranger may have written, read with limits: it can take many times the memory of its text."""

from __future__ import annotations

import json
from typing import Any

MOST_PARTS = 1 << 20  # lists and objects in all
_DEEPEST = 500  # lists and objects inside each other: Python can still write what is read


def read_json(text: bytes, *, deepest: int = _DEEPEST, most_parts: int = MOST_PARTS) -> Any:
    """The value of a text.

    Args:
        text: JSON in UTF-8.
        deepest: most lists and objects inside each other.
        most_parts: most lists and objects in all.

    Raises:
        ValueError: it is larger or deeper, or no JSON; NaN and infinities are none.
    """
    if text.count(b"[") + text.count(b"{") > most_parts:
        raise ValueError(f"more than {most_parts:,} lists and objects")
    try:
        value = json.loads(text.decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("lists in lists without end") from None
    _check_depth(value, deepest)
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _check_depth(value: Any, deepest: int) -> None:
    level = [value] if isinstance(value, list | dict) else []
    for _ in range(deepest):
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, list | dict)
        ]
        if not level:
            return
    raise ValueError(f"more than {deepest} lists in each other")
