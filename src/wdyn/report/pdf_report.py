"""Sections → one PDF file: the page's words, charts and the heads of its tables, on paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Chart, Table
from wdyn.report.panels import columns_of, fill, height_of
from wdyn.report.pdf_pages import (
    ACCENT,
    BODY,
    HEADING,
    HEIGHT,
    INNER,
    LEFT,
    SMALL,
    WIDTH,
    Piece,
    Type,
    pdf_bytes,
    put,
    space,
    words,
)
from wdyn.report.pdf_table import table_pieces
from wdyn.report.sections import Section
from wdyn.report.static_tables import StaticTable, static_table
from wdyn.report.story import in_order
from wdyn.report.summary import Summary, Told, initial_step, summarise
from wdyn.report.words import condition_words, fact_rows, moment, neuron_count, number, telling
from wdyn.store.describe import note_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LAYERS = 6  # of which a section draws charts
GAP = 12.0  # points between two columns
SUBHEADING = Type(9.5, bold=True)


def render_pdf(facts: Mapping[str, Any], sections: Sequence[Section], steps: Sequence[int]) -> bytes:
    """The report on paper.

    Args:
        facts: `provenance(...)`.
        sections: one per analysis.
        steps: the analysed optimizer steps.

    Returns:
        A PDF file of A4 pages with its fonts embedded. Equal arguments give equal bytes.
    """
    ordered = in_order(sections)
    summary = summarise(ordered, first_step=initial_step(facts, steps))
    pieces = [*_title(facts), *_summary(summary)]
    for section in ordered:
        pieces += _section(section)
    return pdf_bytes([*pieces, *_provenance(facts)], title=f"{facts['run']}, wdyn {facts['report_wdyn']}")


def _title(facts: Mapping[str, Any]) -> Iterator[Piece]:
    yield from words("wdyn", Type(10, bold=True, colour=ACCENT))
    yield space(6)
    yield from words(facts["run"], Type(22, bold=True), most=3)
    yield from words(_subtitle(facts), Type(9.5, colour=SMALL.colour))
    for run in facts.get("runs", [facts]):
        if warning := condition_words(run["condition"]):
            yield from words(f"{run['run']}: {warning}", Type(8.5, bold=True))
    yield space(10)
    yield from _facts(facts)


def _subtitle(facts: Mapping[str, Any]) -> str:
    count = len(facts["layers"])
    layers = f"{count} layer{'' if count == 1 else 's'}, {number(neuron_count(facts['layers']))} neurons"
    if "runs" in facts:
        return f"{len(facts['runs'])} runs compared, {layers}"
    trained = f", trained with {facts['optimizer']}" if facts["optimizer"] else ""
    recorded = f", recorded {moment(facts['created'])}" if facts["created"] else ""
    return f"{facts['model']}{trained}{recorded}, {layers}"


def _facts(facts: Mapping[str, Any]) -> Iterator[Piece]:
    rows = [(label, str(value)) for label, value in fact_rows(facts)]
    yield from table_pieces(StaticTable("", None, (), tuple(rows)), most=len(rows))


def _summary(summary: Summary) -> Iterator[Piece]:
    yield from _heading("Summary")
    yield from _told("Beyond chance", summary.found)
    yield from _told("No signal", summary.chance)
    if summary.asked:
        yield space(6)
        yield from words(summary.start_words)
        yield from _told("Claimed at step 0", summary.start)
    if summary.pictures:
        yield space(4)
        yield from words(f"Shown without a verdict: {', '.join(each.title for each in summary.pictures)}.")
    if summary.absent:
        yield from _subheading("Left out")
    for section in summary.absent:
        yield from words(f"{section.title} ({section.status}): {section.reason}", most=3)


def _told(title: str, rows: Sequence[Told]) -> Iterator[Piece]:
    if rows:
        yield from _subheading(title)
    for each in rows:
        yield space(2)
        yield from words(each.title, Type(8.5, bold=True), stays=True)
        for text in each.texts:
            yield from words(text, indent=10)
        if each.more:
            yield from words(f"and {number(each.more)} more", SMALL, indent=10)


def _section(section: Section) -> Iterator[Piece]:
    yield from _heading(section.title)
    if section.status != "ok":
        yield from words(f"{section.status.capitalize()}. {section.reason}", Type(8.5, bold=True), most=6)
        return
    if section.reading:
        yield from words(section.reading, SMALL, stays=True)
    charts, left_out = _some_layers(section.charts)
    if left_out:
        yield from words(left_out, SMALL, stays=True)
    if not charts:
        yield from words("This analysis found nothing to draw.", SMALL)
    yield from _charts(charts)


def _some_layers(charts: Sequence[Chart]) -> tuple[list[Chart], str]:
    """The charts of at most so many layers, and what that leaves out."""
    layers = list(dict.fromkeys(chart.layer for chart in charts if chart.layer is not None))
    if len(layers) <= MOST_LAYERS:
        return list(charts), ""
    kept = {layers[at] for at in np.linspace(0, len(layers) - 1, MOST_LAYERS).round().astype(int)}
    chosen = [chart for chart in charts if chart.layer is None or chart.layer in kept]
    names = ", ".join(layer for layer in layers if layer in kept)
    return chosen, f"Charts of {len(kept)} of {len(layers)} layers: {names}. `wdyn figures` draws those of all."


def _charts(charts: Sequence[Chart]) -> Iterator[Piece]:
    waiting: list[Chart] = []  # for a neighbour in the other column
    for chart in charts:
        wide = columns_of(chart) == 2
        if wide and waiting:
            yield from _row(waiting)
            waiting = []
        if isinstance(chart, Table):
            yield space(8)
            yield from table_pieces(static_table(chart))
        else:
            waiting.append(chart)
        if wide or len(waiting) == 2:
            yield from _row(waiting)
            waiting = []
    yield from _row(waiting)


def _row(charts: Sequence[Chart]) -> Iterator[Piece]:
    """One chart of two columns, or up to two of one."""
    if not charts:
        return
    columns = columns_of(charts[0])
    width = INNER if columns == 2 else (INNER - GAP) / 2
    height = 72 * max(height_of(chart, columns, width / 72) for chart in charts)

    def draw(figure: Figure, top: float) -> None:
        for at, chart in enumerate(charts):
            _place(figure, chart, left=LEFT + at * (width + GAP), top=top, width=width, height=height)

    yield space(8)
    captions = [getattr(each, "caption", "") for each in charts]
    yield Piece(height, draw, stays=any(captions))
    for caption in filter(None, captions):
        yield from words(caption, SMALL, most=4)


def _place(figure: Figure, chart: Chart, *, left: float, top: float, width: float, height: float) -> None:
    across, down = (left, width, WIDTH - left - width), (top, height, HEIGHT - top - height)
    part = figure.add_subfigure(figure.add_gridspec(3, 3, width_ratios=across, height_ratios=down)[1, 1])
    try:
        fill(part, chart, columns_of(chart))
    except Exception as error:  # a chart that breaks its promise must not cost the reader the others
        part.clear()
        put(figure, f"Not drawn: {chart.title} ({type(error).__name__})"[:90], left, top, SMALL)


def _provenance(facts: Mapping[str, Any]) -> Iterator[Piece]:
    yield from _heading("Provenance")
    several = "runs" in facts
    for run in facts.get("runs", [facts]):
        if several:
            yield from _subheading(run["run"])
            yield from _facts(run)
        yield from _origin(run)


def _origin(run: Mapping[str, Any]) -> Iterator[Piece]:
    if run["metadata"]:
        yield from _subheading("Metadata, as the training script gave it")
        rows = tuple((str(key), str(value)) for key, value in run["metadata"].items())
        yield from table_pieces(StaticTable("", None, (), rows), most=len(rows))
    layers = [(y["name"], y["kind"], number(y["rows"]), number(y["columns"])) for y in run["layers"]]
    headings = ("layer", "kind", "neurons", "inputs of each")
    yield from _subheading("Layers")
    yield from table_pieces(StaticTable("", None, headings, tuple(layers)), most=len(layers))
    if run["left_out"]:
        yield from _subheading("Left out: recorded, but without neuron rows")
    for each in run["left_out"]:
        yield from words(f"{each['name']}: {each['reason']}", BODY, most=2)
    if notes := telling(run["notes"]):
        yield from _subheading("Notes of the recorder")
        for note in notes:
            yield from words(note_text(note), BODY, most=3)


def _heading(text: str) -> Iterator[Piece]:
    yield space(18)
    yield from words(text, HEADING, most=2, stays=True)
    yield Piece(3, lambda figure, top: None, stays=True)


def _subheading(text: str) -> Iterator[Piece]:
    yield space(8)
    yield from words(text, SUBHEADING, most=2, stays=True)
