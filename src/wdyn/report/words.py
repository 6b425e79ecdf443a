"""Facts of a run → words on the page; template filters."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wdyn.store.describe import note_text

CONDITIONS = {
    "recording": "This run is still being recorded: the page shows what there was when it was written.",
    "interrupted": "The recording process ended without closing this run: the page shows every whole step it left.",
}

PROBABILITY = re.compile(r"\bprobability\b|\bchance of\b", re.IGNORECASE)
HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def number(value: Any) -> str:
    """A value for reading: thousands grouped, four significant digits, a dash for nothing.

    Args:
        value: number, text or None.
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return _minus(f"{value:,}")
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return _minus(f"{value:,.0f}" if 1_000 <= abs(value) < 1e15 else _short_exponent(f"{value:.4g}"))


def _minus(digits: str) -> str:
    return digits.replace("-", "−", 1) if digits.startswith("-") else digits


def _short_exponent(digits: str) -> str:
    """1e-05 is 1e-5."""
    start, e, power = digits.partition("e")
    return start + e + str(int(power)) if e else digits


def value_words(value: Any, label: str) -> str:
    """`number`, but a probability of zero is one below the least number there is.

    Args:
        value: number, text or None.
        label: what the value is.
    """
    is_zero = isinstance(value, int | float) and not isinstance(value, bool) and value == 0
    return "< 1e-300" if is_zero and PROBABILITY.search(label) else number(value)


def visible(text: Any) -> str:
    """Text in which what would reorder or hide the letters around it is written as its number in Unicode."""
    return HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))


def telling(notes: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Notes with something to say of the numbers: that a recording was closed, or holds no program, is none."""
    return [note for note in notes if note.get("what") not in ("closed", "no program")]


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


def fact_rows(run: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Label and value of what is known of a run, as `provenance` gives it; for a comparison, of the report itself."""
    report = [("Report by", f"wdyn {run['report_wdyn']}"), ("Command", run["command"]), ("Seed", run["seed"])]
    if "runs" in run:
        return _known(report)
    recorded_with = f"wdyn {run['wdyn']}, torch {run['torch']}, Python {run['python']}"
    return _known([
        ("Run", run["run"]), ("Run id", run["run_id"]), ("Checksum", run["checksum"]), ("Condition", run["condition"]),
        ("Recorded", run["created"]), ("Model", run["model"]), ("Optimizer", run["optimizer"]),
        ("Schedule", run["schedule"]), ("Steps recorded", number(run["steps_recorded"])),
        ("Steps analysed", number(run["steps_analysed"])), ("Recorded with", recorded_with), *report,
    ])  # fmt: skip


def _known(rows: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(label, value) for label, value in rows if value is not None and value != ""]


def neuron_count(layers: list[Mapping[str, Any]]) -> int:
    """Neurons of all layers together."""
    return sum(layer["rows"] for layer in layers)


WORDS: dict[str, Callable[..., Any]] = {
    "number": number,
    "note_text": note_text,
    "moment": moment,
    "condition_words": condition_words,
    "clip": clip,
    "visible": visible,
    "telling": telling,
    "neuron_count": neuron_count,
    "fact_rows": fact_rows,
}
