"""How wide words are on paper, and the lines they make."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from wdyn.analyses._drawn_text import font_file, legible

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Width of legible text in points, at a size in points."""
    return size * sum(_advance(letter, bold) for letter in text)


def text_lines(text: object, size: float, width: float, *, bold: bool = False, most: int = 0) -> list[str]:
    """Legible text in lines that fit a width.

    Args:
        text: anything; a word that is too long is broken.
        size: in points.
        width: in points.
        bold: whether the letters are.
        most: lines at most, the last of which then ends in an ellipsis; 0 for all.
    """
    lines, line = [], ""
    for word in re.findall(r"\S+\s*", legible(text)):
        if line and text_width((line + word).rstrip(), size, bold=bold) > width:
            lines.append(line.rstrip())
            line = ""
        for letter in word:
            if line and text_width((line + letter).rstrip(), size, bold=bold) > width:
                lines.append(line.rstrip())
                line = ""
            line += letter
        if most and len(lines) > most:
            break
    lines.append(line.rstrip())
    return lines if not most or len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1][:-1].rstrip()}…"]


@cache
def _advance(letter: str, bold: bool) -> float:
    from matplotlib.ft2font import LoadFlags

    return _font(bold).load_char(ord(letter), flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536


@cache
def _font(bold: bool) -> FT2Font:
    from matplotlib.ft2font import FT2Font

    font = FT2Font(font_file(bold))
    font.set_size(1, 72)
    return font
