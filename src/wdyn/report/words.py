"""Facts of a run → words on the page; template filters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

CONDITIONS = {
    "recording": "This run is still being recorded: the page shows what there was when it was written.",
    "interrupted": "The recording process ended without closing this run: the page shows every whole step it left.",
}


def number(value: Any) -> str:
    """A value for reading: thousands grouped, six significant digits, a dash for nothing.

    Args:
        value: number, text or None.
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.6g}"


def note_words(note: Mapping[str, Any]) -> str:
    """A recorded note as a sentence.

    Args:
        note: `what`, `reason` and, where it concerns a stretch, `steps` (first, last).
    """
    what = {"gap": "Not recorded", "skipped": "Skipped", "ended": "Recording ended", "closed": "Closed"}
    start: str = what.get(str(note.get("what")), str(note.get("what")))
    if note.get("steps"):
        start += " at steps " + " to ".join(number(step) for step in note["steps"])
    elif note.get("step") is not None:
        start += f" at step {number(note['step'])}"
    return f"{start}: {note['reason']}" if note.get("reason") else start


def moment(created: str) -> str:
    """An ISO time in UTC for reading, to the minute."""
    return f"{created[:10]} at {created[11:16]} UTC"


def condition_words(condition: str) -> str:
    """A warning where a run is not whole; empty for a finished one."""
    return CONDITIONS.get(condition, "")


def clip(text: Any, length: int = 80) -> str:
    """Text cut to a length, with an ellipsis where it was."""
    words = str(text)
    return words if len(words) <= length else words[: length - 1] + "…"


def neuron_count(layers: list[Mapping[str, Any]]) -> int:
    """Neurons of all layers together."""
    return sum(layer["rows"] for layer in layers)


WORDS: dict[str, Callable[..., Any]] = {
    "number": number,
    "note_words": note_words,
    "moment": moment,
    "condition_words": condition_words,
    "clip": clip,
    "neuron_count": neuron_count,
}
