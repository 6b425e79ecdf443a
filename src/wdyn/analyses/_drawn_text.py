"""Names and sentences as matplotlib has to be given them: never mathematics, never a letter that its font lacks."""

from __future__ import annotations

import textwrap
import unicodedata
from functools import cache

LONGEST = 44  # letters of a name in a drawing; the middle of a longer one is left out


def plain(text: object) -> str:
    """The text in one line, with the signs that matplotlib would read as mathematics made literal."""
    return legible(text).replace("$", r"\$")


def short(text: object, most: int = LONGEST) -> str:
    """`plain` text of a name, without its middle where it is long: layers differ at their ends."""
    name = legible(text)
    return plain(name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-most // 2 :]}")


def wrapped(text: object, width: int) -> str:
    """`plain` text in lines of at most `width` letters; what is longer than three lines is cut."""
    return "\n".join(map(plain, textwrap.wrap(legible(text), width, max_lines=3, placeholder=" ...")))


def legible(text: object) -> str:
    """The text in one line; what the font has no letter for, and what would hide or reorder others, as its number."""
    known = letters()
    return "".join(
        " " if letter in "\t\n\r" else letter if ord(letter) in known else f"\\u{ord(letter):04x}"
        for letter in str(text)
    )


@cache
def letters() -> frozenset[int]:
    """Numbers in Unicode of the letters that the font which matplotlib brings can show."""
    from matplotlib.ft2font import FT2Font

    numbers = FT2Font(font_file()).get_charmap()
    return frozenset(n for n in numbers if unicodedata.category(chr(n)) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))


def font_file(bold: bool = False) -> str:
    """The DejaVu Sans that matplotlib brings."""
    from matplotlib import get_data_path

    return f"{get_data_path()}/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf"
