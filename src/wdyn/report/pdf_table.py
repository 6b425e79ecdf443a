"""A table of words on paper: as wide as its words, or as the page with the widest columns narrowed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wdyn.analyses._drawn_text import legible
from wdyn.report.pdf_pages import INK, INNER, LEFT, MUTED, SMALL, WIDTH, Piece, Type, put, words
from wdyn.report.pdf_text import text_lines, text_width
from wdyn.report.static_tables import StaticTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = 12
NARROWEST = 45.0  # points of a column, with its gap
GAP = 10.0
CELL, HEAD = Type(7, colour=INK), Type(7, bold=True, colour=MUTED)
LINES = 3  # of one cell
LINE = 1.35 * CELL.size
NUMBER = re.compile(r"[−-]?[\d,.]+(e[−-]?\d+)?|–|[−-]?∞|< 1e-300")


def table_pieces(table: StaticTable, most: int = ROWS) -> Iterator[Piece]:
    """A table as one piece per row, of which the last dozen stay together.

    Args:
        table: its words; without headings, the first column is the heading of each row.
        most: rows at most; how many are left out is said.
    """
    rows = [row[: int(INNER / NARROWEST)] for row in table.rows[:most]]
    headings = table.headings[: int(INNER / NARROWEST)]
    widths = _widths(headings, rows)
    title = table.title if table.layer is None else f"{table.title}: {table.layer}"
    yield from words(title, Type(8, bold=True), most=2, stays=True) if title else ()
    to_the_right = [all(NUMBER.fullmatch(row[at]) for row in rows) for at in range(len(widths))]
    if headings:
        yield _row(headings, widths, to_the_right, [HEAD] * len(widths), stays=True, ruled=True)
    types = [CELL if headings or at else HEAD for at in range(len(widths))]
    for following, row in zip(range(len(rows) - 1, -1, -1), rows, strict=True):
        yield _row(row, widths, to_the_right, types, stays=0 < following < ROWS)
    if not rows:
        yield from words("There are no rows to list.", SMALL)
    if left := _left_out(table, len(rows), len(widths)):
        yield from words(left, SMALL)


def _left_out(table: StaticTable, rows: int, columns: int) -> str:
    parts = []
    if len(table.rows) > rows:
        parts.append(f"{rows} of {len(table.rows)} rows" + (" or more" if len(table.rows) == 50 else ""))
    if len(table.headings) > columns:
        parts.append(f"{columns} of {len(table.headings)} columns")
    return f"Shown: {' and '.join(parts)}. `wdyn figures` writes the whole table as CSV." if parts else ""


def _widths(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[float]:
    """Widths of the columns, their gap included; where the page is too narrow, the widest give way."""
    columns = list(zip(*rows, strict=True)) or [()] * len(headings)
    wanted = [max((_width(cell) for cell in cells), default=0.0) + GAP for cells in columns]
    if headings:
        wanted = [max(width, _heading_width(text) + GAP) for width, text in zip(wanted, headings, strict=True)]
    if sum(wanted) <= INNER:
        return wanted
    limit, left = 0.0, INNER
    for at, width in enumerate(sorted(wanted)):
        limit = left / (len(wanted) - at)
        if width > limit:
            break
        left -= width
    return [min(width, limit) for width in wanted]


def _heading_width(text: str) -> float:
    """A heading takes two lines where its words allow it."""
    return max(_width(text) / 2 + _width("n"), *(_width(word) for word in text.split() or [""]), 0.0)


def _width(text: str) -> float:
    return text_width(legible(text), CELL.size, bold=True)


def _row(
    cells: Sequence[str],
    widths: Sequence[float],
    right: Sequence[bool],
    types: Sequence[Type],
    *,
    stays: bool,
    ruled: bool = False,
) -> Piece:
    texts = [
        text_lines(cell, type.size, width - GAP, bold=type.bold, most=LINES)
        for cell, width, type in zip(cells, widths, types, strict=True)
    ]
    height = LINE * max(map(len, texts)) + 2

    def draw(figure: Figure, top: float) -> None:
        left = LEFT
        for lines, width, ends, type in zip(texts, widths, right, types, strict=True):
            for at, line in enumerate(lines):
                put(figure, line, left + (width - GAP if ends else 0), top + at * LINE, type, right=ends)
            left += width
        if ruled:
            _rule(figure, top + height - 1, sum(widths) - GAP)

    return Piece(height, draw, stays=stays)


def _rule(figure: Figure, top: float, width: float) -> None:
    from matplotlib.lines import Line2D

    y = 1 - top / figure.get_figheight() / 72
    figure.add_artist(Line2D([LEFT / WIDTH, (LEFT + width) / WIDTH], [y, y], color=MUTED, linewidth=0.5))
