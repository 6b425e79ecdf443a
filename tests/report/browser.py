"""What the tests in a real browser share: a page of given charts, and a reader's hand and eye."""

from __future__ import annotations

import csv
import io
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.report.made_up import facts
from wdyn.report.page import render_page
from wdyn.report.sections import Section

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEEDS_BROWSER = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")]

Open = Callable[..., Any]


def made(*charts: Any, layers: dict[str, tuple[int, int]] | None = None) -> bytes:
    return render_page(facts(layers or {"fc1": (3, 2)}), [Section("one", "One", "", charts=charts)], [0, 1, 2])


def picture(page: Any, chart: str) -> str:
    """The canvas in view, the last of several, as it is after the next frames."""
    page.locator(f"#{chart}").scroll_into_view_if_needed()
    settled(page)
    return str(page.locator(f"#{chart} canvas").last.evaluate("(canvas) => canvas.toDataURL()"))


def card(page: Any) -> Any:
    """Of the picked neuron."""
    return page.locator("#neuron-card")


def settled(page: Any, frames: int = 4) -> None:
    """As many frames later: a chart is seen, told and drawn in three, however long they take a busy machine.

    Whatever the page does in a chain of tasks is further by at least one of them at each frame.
    """
    page.evaluate(
        """(frames) => new Promise((done) => {
            const next = () => frames-- > 0 ? requestAnimationFrame(() => setTimeout(next)) : done();
            next();
        })""",
        frames,
    )


def move_slider(page: Any, place: int) -> None:
    page.locator("#step").evaluate(
        "(slider, place) => { slider.value = place; slider.dispatchEvent(new Event('input')) }", place
    )


def lines_drawn(page: Any, chart: str) -> None:
    page.locator(f"#{chart}").scroll_into_view_if_needed()
    page.wait_for_function(
        """(chart) => {
            const figure = document.getElementById(chart), drawn = figure.querySelector(".js-plotly-plot .main-svg");
            if (!drawn) figure.scrollIntoView({block: "nearest"}); // what is laid out above may push it away
            return drawn !== null;
        }""",
        arg=chart,
    )


def table_of(page: Any, chart: str) -> list[list[str]]:
    figure = page.locator(f"#{chart}")
    if not figure.locator("details").evaluate("(details) => details.open"):
        figure.locator("summary").click()
    figure.locator("details tbody").wait_for()
    return [row.locator("td").all_inner_texts() for row in figure.locator("details tbody tr").all()[:40]]


def numbers(cells: list[str]) -> list[float]:
    return [float("nan") if cell == "–" else float(cell.replace(",", "").replace("−", "-")) for cell in cells]


def lines_page(open_page: Open, *charts: Any, steps: list[int], **options: Any) -> Any:
    sections = [Section("one", "One", "", charts=charts)]
    page = open_page(render_page(facts({"fc1": (3, 2), "fc2": (3, 2)}), sections, steps), **options)
    for place in range(len(charts)):
        lines_drawn(page, f"one-{place}")
    return page


def floats(cells: list[str]) -> list[float]:
    return [float(cell) if cell else float("nan") for cell in cells]


def saved(page: Any, chart: str, kind: str) -> Path:
    """The file that an entry of the chart's menu gives."""
    figure = page.locator(f"#{chart}")
    figure.scroll_into_view_if_needed()
    figure.locator(".save > button").click()
    with page.expect_download() as download:
        figure.locator(".menu button", has_text=kind).click()
    assert figure.locator(".menu").is_hidden()
    return Path(download.value.path()).rename(Path(download.value.path()).with_name(download.value.suggested_filename))


def rows_of(file: Path) -> list[list[str]]:
    text = file.read_bytes().decode()
    assert text.endswith("\r\n")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def png_size(file: Path) -> tuple[int, int]:
    data = file.read_bytes()
    assert data.startswith(b"\x89PNG")
    return struct.unpack(">II", data[16:24])  # type: ignore[return-value]


def written(page: Any, chart: str) -> list[str]:
    """What a canvas writes when it is drawn anew, in the other theme."""
    page.evaluate(
        "() => { const fill = CanvasRenderingContext2D.prototype.fillText; window.written = [];"
        "CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {"
        "window.written.push(text); fill.call(this, text, ...place) } }"
    )
    page.locator("#theme").click()
    picture(page, chart)
    return list(page.evaluate("window.written"))
