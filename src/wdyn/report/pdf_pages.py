"""Pieces of known height → pages of a PDF file, one after the other."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wdyn.analyses._drawn_text import legible, plain
from wdyn.report.panels import paper_style, settle
from wdyn.report.pdf_text import text_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 595.28, 841.89  # points of A4
LEFT, TOP, BOTTOM = 51.0, 48.0, 60.0
INNER = WIDTH - 2 * LEFT
DOTS_PER_INCH = 200  # of what is no drawing of lines
INK, MUTED, ACCENT = "#171c22", "#56616d", "#0a66b8"


@dataclass(frozen=True)
class Piece:
    """Something on a page.

    Attributes:
        height: in points.
        draw: puts it into the page's figure, given the distance of its top from the page's, in points.
        stays: never the last on a page, as a heading.
        is_space: not needed at the top of a page.
    """

    height: float
    draw: Callable[[Figure, float], None]
    stays: bool = False
    is_space: bool = False


@dataclass(frozen=True)
class Type:
    """How words are set: size in points, weight and colour."""

    size: float
    bold: bool = False
    colour: str = INK


BODY, SMALL, HEADING = Type(8.5), Type(7.5, colour=MUTED), Type(13, bold=True)


def space(height: float) -> Piece:
    """Nothing, so high."""
    return Piece(height, lambda figure, top: None, is_space=True)


def words(text: object, type: Type = BODY, *, indent: float = 0.0, most: int = 0, stays: bool = False) -> list[Piece]:
    """Text as one piece per line, so that a page may end within it."""
    lines = text_lines(text, type.size, INNER - indent, bold=type.bold, most=most)
    return [Piece(1.45 * type.size, _line(line, LEFT + indent, type), stays=stays) for line in lines]


def put(figure: Figure, text: str, left: float, top: float, type: Type, *, right: bool = False) -> None:
    """One line of text; `left` is where it ends if it stands to the right."""
    figure.text(
        left / WIDTH, 1 - (top + 1.1 * type.size) / HEIGHT, plain(text), fontsize=type.size, color=type.colour,
        weight="bold" if type.bold else "normal", ha="right" if right else "left", va="baseline",
    )  # fmt: skip


def pdf_bytes(pieces: Iterable[Piece], *, title: str) -> bytes:
    """All pieces on as many pages as they need, as a PDF file; equal pieces give equal bytes.

    Args:
        pieces: in the order of reading, none higher than a page.
        title: of the document, at the foot of each page.
    """
    from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages

    target, title = io.BytesIO(), legible(title)
    facts = {"CreationDate": None, "Producer": "wdyn", "Creator": "wdyn", "Title": title}  # a date would differ
    with paper_style(), PdfPages(target, metadata=facts) as file:
        for figure in page_figures(pieces, title=title):
            FigureCanvasPdf(figure).print_pdf(file)  # type: ignore[no-untyped-call]  # savefig would draw it twice
    return target.getvalue()


def page_figures(pieces: Iterable[Piece], *, title: str) -> Iterator[Figure]:
    """One figure per page, everything in its place."""
    from matplotlib.figure import Figure

    for number, page in enumerate(_pages(pieces), start=1):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), layout="constrained", dpi=DOTS_PER_INCH)
        for top, piece in page:
            piece.draw(figure, top)
        _foot(figure, title, number)
        settle(figure)
        yield figure


def _pages(pieces: Iterable[Piece]) -> Iterator[list[tuple[float, Piece]]]:
    page: list[tuple[float, Piece]] = []
    top = TOP
    for group in _groups(pieces):
        if page and top + sum(piece.height for piece in group) > HEIGHT - BOTTOM:
            yield page
            page, top = [], TOP
        for piece in group:
            if not page and piece.is_space:
                continue
            page.append((top, piece))
            top += piece.height
    if page:
        yield page


def _groups(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """What may not be torn apart: headings with what follows them."""
    group: list[Piece] = []
    for piece in pieces:
        group.append(piece)
        if not piece.stays and not (piece.is_space and len(group) > 1):
            yield group
            group = []
    if group:
        yield group


def _foot(figure: Figure, title: str, number: int) -> None:
    put(figure, text_lines(title, 7, INNER - 60, most=1)[0], LEFT, HEIGHT - 40, Type(7, colour=MUTED))
    put(figure, str(number), WIDTH - LEFT, HEIGHT - 40, Type(7, colour=MUTED), right=True)


def _line(text: str, left: float, type: Type) -> Callable[[Figure, float], None]:
    return lambda figure, top: put(figure, text, left, top, type)
