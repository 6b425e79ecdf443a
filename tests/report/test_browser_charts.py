"""Charts in a browser: legends, axes, zoom, maps, several layers, lives of groups, curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.report.browser import (
    NEEDS_BROWSER,
    Open,
    floats,
    lines_page,
    made,
    move_slider,
    picture,
    png_size,
    rows_of,
    saved,
    settled,
    table_of,
    written,
)
from wdyn.analyses._charts import (
    Bridge,
    CurvesThroughTime,
    HeatMap,
    Lifelines,
    Lines,
)

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER


def legend_of(page: Any) -> list[str]:
    return [each.get_attribute("aria-pressed") for each in page.locator("#one-0 .legend button").all()]


def test_a_legend_entry_can_be_shown_alone_and_by_keys(open_page: Open) -> None:
    chart = Lines("t", np.arange(3), {name: np.arange(3) for name in "abc"}, "step", "y")
    page = lines_page(open_page, chart, steps=[0, 1, 2])
    entries = page.locator("#one-0 .legend button")
    entries.nth(1).dblclick()
    assert legend_of(page) == ["false", "true", "false"]
    page.wait_for_function("() => document.querySelectorAll('#one-0 .scatterlayer .trace').length === 1")
    entries.nth(1).click(modifiers=["Shift"])
    assert legend_of(page) == ["true"] * 3
    entries.nth(2).focus()
    page.keyboard.press("Enter")
    assert legend_of(page) == ["true", "true", "false"]
    page.keyboard.press("Shift+Enter")
    assert legend_of(page) == ["false", "false", "true"]


def test_axes_turn_logarithmic_where_the_values_allow_it(open_page: Open) -> None:
    x = np.array([0, 1, 10, 100])
    charts = (
        Lines("good", x, {"a": 10.0**-x}, "optimizer step", "y"),
        Lines("zero", x, {"a": np.arange(4.0)}, "optimizer step", "y"),
        Lines("short", np.array([5, 6, 7]), {"a": np.ones(3)}, "rank", "y", y_scale="log"),
    )
    page = lines_page(open_page, *charts, steps=x.tolist())
    shown = [
        [each.is_visible() for each in page.locator(f"#one-{i} .tools > button", has_text="log").all()]
        for i in range(3)
    ]
    assert shown == [[True, True], [True, False], [False, True]]
    layout = "(chart) => document.querySelector(`#${chart} .js-plotly-plot`)._fullLayout"
    for name, axis in (("log x", "xaxis"), ("log y", "yaxis")):
        page.locator("#one-0").get_by_role("button", name=name).click()
        page.wait_for_function(f"(chart) => ({layout})(chart).{axis}.type === 'log'", arg="one-0")
    assert page.evaluate(f"(chart) => ({layout})(chart).xaxis.tickvals[0]", "one-0") == 0.5  # step 0
    playwright.expect(page.locator("#one-0 .y-label")).to_have_text("y (log scale)")
    page.locator("#one-0").get_by_role("button", name="log y").click()
    page.wait_for_function(f"(chart) => ({layout})(chart).yaxis.type === 'linear'", arg="one-0")


def test_a_zoom_can_be_taken_back(open_page: Open) -> None:
    page = lines_page(open_page, Lines("t", np.arange(9), {"a": np.arange(9)}, "step", "y"), steps=list(range(9)))
    whole = page.locator("#one-0").get_by_role("button", name="Reset zoom")
    axis = "document.querySelector('#one-0 .js-plotly-plot')._fullLayout.xaxis"
    width = f"() => {axis}.range[1] - {axis}.range[0]"
    before = page.evaluate(width)
    assert whole.is_hidden()
    box = page.locator("#one-0 .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 160, steps=4)
    page.mouse.up()
    whole.wait_for()
    assert page.evaluate(width) < before / 2
    whole.click()
    page.wait_for_function(f"(before) => Math.abs(({width})() - before) < 1e-9", arg=before)
    assert whole.is_hidden()


def test_rows_of_a_map_can_be_sorted_by_their_last_value(open_page: Open) -> None:
    values = np.array([[0.0, 1.0], [9.0, 3.0], [5.0, np.nan], [2.0, 2.0]])
    page = open_page(made(HeatMap("h", np.arange(2), values, [4, 5, 6, 7], "step", "neuron", "v", layer="fc1")))
    before = table_of(page, "one-0")
    page.locator("#one-0").get_by_role("button", name="sort").click()
    rows = rows_of(saved(page, "one-0", "CSV"))[1:]
    assert [row[0] for row in rows] == ["5", "7", "4", "6"]
    np.testing.assert_allclose([floats(row[1:]) for row in rows], values[[1, 3, 0, 2]], atol=2e-4)
    box = page.locator("#one-0 canvas").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 20)
    playwright.expect(page.locator("#tip")).to_contain_text("neuron 5, step 0")
    page.locator("#one-0").get_by_role("button", name="sort").click()
    assert [row[0] for row in rows_of(saved(page, "one-0", "CSV"))[1:]] == [row[0] for row in before]


def test_colours_of_a_map_can_be_measured_from_the_level_of_each_column(open_page: Open) -> None:
    """Both columns differ by the same from their own level, so they have the same colours, and values as they are."""
    values, names = np.array([[0.9, 0.5], [0.8, 0.4]]), ["digits", "cifar"]
    given = {"columns": names, "base": np.array([0.9, 0.5]), "base_label": "its own"}
    page = open_page(made(HeatMap("t", np.arange(2), values, names, "trained on", "found on", "accuracy", **given)))
    page.locator("#one-0").scroll_into_view_if_needed()
    playwright.expect(page.locator("#one-0 .colours")).to_contain_text("accuracy minus its own")
    assert page.locator("#one-0 .ticks span").all_inner_texts() == ["−0.1", "0", "0.1"]
    shades = page.locator("#one-0 canvas").evaluate(
        """(canvas) => {
            const {width, height} = canvas;
            const pixels = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, width, height).data.buffer);
            const at = (across, down) => pixels[Math.round(height * down) * width + Math.round(width * across)];
            return [at(0.35, 0.2), at(0.35, 0.65), at(0.85, 0.2), at(0.85, 0.65)];
        }"""
    )
    assert shades[0] == shades[2] != shades[1] == shades[3]
    rows = rows_of(saved(page, "one-0", "CSV"))[1:]
    np.testing.assert_allclose([floats(row[1:]) for row in rows], values, atol=1e-5)  # of 65,535 codes over 0.5


def test_of_a_lone_step_what_chance_gives_is_seen_too_and_without_a_value_no_axes_are_drawn(open_page: Open) -> None:
    at, band = np.array([5]), {"a": (np.array([0.5]), np.array([1.5]))}
    chart = Lines("t", at, {"a": np.array([1.0])}, "step", "y", band, {"bound": 2.0})
    nothing = Lines("t", np.arange(3), {"a": np.full(3, np.nan)}, "step", "y")
    page = lines_page(open_page, chart, steps=[5])
    playwright.expect(page.locator("#one-0 .scatterlayer .points path")).to_have_count(4)
    assert page.locator("#one-0 .xtick text").all_text_contents() == ["5"]
    page = open_page(made(nothing))
    page.locator("#one-0").scroll_into_view_if_needed()
    playwright.expect(page.locator("#one-0 .empty").first).to_have_text("There is no value to draw.")
    assert page.locator("#one-0 .plot").is_hidden()


def test_lives_of_groups_are_bands_that_name_sizes_and_what_became_of_them(open_page: Open) -> None:
    sizes = np.array([[3, 2], [5, 0], [5, 0]])
    lives = Lifelines(
        "t", np.arange(3), np.array([4, 7]), sizes, [Bridge(1, 1, 0, 2, 10 / 8)], "What chance gives.", "fc1"
    )
    page = open_page(made(lives))
    page.locator("#one-0").scroll_into_view_if_needed()
    playwright.expect(page.locator("#one-0 .note")).to_have_text("What chance gives.")
    box = page.locator("#one-0 canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    tip = page.locator("#tip")
    playwright.expect(tip).to_contain_text("group 4, step 1")
    there = "there from the first shown step, still there at the last"
    assert tip.inner_text().split("\n")[1:] == [
        "neurons: 5",
        there,
        "2 came from group 7; by chance groups of these sizes share 1.25",
    ]
    page.mouse.move(box["x"] + 36, box["y"] + 170)
    playwright.expect(tip).to_contain_text("there from the first shown step, last seen at step 0")
    assert table_of(page, "one-0") == [["0", "3", "2"], ["1", "5", "0"], ["2", "5", "0"]]
    assert rows_of(saved(page, "one-0", "CSV"))[0] == ["step", "neurons of group 4", "neurons of group 7"]
    assert png_size(saved(page, "one-0", "PNG"))[0] == round(2 * (box["width"] + 40))


def test_numbers_in_cells_share_a_decimal_place_and_stand_only_where_they_fit(open_page: Open) -> None:
    values = np.array([[0.1638, -0.0000261], [np.nan, 0.0204]])
    names = ["first", "second"]
    chart = HeatMap("κ", np.arange(2), values, names, "run", "run", "κ", columns=names)
    assert written(open_page(made(chart)), "one-0")[:3] == ["0.164", "0", "0.02"]
    narrow = HeatMap("z", np.arange(12), np.full((1, 12), -1234.5), ["a"], "run", "run", "z", columns=range(12))
    texts = written(open_page(made(narrow), viewport={"width": 390, "height": 800}), "one-0")
    assert "a" in texts
    assert not any(text.startswith("−1,23") for text in texts)


def test_a_curve_is_that_of_the_slider_beside_chance_and_the_first(open_page: Open, rng: np.random.Generator) -> None:
    steps, x = np.array([0, 1, 2]), np.array([1, 2, 4, 9])
    values, expected = np.sort(rng.uniform(size=(3, 4)))[:, ::-1], rng.uniform(size=(3, 4))
    expected[2, 0] = values[1] = np.nan
    page = open_page(made(CurvesThroughTime("Spectrum", steps, x, values, expected, "chance", "rank", "value", "fc1")))
    last = picture(page, "one-0")
    for place in (2, 0):
        move_slider(page, place)
        settled(page)
        rows = np.array([floats([cell.replace("–", "") for cell in row]) for row in table_of(page, "one-0")])
        # 16 bits of the whole extent, and four digits
        np.testing.assert_allclose(rows, np.stack([x, values[place], expected[place]], axis=1), atol=1e-4)
    page.locator("#one-0 canvas").hover(position={"x": 54, "y": 100})
    tip = page.locator("#tip").inner_text()
    assert "rank 1, step 0" in tip
    assert picture(page, "one-0") != last
    move_slider(page, 1)
    assert set(written(page, "one-0")) == {"No value at this step."}


def test_kinds_have_the_colours_of_groups_and_whole_numbers(open_page: Open) -> None:
    kinds = np.array([[0.0, 9.0], [2.0, np.nan]])
    words = ("step", "neuron", "group")
    page = open_page(made(HeatMap("k", np.array([0, 2]), kinds, [0, 1], *words, layer="fc1", categorical=True)))
    picture(page, "one-0")
    seen = page.evaluate("""() => {
        const canvas = document.querySelector('#one-0 canvas'), ratio = window.devicePixelRatio;
        const {width} = canvas.getBoundingClientRect(), inner = width - 46 - 22;
        const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const place = (column, row) => Math.round((6 + 120 * (0.3 + 0.5 * row)) * ratio) * canvas.width + Math.round((46 + inner * (0.3 + 0.55 * column)) * ratio);
        const at = (column, row) => data.slice(4 * place(column, row), 4 * place(column, row) + 3);
        const probe = document.body.appendChild(document.createElement('i'));
        const token = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
        const cells = [[0, 0], [1, 0], [0, 1], [1, 1]].map(([c, r]) => `rgb(${[...at(c, r)].join(', ')})`);
        return [cells, ['c0', 'c1', 'c2', 'blank'].map(token)];
    }""")  # noqa: E501
    assert seen[0] == seen[1]  # after the eighth colour the first comes again
    assert page.locator("#one-0 .ramp").count() == 0  # no order
    assert table_of(page, "one-0") == [["0", "0", "9"], ["1", "2", "–"]]


def test_colours_that_mean_something_stay_where_the_system_gives_the_colours(open_page: Open, lenet: bytes) -> None:
    usual, forced = open_page(lenet), open_page(lenet, forced_colors="active")
    assert picture(forced, "umap-0") == picture(usual, "umap-0")
