"""The page in a real browser: what a reader does, and that nothing leaves or enters the file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.report.browser import (
    NEEDS_BROWSER,
    Open,
    lines_drawn,
    made,
    move_slider,
    numbers,
    picture,
    settled,
    table_of,
)
from tests.report.made_up import STEPS, facts, sections
from tests.report.test_page import HOSTILE
from wdyn.analyses._charts import Bars, HeatMap, Lines, MatrixThroughTime, PointsThroughTime, Table
from wdyn.report.page import render_page
from wdyn.report.sections import Section
from wdyn.report.words import HIDDEN, visible

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER


def test_the_slider_drives_every_picture(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    last = {chart: picture(page, chart) for chart in ("umap-0", "similarity-0", "norms-0")}
    playwright.expect(page.locator("#step-label")).to_have_text("step 2,000")
    move_slider(page, 0)
    for chart, before in last.items():
        assert picture(page, chart) != before
    playwright.expect(page.locator("#step-label")).to_have_text("step 0")
    playwright.expect(page.locator("#similarity-0")).to_contain_text("Shown: step 0")
    move_slider(page, int(page.locator("#step").get_attribute("max")))
    assert {chart: picture(page, chart) for chart in last} == last


def test_keys_move_the_slider_and_space_plays(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    page.locator("#step").focus()
    page.keyboard.press("Home")
    playwright.expect(page.locator("#step-label")).to_have_text("step 0")
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator("#step-label")).to_have_text("step 1")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.getElementById('step').value > 3")
    assert page.locator("#play").get_attribute("aria-label") == "Pause"
    page.keyboard.press("Space")
    stopped = page.locator("#step").input_value()
    page.wait_for_timeout(400)
    assert page.locator("#step").input_value() == stopped


def test_play_begins_anew_at_the_end_and_stops_there(open_page: Open) -> None:
    page = open_page(made(Lines("t", np.arange(3), {"a": np.arange(3)}, "step", "y")))
    page.locator("#play").click()
    page.wait_for_function("() => document.getElementById('play').getAttribute('aria-label') === 'Play'")
    playwright.expect(page.locator("#step-label")).to_have_text("step 2")


def test_hovering_names_the_neuron_and_the_pair(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    page.select_option("#layer", label="fc3")
    box = page.locator("#similarity-0 canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.98, box["y"] + box["height"] * 0.08)
    playwright.expect(page.locator("#tip")).to_contain_text("neuron 0 and neuron 9")
    playwright.expect(page.locator("#tip")).to_contain_text("cosine:")
    page.mouse.move(2, 890)
    assert page.locator("#tip").is_hidden()


def test_a_click_selects_a_neuron_everywhere_and_escape_lets_go(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    page.select_option("#layer", label="fc2")
    charts = ("umap-0", "similarity-0", "norms-0")
    before = {chart: picture(page, chart) for chart in charts}
    box = page.locator("#similarity-0 canvas").bounding_box()
    page.locator("#similarity-0 canvas").click(
        position={"x": 8 + (box["width"] - 8) * 0.425, "y": 8 + (box["height"] - 8) * 0.425}
    )
    playwright.expect(page.locator("#neuron")).to_have_value("42")
    playwright.expect(page.locator("#picked")).to_contain_text("Neuron 42")
    for chart in charts:
        assert picture(page, chart) != before[chart]
    page.keyboard.press("Escape")
    playwright.expect(page.locator("#neuron")).to_have_value("")
    assert {chart: picture(page, chart) for chart in charts} == before


def test_neurons_can_be_picked_by_key_and_by_number(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    page.locator("#umap-0 canvas").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.getElementById('neuron').value === '1'")
    before = picture(page, "umap-0")
    page.locator("#neuron").fill("7")
    assert picture(page, "umap-0") != before
    page.locator("#neuron").fill("300")  # fc1 has neurons 0 to 299
    playwright.expect(page.locator("#picked")).to_have_text("fc1 has neurons 0 to 299.")
    page.keyboard.press("Escape")
    playwright.expect(page.locator("#neuron")).to_have_value("")
    playwright.expect(page.locator("#picked")).to_have_text("")


def test_a_number_that_names_no_neuron_does_not_outlive_its_layer(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    page.locator("#neuron").fill("300")
    page.select_option("#layer", label="fc2")
    playwright.expect(page.locator("#neuron")).to_have_value("")
    assert page.evaluate("() => document.querySelector('#neuron:invalid') === null")
    playwright.expect(page.locator("#picked")).to_have_text("")


def test_the_page_says_in_how_many_pictures_a_neuron_is_marked(open_page: Open) -> None:
    steps, three = np.array([0, 1]), np.arange(3)
    xy = np.ones((2, 3, 2))
    xy[1, 2] = np.nan
    charts = (
        PointsThroughTime("p", steps, xy, three, three, "g", "", "fc1"),
        MatrixThroughTime("m", steps, np.ones((2, 3, 3)), [[0], [1], [2]], -1, 1, "c", "fc1"),
        HeatMap("h", steps, np.ones((2, 2)), [0, 1], "step", "neuron", "v", layer="fc1"),
    )
    page = open_page(made(*charts))
    for neuron, words in (("1", "is marked in all of 3 pictures"), ("2", "is marked in 1 of 3 pictures")):
        page.locator("#neuron").fill(neuron)
        playwright.expect(page.locator("#picked")).to_contain_text(f"Neuron {neuron} {words} of this layer")


def test_a_tooltip_does_not_outlive_its_layer_and_follows_the_step(open_page: Open) -> None:
    values = np.stack([np.full((3, 3), value) for value in (0.25, 0.5, 1.0)])
    layers = {"fc1": (3, 2), "fc2": (3, 2)}
    matrix = [MatrixThroughTime("m", np.arange(3), values, [[0], [1], [2]], 0, 1, "cosine", layer) for layer in layers]
    page = open_page(made(*matrix, layers=layers))
    page.locator("#one-0 canvas").hover()
    playwright.expect(page.locator("#tip")).to_contain_text("cosine: 1")
    move_slider(page, 1)
    playwright.expect(page.locator("#tip")).to_contain_text("cosine: 0.5")
    page.select_option("#layer", label="fc2")
    playwright.expect(page.locator("#tip")).to_be_hidden()


def test_the_layer_picker_changes_every_chart_of_a_layer(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    lines_drawn(page, "frame_potential-0")
    lines = "document.querySelectorAll('#frame_potential-0 .scatterlayer .trace .js-line')"
    wide = f"() => [...{lines}].map((line) => line.style.stroke + line.style.strokeWidth)"
    first, before = page.evaluate(wide), picture(page, "umap-0")
    page.select_option("#layer", label="fc3")
    playwright.expect(page.locator("#umap-0 .of")).to_have_text("fc3")
    assert picture(page, "umap-0") != before
    lines_drawn(page, "frame_potential-0")
    page.wait_for_function(f"(first) => JSON.stringify(({wide})()) !== JSON.stringify(first)", arg=first)


def test_the_step_marker_follows_on_line_charts_and_a_click_there_moves_the_slider(
    open_page: Open, lenet: bytes
) -> None:
    page = open_page(lenet)
    lines_drawn(page, "metrics-0")
    marker = page.locator("#metrics-0 .marker")
    end = marker.bounding_box()["x"]
    move_slider(page, 0)
    page.wait_for_function(
        "(end) => document.querySelector('#metrics-0 .marker').getBoundingClientRect().x < end - 300", arg=end
    )
    box = page.locator("#metrics-0 .plot").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    settled(page)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 100)
    page.wait_for_function("() => document.getElementById('step').value > 10")


def test_an_axis_that_is_no_step_has_no_marker_and_a_lone_layer_is_always_shown(open_page: Open) -> None:
    ranks = Lines("ranks", np.arange(3), {"a": np.arange(3)}, "singular values kept", "y", layer="b")
    page = open_page(made(ranks, layers={"a": (2, 2), "b": (2, 2)}))
    lines_drawn(page, "one-0")
    assert page.locator("#one-0 .marker").is_hidden()
    playwright.expect(page.locator("#one-0 .of")).to_have_text("b")


def test_a_legend_entry_hides_its_line(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    lines_drawn(page, "metrics-0")
    count = "() => document.querySelectorAll('#metrics-0 .scatterlayer .trace').length"
    assert page.evaluate(count) == 2
    page.locator("#metrics-0 .legend button").nth(1).click()
    page.wait_for_function(f"() => ({count})() === 1")


def test_the_tables_hold_the_numbers_that_went_in(open_page: Open, rng: np.random.Generator) -> None:
    """The way there in Python and back in JavaScript, for every kind of chart."""
    steps = np.array([0, 3, 10])
    xy = rng.normal(size=(3, 4, 2)) * 1e3
    xy[2, 1] = np.nan
    matrix = rng.uniform(-1, 1, size=(3, 4, 4)).astype(np.float32)
    matrix = (matrix + matrix.transpose(0, 2, 1)) / 2
    matrix[:, 2] = matrix[:, :, 2] = np.nan
    heat = rng.normal(size=(4, 3)) * 1e-4
    heat[0, 1] = np.nan
    loss = np.array([2.5, np.nan, 1e-60])
    page = open_page(
        made(
            PointsThroughTime(
                "p", steps, xy, np.arange(4) + 10, np.array([0, 1, -1, 9]), "group", "", "fc1", size=np.abs(xy[..., 0])
            ),
            MatrixThroughTime("m", steps, matrix, [[0], [1], [2], [3, 4]], -1, 1, "cosine", "fc1"),
            HeatMap("h", steps, heat, [0, 1, 2, 3], "step", "neuron", "norm", layer="fc1"),
            Lines("l", steps, {"loss": loss}, "step", "loss", {"loss": (loss - 1, loss + 1)}, {"floor": 0.25}),
            Bars("b", ["a", "b"], {"n": np.array([1.5, np.inf])}, "what", "count"),
        )
    )
    # a place is one of 65,535 along its axis, and four digits are shown
    points = np.array([numbers(row) for row in table_of(page, "one-0")])
    np.testing.assert_allclose(points[:, 2:], xy[2], atol=np.nanmax(np.abs(xy)) * 2 / 65534, rtol=5e-4)
    assert points[:, 0].tolist() == [10, 11, 12, 13]
    np.testing.assert_array_equal(points[:, 1], [0, 1, np.nan, 9])
    # a cosine is one of 255 shades, shown to 2 places: 1/254 + 0.005
    pairs = {(a, b): float(value.replace("−", "-")) for a, b, value in table_of(page, "one-1")}
    names = ["neuron 0", "neuron 1", "neuron 2", "neurons 3, 4"]
    assert set(pairs) == {(names[i], names[j]) for i, j in [(0, 1), (0, 3), (1, 3)]}
    for (a, b), value in pairs.items():
        assert abs(value - matrix[2, names.index(a), names.index(b)]) <= 0.009
    # 65,535 codes over the extent and four digits
    shown = np.array([numbers(row[1:]) for row in table_of(page, "one-2")])
    np.testing.assert_allclose(shown, heat, atol=np.nanmax(np.abs(heat)) / 65534 + 1e-9, rtol=1e-3)
    lines = [numbers(row) for row in table_of(page, "one-3")]
    np.testing.assert_allclose(
        lines, [[0, 2.5, 1.5, 3.5, 0.25], [3, np.nan, np.nan, np.nan, 0.25], [10, 1e-60, -1, 1, 0.25]], rtol=1e-4
    )
    assert table_of(page, "one-4") == [["a", "1.5"], ["b", "∞"]]
    move_slider(page, 0)
    page.locator("#one-0").scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('#one-0 details').innerText.includes('At step 0')")
    np.testing.assert_allclose(
        [numbers(row)[2:] for row in table_of(page, "one-0")], xy[0], atol=np.nanmax(np.abs(xy)) * 2 / 65534, rtol=5e-4
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(open_page: Open, name: str) -> None:
    layers = {name: (6, 3)}
    more = Section(
        "more",
        name,
        name,
        charts=(
            Lines(
                name,
                np.arange(3),
                {name: np.arange(3), "<b>b</b>": np.arange(3)},
                name,
                name,
                reference={name: 1.0},
                band_label=name,
            ),
            Bars(name, [name, "<i>i</i>"], {name: np.arange(2)}, name, name),
            Table(name, {name: [name]}),
        ),
    )
    page = open_page(render_page(facts(layers, run=name, model=name), [*sections(layers), more], [0, 1, 2]))
    lines_drawn(page, "more-0")
    lines_drawn(page, "more-1")
    page.locator("#umap-0 canvas").hover()
    assert page.locator("main img").count() == 0
    assert page.locator("body script").count() == 4
    assert "<i>i</i>" in page.locator("#more-1 .xtick text").all_text_contents()
    assert page.locator(".plot svg a").count() == 0
    # from the template and from the scripts: what hides or reorders letters is written as its number
    for place in ("h1 .name", "#more-0 h3 .name"):
        assert page.locator(place).text_content() == visible(name)
    assert not HIDDEN.search(page.locator("body").inner_text())
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")


def test_dark_and_light_follow_the_system_and_the_button(open_page: Open, lenet: bytes) -> None:
    light, dark = (open_page(lenet, color_scheme=scheme) for scheme in ("light", "dark"))
    back = "() => getComputedStyle(document.body).backgroundColor"
    assert light.evaluate(back) != dark.evaluate(back)
    pictures = picture(light, "similarity-0"), picture(dark, "similarity-0")
    assert pictures[0] != pictures[1]
    light.locator("#theme").click()
    assert light.evaluate(back) == dark.evaluate(back)
    assert picture(light, "similarity-0") == pictures[1]


def test_print_is_light_whole_and_without_controls(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet, color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".bar").is_hidden()
    page.wait_for_selector("#sizes-0 .main-svg")
    assert page.evaluate("() => document.documentElement.style.colorScheme") == "light"
    page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("() => document.documentElement.style.colorScheme") == "dark"


def test_without_scripts_there_are_numbers(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet, wait=False, java_script_enabled=False)
    for place in ("main > noscript p", "#frame_potential-0 noscript tr:last-child td"):
        assert page.locator(place).first.bounding_box()["height"] > 10
    assert page.locator("#step").is_hidden()


def test_a_narrow_screen_needs_no_sideways_scrolling(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet, viewport={"width": 360, "height": 740})
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360  # before most pictures are drawn
    for chart in ("metrics-0", "norms-0", "sizes-0"):
        page.locator(f"#{chart}").scroll_into_view_if_needed()
    page.wait_for_selector("#sizes-0 .main-svg")
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360


def test_points_glide_when_motion_is_welcome_and_arrive(open_page: Open, lenet: bytes) -> None:
    moving, still = open_page(lenet, reduced_motion="no-preference"), open_page(lenet)
    second_frame = """async () => {
        const slider = document.getElementById("step"), frame = () => new Promise(requestAnimationFrame);
        slider.value = 5;
        slider.dispatchEvent(new Event("input"));
        await frame();
        await frame();
        return document.querySelector("#umap-0 canvas").toDataURL();
    }"""
    under_way = moving.evaluate(second_frame)
    at_once = still.evaluate(second_frame)
    assert under_way != at_once
    moving.wait_for_function("(end) => document.querySelector('#umap-0 canvas').toDataURL() === end", arg=at_once)


def test_extremes_are_drawn_without_complaint(open_page: Open) -> None:
    one, none = np.zeros((1, 1, 2)), np.full((2, 3, 2), np.nan)
    page = open_page(
        made(
            PointsThroughTime("one neuron, one step", np.array([4]), one, np.array([0]), np.array([-1]), "g", "", "a"),
            MatrixThroughTime("one", np.array([4]), np.ones((1, 1, 1)), [[0]], -1, 1, "c", "a", np.array([[0]])),
            HeatMap("one", np.array([4]), np.ones((1, 1)), [0], "s", "n", "v", layer="a"),
            PointsThroughTime(
                "all dead", np.array([0, 1]), none, np.arange(3), np.arange(3), "g", "", "b", np.full((2, 3), np.nan)
            ),
            MatrixThroughTime(
                "all dead", np.array([0, 1]), np.full((2, 3, 3), np.nan), [[0], [1], [2]], -1, 1, "c", "b"
            ),
            HeatMap("all dead", np.array([0, 1]), np.full((3, 2), np.nan), [0, 1, 2], "s", "n", "v", layer="b"),
            PointsThroughTime("nobody", np.array([0]), np.empty((1, 0, 2)), np.arange(0), np.arange(0), "g", "", "c"),
            MatrixThroughTime("nobody", np.array([0]), np.empty((1, 0, 0)), [], -1, 1, "c", "c"),
            HeatMap("nothing", np.array([]), np.empty((0, 0)), [], "s", "n", "v", layer="c"),
            Lines("one point", np.array([0]), {"a": np.array([1.0])}, "s", "y", x_scale="log", y_scale="log"),
            Lines("no point", np.array([]), {}, "s", "y"),
            Lines("all missing", np.arange(2), {"a": np.full(2, np.nan)}, "s", "y", y_scale="log"),
            Bars("no bar", [], {}, "s", "y"),
            Table("no row", {"a": []}),
            Table("no column", {}),
            layers={"a": (1, 1), "b": (3, 1), "c": (1, 1), "d": (1, 1)},
        )
    )
    for layer in ("b", "c", "d", "a"):
        page.select_option("#layer", label=layer)
        for chart in range(3):
            figure = page.locator(f"#one-{chart}")
            playwright.expect(figure.locator("> .empty")).to_be_visible(visible=layer == "d")
            if layer != "d":
                picture(page, f"one-{chart}")
                table_of_nothing(page, f"one-{chart}")
    lines_drawn(page, "one-3")
    for chart in range(4, 7):
        page.locator(f"#one-{chart}").scroll_into_view_if_needed()
        playwright.expect(page.locator(f"#one-{chart} .body .empty")).to_have_text("There is no value to draw.")


def table_of_nothing(page: Any, chart: str) -> None:
    page.locator(f"#{chart} summary").click()
    page.locator(f"#{chart} details > div").wait_for(state="attached")
    page.locator(f"#{chart} summary").click()


def test_fifty_layers(open_page: Open) -> None:
    layers = {f"block.{k}.very.long.module.path.of.layer": (4, 3) for k in range(50)}
    page = open_page(render_page(facts(layers), sections(layers), STEPS.tolist()))
    lines_drawn(page, "frame_potential-0")
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    entries = page.locator("#frame_potential-0 .legend button")
    assert entries.all_inner_texts() == ["block.0.very.long.module.path.of.layer", "other layers (49)"]
    drawn = "() => document.querySelectorAll('#frame_potential-0 .scatterlayer .trace').length"
    bands, floor = 2 * 50, 1
    assert page.evaluate(drawn) == bands + floor + 50
    entries.nth(1).click()
    page.wait_for_function(f"() => ({drawn})() === {2 + floor + 1}")
    page.select_option("#layer", label="block.7.very.long.module.path.of.layer")
    playwright.expect(entries.nth(0)).to_have_text("block.7.very.long.module.path.of.layer")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([[0], [1]], ""),
        ([[0, 1], [2, 3]], " A row stands for 2 neurons"),
        ([[0, 1, 2], [3]], " A row stands for up to 3 neurons"),
    ],
)
def test_a_matrix_says_how_many_neurons_a_row_is(open_page: Open, members: list[list[int]], words: str) -> None:
    page = open_page(made(MatrixThroughTime("m", np.array([2]), np.ones((1, 2, 2)), members, -1, 1, "c", "fc1")))
    where = page.locator("#one-0 .where").first.text_content()
    assert where.startswith(f"Shown: step 2.{words}")
    assert ("A row" in where) == bool(words)


def test_what_is_empty_says_so(open_page: Open) -> None:
    nothing = Lines("t", np.arange(2), {"a": np.full(2, np.nan)}, "step", "y")
    page = open_page(
        render_page(
            facts({}),
            [Section("one", "One", "", charts=(nothing, Table("t", {"a": []}), Bars("b", [], {}, "x", "y")))],
            [0, 1],
        )
    )
    for place, words in ((0, "There is no value"), (1, "There are no rows"), (2, "There is no value")):
        playwright.expect(page.locator(f"#one-{place} .body .empty")).to_contain_text(words)
    playwright.expect(page.locator("#provenance")).to_contain_text("No recorded parameter gives neuron rows.")
    playwright.expect(page.locator("main")).to_contain_text("No layer of this run gives neuron rows")
    assert page.locator("#layer").is_hidden()


def test_long_titles_end_in_an_ellipsis_and_wide_tables_hint_at_more(open_page: Open) -> None:
    wide = Table("word " * 80, {f"a heading of some length {k}": [k] for k in range(12)})
    page = open_page(made(wide), viewport={"width": 390, "height": 800})
    clamp = "(name) => [getComputedStyle(name).webkitLineClamp, name.scrollHeight > name.clientHeight]"
    assert page.locator("#one-0 h3 .name").evaluate(clamp) == ["4", True]
    table = page.locator("#one-0 .scroll")
    assert table.evaluate("(box) => box.scrollWidth > box.clientWidth")
    assert table.evaluate("(box) => getComputedStyle(box).backgroundAttachment") == ", ".join(
        ["local"] * 4 + ["scroll"] * 4
    )


def test_a_map_of_named_columns_speaks_of_names_and_of_no_step(open_page: Open) -> None:
    values = np.array([[np.nan, 0.25], [0.25, np.nan]])
    names = ["mnist/round-05", "<b>cifar</b>/round-05"]
    page = open_page(made(HeatMap("κ", np.arange(2), values, names, "run", "run", "κ", diverging=True, columns=names)))
    assert table_of(page, "one-0") == [[names[0], "–", "0.25"], [names[1], "0.25", "–"]]
    headings = page.locator("#one-0 details th").all_inner_texts()
    assert headings == ["run", *names]
    box = page.locator("#one-0 canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 20)  # first row, second column
    assert page.locator("#tip").inner_text().split("\n") == [f"run {names[0]}, run {names[1]}", "κ: 0.25"]
