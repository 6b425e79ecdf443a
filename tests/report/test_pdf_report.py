"""The report on paper: what stands on its pages, that fonts are embedded, and always the same bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.report.made_up import facts, sections
from tests.report.test_page import HOSTILE
from wdyn.analyses._charts import ImagesThroughTime, Lines, PointsThroughTime, Table
from wdyn.analyses._spec import Finding
from wdyn.report import pdf_report
from wdyn.report.pdf_pages import BOTTOM, HEIGHT, INNER, LEFT, WIDTH, Piece, page_figures, pdf_bytes, space, words
from wdyn.report.pdf_report import MOST_LAYERS, render_pdf
from wdyn.report.pdf_table import table_pieces
from wdyn.report.pdf_text import text_lines, text_width
from wdyn.report.sections import Section
from wdyn.report.static_tables import StaticTable

STEPS = [0, 1, 2000]
LAYER = {"fc1": (4, 3)}


def line(title: str = "t", layer: str | None = None, **changes: Any) -> Lines:
    y = {"loss": np.array([3.0, 2.0, 1.0])}
    return Lines(
        **{"title": title, "x": np.arange(3), "y": y, "x_label": "step", "y_label": "y", "layer": layer} | changes
    )


def one(*charts: Any, **changes: Any) -> list[Section]:
    return [Section(**{"name": "one", "title": "One", "reading": "Read it so.", "charts": charts} | changes)]


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The pages of a report as figures."""

    def made(of: Sequence[Section], **changes: Any) -> list[Figure]:
        kept: list[Figure] = []
        monkeypatch.setattr(
            pdf_report, "pdf_bytes", lambda pieces, title: kept.extend(page_figures(pieces, title=title)) or b""
        )
        render_pdf(facts(LAYER, **changes), of, STEPS)
        return kept

    return made


def texts(figures: Sequence[Figure]) -> str:
    return "\n".join(text.get_text() for figure in figures for text in figure.findobj(Text))


def test_the_words_of_a_sheet_of_images_and_all_metadata_are_on_paper(pages: Any) -> None:
    images = ImagesThroughTime(
        "w", np.array([0]), np.zeros((1, 1, 1, 4, 4)), np.array([0]), np.array([[0]]), 1, 1.0, "weight",
        caption="4 × 4 pixels, a guess.", layer="fc1",
    )  # fmt: skip
    found = texts(pages(one(images), metadata={f"key{k}": k for k in range(20)}))
    assert "4 × 4 pixels, a guess." in found
    assert all(f"key{k}" in found for k in range(20))
    assert "writes the whole table as CSV" not in found


def test_the_pages_say_what_was_found_and_what_was_left_out(pages: Any) -> None:
    finding = Finding("fc1", 2000, "fc1: neurons align", True, 0.01)
    said = texts(
        pages(
            [
                *one(line("Loss"), findings=(finding,)),
                Section("masks", "Masks", "", status="skipped", reason="No pruning mask was recorded."),
                Section("broken", "Broken", "", status="failed", reason="ValueError: no luck"),
            ]
        )
    )
    for part in (
        "demo", "LeNet300, trained with SGD, recorded 2025-01-01 at 00:00 UTC, 1 layer, 4 neurons", "a1b2c3d4",
        "wdyn analyze demo.h5", "Beyond chance", "fc1: neurons align", "Read it so.", "Loss", "Masks (skipped): No",
        "Skipped. No pruning mask was recorded.", "Failed. ValueError: no luck", "digits", "norm.weight: one",
        "Not recorded at steps 10 to 12: disk full",
    ):  # fmt: skip
        assert part in said


def test_a_file_with_its_fonts_and_without_a_date_and_always_the_same_bytes() -> None:
    made = [render_pdf(facts(LAYER), one(line(), Table("T", {"a": [1, 2]})), STEPS) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0].startswith(b"%PDF-")
    assert b"/FontFile2" in made[0]
    assert b"/Type3" not in made[0]
    assert b"/CreationDate" not in made[0]
    assert len(re.findall(rb"/Type /Page\b", made[0])) >= 1


def test_names_are_only_ever_text(pages: Any) -> None:
    names = [*HOSTILE, "$x^2$", r"a\$b $", "層"]
    charts = [line(name, layer=name, y={name: np.arange(3.0)}, x_label=name, y_label=name) for name in names[-3:]]
    table = Table(names[2], dict.fromkeys(names, names))
    made = render_pdf(
        facts(LAYER, run=names[0], metadata=dict(zip(names, names, strict=True))), one(*charts, table), STEPS
    )
    assert made.startswith(b"%PDF-")
    said = texts(pages(one(*charts, table), run=names[5]))
    for part in (r"\u202eevil\u2066", r"\ud800 \u2028 \u0000", r"\u5c64", r"\$x^2\$: \$x^2\$"):
        assert part in said


def test_of_many_layers_some_are_drawn_and_it_says_which(pages: Any) -> None:
    charts = [line("Norm", layer=f"fc{i}") for i in range(30)]
    said = texts(pages(one(*charts)))
    drawn = re.findall(r"^Norm: (fc\d+)$", said, re.MULTILINE)
    assert len(drawn) == MOST_LAYERS
    assert {"fc0", "fc29"} < set(drawn)
    assert "Charts of 6 of 30 layers" in said


def test_a_chart_that_cannot_be_drawn_costs_only_itself(pages: Any) -> None:
    broken = line("Bad", y={"loss": np.arange(7.0)})
    said = texts(pages(one(broken, line("Good"))))
    assert "Not drawn: Bad (ValueError)" in said
    assert "Good" in said


def test_a_caption_stays_with_its_picture(pages: Any) -> None:
    points = PointsThroughTime(
        "Paths", np.arange(2), np.zeros((2, 3, 2)), np.arange(3), np.zeros(3, int), "group", "Trust 0.9.", "fc1"
    )
    figures = pages(one(*[points] * 9))
    assert len(figures) > 1
    for figure in figures:
        own = texts([figure])
        assert own.count("Paths") == own.count("Trust 0.9.")


def test_nothing_stands_below_the_foot_and_no_heading_is_the_last_on_its_page() -> None:
    seen: list[tuple[float, str]] = []

    def note(kind: str, height: float, **options: Any) -> Piece:
        return Piece(height, lambda figure, top: seen.append((top, kind)), **options)

    pieces = [note(*each) for each in [("line", 100.0)] * 7]
    pieces += [note("heading", 30.0, stays=True), space(5), note("chart", 20.0)]
    assert len(list(page_figures(pieces, title="t"))) == 2
    assert max(top for top, _ in seen) < HEIGHT - BOTTOM
    assert [kind for top, kind in seen][-2:] == ["heading", "chart"]
    assert seen[-2][0] < 100  # at the top of the second page


def test_lines_fit_their_width_and_say_everything() -> None:
    text = "weights of the " + "x" * 300 + " layer " + "wide words " * 20
    lines = text_lines(text, 8, 150)
    assert max(text_width(each, 8) for each in lines) <= 150
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert text_lines(text, 8, 150, most=2)[1].endswith("…")
    assert text_width("mm", 10) == pytest.approx(2 * 9.74, abs=0.01)  # DejaVu Sans' own advance of an m: 0.974 em


@pytest.mark.parametrize("columns", [1, 3, 30])
def test_a_table_fits_the_page(columns: int) -> None:
    table = StaticTable(
        "T", "fc1", tuple(f"heading {i}" for i in range(columns)), (("a long cell " * 9,) * columns,) * 20
    )
    (figure,) = page_figures(table_pieces(table), title="t")
    ends = [
        WIDTH * text.get_position()[0] + (text_width(text.get_text(), 7) if text.get_ha() == "left" else 0)
        for text in figure.texts
    ]
    assert max(ends) <= LEFT + INNER + 1e-9
    said = texts([figure])
    assert "12 of 20 rows" in said
    assert ("columns" in said) is (columns == 30)


def test_words_may_be_torn_between_pages() -> None:
    figures = list(page_figures(words("word " * 9000), title="t"))
    assert sum(texts([figure]).count("word") for figure in figures) == 9000
    assert pdf_bytes(words("one"), title="\ud800")


def test_every_kind_of_chart_is_on_the_page(pages: Any) -> None:
    made = sections(LAYER)
    said = texts(pages(made))
    for section in made:
        assert section.title in said
        for chart in section.charts:
            assert chart.title in said
