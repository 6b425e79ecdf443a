"""Lines, words and numbers of a still picture, as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice
from typing import Any

import numpy as np

from wdyn.report.static_pixels import Array
from wdyn.report.words import clip, number, visible

WIDTH, HEIGHT = 480, 262
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 32, 36  # two rows of names stand above the values
GROUPS = 8  # colours there are


def image_of(source: str, *, stretch: bool = False) -> str:
    """A picture where the values stand."""
    place = f'x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"'
    return f'<image {place} preserveAspectRatio="{"none" if stretch else "xMidYMid"}" href="{source}"/>'


def axis_frame() -> str:
    """Lines to the left of and below the values."""
    return path_of([f"M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"], "stroke:var(--line)")


def path_of(parts: Sequence[str], style: str) -> str:
    """Parts of one path; nothing without parts."""
    return f'<path d="{"".join(parts)}" style="fill:none;{style}"/>' if parts else ""


def strokes_of(x: Array, y: Array) -> list[str]:
    """A value without neighbours is a dot; what is missing leaves a gap."""
    parts, before = [], False
    for a, b in zip(x, y, strict=True):
        here = bool(np.isfinite(a) and np.isfinite(b))
        if here:
            parts.append(f"{'L' if before else 'M'}{digit(a)} {digit(b)}" + ("" if before else "h.1"))
        before = here
    return parts


def end_numbers(first: Any, last: Any, low: float | None, high: float | None) -> str:
    """The numbers at the ends of the axes."""
    words = []
    if first is not None:
        words += [word_at(number(_plain(first)), LEFT, HEIGHT - 21, anchor="start")]
        words += [word_at(number(_plain(last)), WIDTH - RIGHT, HEIGHT - 21, anchor="end")]
    if low is not None and high is not None:
        words += [word_at(number(float(f"{low:.3g}")), LEFT - 6, HEIGHT - BOTTOM, anchor="end")]
        words += [word_at(number(float(f"{high:.3g}")), LEFT - 6, TOP + 8, anchor="end")]
    return "".join(words)


def axis_labels(below: str, meaning: str) -> str:
    """What is below, and what the values or colours mean."""
    return word_at(clip(below, 30), LEFT, HEIGHT - 6, anchor="start") + word_at(
        clip(meaning, 70), WIDTH - RIGHT, HEIGHT - 6, anchor="end"
    )


def legend_of(labels: Iterable[str]) -> str:
    """Names of the lines in their colours, where there is more than one."""
    names = list(labels)
    if len(names) < 2:
        return ""
    across = (WIDTH - LEFT - RIGHT) / 4
    return "".join(
        f'<rect x="{digit(LEFT + 8 + across * (k % 4))}" y="{5 + 14 * (k // 4)}" width="9" height="3" '
        f'style="fill:{colour_of(k)}"/>'
        + word_at(clip(name, 14), LEFT + 21 + across * (k % 4), 11 + 14 * (k // 4), anchor="start")
        for k, name in enumerate(islice(names, 8))
    )


def word_at(text: str, x: float, y: float, *, anchor: str = "middle") -> str:
    """A short text."""
    return f'<text x="{digit(x)}" y="{digit(y)}" text-anchor="{anchor}">{xml_text(text, 80)}</text>'


def xml_text(text: str, letters: int) -> str:
    """A name that is text, whatever it holds."""
    return escape(clip(visible(text), letters))


def colour_of(group: int) -> str:
    """The page's own colour of a group or of a line."""
    return "var(--none)" if group < 0 else f"var(--c{group % GROUPS})"


def scaled(values: Array, scale: str) -> Array:
    """Logarithms on a log axis, with zero at half of the least positive value; below it is nothing."""
    if scale == "linear":
        return values
    positive = values[values > 0]
    least = positive.min() if positive.size else 1.0
    return np.log10(np.where(values > 0, values, np.where(values == 0, least / 2, np.nan)))


def extent_of(parts: Sequence[Array]) -> tuple[float, float] | None:
    """Least and largest of all finite values; None where there is none."""
    finite = np.concatenate([np.ravel(part)[np.isfinite(np.ravel(part))] for part in parts] or [np.empty(0)])
    return (float(finite.min()), float(finite.max())) if finite.size else None


def across_of(x: Array, low: float, high: float) -> Array:
    """Places from left to right."""
    share = (x - low) / (high - low) if high > low else np.full(np.shape(x), 0.5) + 0 * x
    return np.asarray(LEFT + 4 + (WIDTH - LEFT - RIGHT - 8) * share)


def upward(y: Any, low: float, high: float) -> Any:
    """Places upwards."""
    share = (y - low) / (high - low) if high > low else 0.5 + 0 * y
    return HEIGHT - BOTTOM - 4 - (HEIGHT - TOP - BOTTOM - 8) * share


def digit(place: Any) -> str:
    """A coordinate to a tenth of a pixel, which no rounding of a sum can change."""
    return f"{float(place):.1f}".removesuffix(".0")


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value
