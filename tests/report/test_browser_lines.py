"""Line charts in a real browser: axes, hover, dashes, bands and their words."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.report.browser import (
    NEEDS_BROWSER,
    Open,
    lines_page,
    made,
    move_slider,
    table_of,
)
from wdyn.analyses._charts import Lines, Table

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER


def axis_of(page: Any, chart: str, name: str) -> list[float]:
    found = page.evaluate(f"() => document.querySelector('#{chart} .js-plotly-plot')._fullLayout.{name}.range")
    return [float(end) for end in found]


def test_charts_over_steps_agree_and_the_marker_stays_with_the_data(open_page: Open) -> None:
    whole = Lines("whole", np.arange(0, 101, 10), {"a": np.arange(11)}, "optimizer step", "y")
    late = Lines("late", np.array([40, 80]), {"a": np.arange(2)}, "optimizer step", "y")
    logs = [
        Lines(f"log {first}", np.array([first, 80]), {"a": np.arange(2)}, "step", "y", x_scale="log")
        for first in (0, 40)
    ]
    ranks = Lines("ranks", np.array([0, 7]), {"a": np.arange(2)}, "singular values", "y")
    page = lines_page(open_page, whole, late, *logs, ranks, steps=list(range(0, 101, 10)))
    low, high = axis_of(page, "one-0", "xaxis")
    assert -5 < low < 0 < 100 < high < 105
    assert axis_of(page, "one-1", "xaxis") == [low, high]
    assert axis_of(page, "one-2", "xaxis") == axis_of(page, "one-3", "xaxis")
    assert axis_of(page, "one-4", "xaxis")[1] < 8
    shown = {place: page.locator(f"#one-{place} .marker").is_visible() for place in range(5)}
    assert shown == {0: True, 1: False, 2: False, 3: False, 4: False}  # step 100 is past what most charts know
    move_slider(page, 6)
    for place in (0, 1, 2, 3):
        playwright.expect(page.locator(f"#one-{place} .marker")).to_be_visible()


def test_hovering_a_log_axis_names_step_0_and_short_numbers(open_page: Open) -> None:
    chart = Lines(
        "t", np.array([0, 1, 1000]), {"a": np.array([1234.5678, 2, 0.123456])}, "optimizer step", "y", x_scale="log"
    )
    page = lines_page(open_page, chart, steps=[0, 1, 1000])
    box = page.locator("#one-0 .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 6, box["y"] + 60)
    hover = page.locator("#one-0 .hoverlayer .legend")
    playwright.expect(hover).to_contain_text("step 0")
    playwright.expect(hover).to_contain_text("1,235")
    page.mouse.move(box["x"] + box["width"] - 6, box["y"] + 60)
    playwright.expect(hover).to_contain_text("step 1,000")
    playwright.expect(hover).to_contain_text("0.1235")


@pytest.mark.parametrize("low", [1e-300, 1e-30, 1e-4, 0.02, 0.5, 0.9, 0.999])
def test_labels_of_a_log_axis_stay_apart_and_it_is_called_one(open_page: Open, low: float) -> None:
    chart = Lines("t", np.arange(3), {"a": np.array([low, 0.9995, 1.0])}, "step", "y", x_scale="log", y_scale="log")
    page = lines_page(open_page, chart, steps=[0, 1, 200_000], viewport={"width": 390, "height": 800})
    playwright.expect(page.locator("#one-0 .y-label")).to_have_text("y (log scale)")
    boxes = [each.bounding_box() for each in page.locator("#one-0 .ytick text").all()]
    tops = sorted(box["y"] for box in boxes)
    assert len(tops) >= 2
    assert min(np.diff(tops)) >= 14  # a line of text of 12 px
    along = sorted(
        (box["x"], box["x"] + box["width"])
        for box in (e.bounding_box() for e in page.locator("#one-0 .xtick text").all())
    )
    assert all(before[1] < after[0] for before, after in pairwise(along))


def test_each_reference_line_has_its_own_dashes_in_chart_and_legend(open_page: Open) -> None:
    chart = Lines(
        "t", np.arange(3), {"a": np.arange(3)}, "step", "y", reference={"floor": 0.0, "half": 1.0, "edge": np.ones(3)}
    )
    page = lines_page(open_page, chart, steps=[0, 1, 2])
    listed = page.locator("#one-0 .legend line").evaluate_all(
        "(all) => all.map((line) => line.getAttribute('stroke-dasharray'))"
    )
    drawn = page.locator("#one-0 .js-line").evaluate_all("(all) => all.map((line) => line.style.strokeDasharray)")
    assert len(set(listed)) == 3
    assert [dash.replace("px", "").replace(" ", "") for dash in drawn if dash] == [
        dash.replace("px", "") for dash in listed
    ]


def test_bands_have_edges_and_their_own_words_and_colours_in_the_legend(open_page: Open) -> None:
    y = {"fc1": np.arange(3.0), "fc2": np.arange(3.0)}
    bands = {name: (values - 1, values + 1) for name, values in y.items()}
    charts = [Lines("t", np.arange(3), y, "step", "y", bands, band_label=words) for words in ("2 sd", "quartiles")]
    page = lines_page(open_page, *charts, steps=[0, 1, 2])
    for place, words in enumerate(("2 sd", "quartiles")):
        playwright.expect(page.locator(f"#one-{place} .legend-row")).to_contain_text(words)
    swatches = page.locator("#one-0 .swatch.band i").evaluate_all(
        "(all) => all.map((part) => part.style.backgroundColor)"
    )
    fills = page.locator("#one-0 .js-fill").evaluate_all(
        "(all) => all.map((path) => [path.style.fill, path.style.fillOpacity])"
    )
    assert len(swatches) == len(fills) == 2
    assert {float(opacity) for _, opacity in fills} == {0.07, 0.24}  # the picked layer's stands out
    edges = page.locator("#one-0 .js-line").evaluate_all("(all) => all.map((line) => line.style.strokeWidth)")
    assert edges.count("1px") == 4


def test_the_axis_does_not_repeat_the_title(open_page: Open) -> None:
    page = lines_page(open_page, Lines("Loss", np.arange(3), {"a": np.arange(3)}, "step", "loss"), steps=[0, 1, 2])
    playwright.expect(page.locator("#one-0 .y-label")).to_have_text("")


def test_a_probability_of_zero_is_below_the_least_number(open_page: Open) -> None:
    table = Table("t", {"layer": ["a", "b"], "tail probability": [0.0, 2.10499e-10], "dead": [0, 12345]})
    lines = Lines("p", np.arange(2), {"a": np.array([0, 0.5])}, "step", "chance of it")
    page = open_page(made(table, lines))
    cells = [row.locator("td").all_inner_texts() for row in page.locator("#one-0 tbody tr").all()]
    assert cells == [["a", "< 1e-300", "0"], ["b", "2.105e-10", "12,345"]]
    assert table_of(page, "one-1") == [["0", "< 1e-300"], ["1", "0.5"]]
