"""What stands around a chart in a real browser: files to save, switches."""

from __future__ import annotations

import csv
import io
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.report.browser import NEEDS_BROWSER, Open, lines_drawn, lines_page, made, move_slider, picture, table_of
from tests.report.made_up import facts
from tests.report.test_page import HOSTILE
from wdyn.analyses._charts import (
    Bars,
    Bridge,
    CurvesThroughTime,
    HeatMap,
    Lifelines,
    Lines,
    MatrixThroughTime,
    PointsThroughTime,
    Table,
)
from wdyn.report.page import render_page
from wdyn.report.sections import Section
from wdyn.report.words import visible

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER


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


def floats(cells: list[str]) -> list[float]:
    return [float(cell) if cell else float("nan") for cell in cells]


def png_size(file: Path) -> tuple[int, int]:
    data = file.read_bytes()
    assert data.startswith(b"\x89PNG")
    return struct.unpack(">II", data[16:24])  # type: ignore[return-value]


def test_saved_numbers_are_all_that_is_drawn_in_full(open_page: Open, rng: np.random.Generator) -> None:
    steps, x = np.array([0, 3, 10]), np.arange(900)
    fine = rng.normal(size=900).astype(np.float32)  # the page keeps them so
    fine[3], fine[4] = np.nan, np.inf
    heat, xy = rng.normal(size=(4, 3)) * 1e-4, rng.normal(size=(3, 4, 2))
    xy[2, 1] = np.nan
    matrix = np.full((3, 2, 2), [[1, -0.5], [-0.5, 1]])
    page = open_page(
        made(
            PointsThroughTime("p", steps, xy, np.arange(4) + 10, np.array([0, 1, -1, 9]), "group", "", "fc1"),
            MatrixThroughTime("m", steps, matrix, [[0], [3, 4]], -1, 1, "cosine", "fc1"),
            HeatMap("h", steps, heat, [0, 1, 2, 3], "step", "neuron", "norm", layer="fc1"),
            Lines("l", x, {"a, \"b\"": fine}, "step", "loss", {"c": (fine - 1, fine + 1)}, {"floor": 0.1}),
            Bars("b", ["a", "b"], {"n": np.array([1e-9, 2.0])}, "what", "count"),
            Table("t", {"a": ["x", "y"], "n": [0.123456789, -2]}),
        )
    )  # fmt: skip
    page.locator("#one-1").scroll_into_view_if_needed()
    head, *rows = rows_of(saved(page, "one-0", "CSV"))
    assert head == ["step", "neuron", "group", "x", "y"]
    assert [row[:3] for row in rows[8:]] == [["10", "10", "0"], ["10", "11", "1"], ["10", "12", ""], ["10", "13", "9"]]
    place = np.array([floats(row[3:]) for row in rows]).reshape(3, 4, 2)
    np.testing.assert_allclose(place, xy, atol=2e-4)  # one of 65,535 places over about 5
    # a cosine is one of 255 shades
    shades = rows_of(saved(page, "one-1", "CSV"))
    assert shades == [["neurons", "0", "3 4"], ["0", "1", "-0.4961"], ["3 4", "-0.4961", "1"]]
    head, *rows = rows_of(saved(page, "one-2", "CSV"))
    assert head == ["neuron", "step 0", "step 3", "step 10"]
    np.testing.assert_allclose([floats(row[1:]) for row in rows], heat, atol=2 * np.ptp(heat) / 65534)
    head, *rows = rows_of(saved(page, "one-3", "CSV"))
    assert head == ["step", 'a, "b"', "c: expected by chance, from", "to", "floor"]
    np.testing.assert_array_equal(np.float32([floats(row)[1] for row in rows]), fine)
    assert len(rows) == 900
    assert {row[4] for row in rows} == {"0.1"}
    assert max(len(row[1]) for row in rows) <= 16  # the fewest digits that name a float32, not those of a float64
    assert rows_of(saved(page, "one-4", "CSV")) == [["what", "n"], ["a", "1e-9"], ["b", "2"]]
    assert rows_of(saved(page, "one-5", "CSV")) == [["a", "n"], ["x", "0.123456789"], ["y", "-2"]]


def test_pictures_are_saved_with_their_words(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    move_slider(page, 3)
    for chart, kind in (("umap-0", "points"), ("similarity-0", "matrix"), ("norms-0", "heat map")):
        shown = page.locator(f"#{chart} canvas").bounding_box()
        file = saved(page, chart, "PNG")
        width, height = png_size(file)
        assert width == round(2 * (shown["width"] + 40)), kind  # twice the pixels, a margin on each side
        assert height > 2 * shown["height"] + 100, kind
    assert saved(page, "umap-0", "PNG").name == "umap-Neurons-in-the-embedding-fc1-step-3.png"
    for chart, words in (("metrics-0", ("Loss", "val_loss", "optimizer step")), ("sizes-0", ("Sizes of", "inputs"))):
        lines_drawn(page, chart)
        drawing = ElementTree.fromstring(saved(page, chart, "SVG").read_bytes())
        text = " ".join("".join(each.itertext()) for each in drawing.iter("{http://www.w3.org/2000/svg}text"))
        assert all(word in text for word in words)
        assert png_size(saved(page, chart, "PNG"))[0] == 2 * int(drawing.get("width", "0"))


def test_a_picture_holds_what_the_canvas_shows(open_page: Open) -> None:
    values = np.stack([np.full((1, 1), value) for value in (-1.0, 1.0)])
    page = open_page(made(MatrixThroughTime("m", np.array([0, 2]), values, [[0]], -1, 1, "cosine", "fc1")))
    page.locator("#one-0").scroll_into_view_if_needed()
    pixels = "() => [...canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 3, 1, 1).data]"
    shown = page.locator("#one-0 canvas").evaluate(f"(canvas) => ({pixels})()")
    other = open_page(made())
    data = "data:image/png;base64," + __import__("base64").b64encode(saved(page, "one-0", "PNG").read_bytes()).decode()
    drawn = other.evaluate(
        f"""async (url) => {{
            const image = new Image();
            image.src = url;
            await image.decode();
            const canvas = document.createElement("canvas");
            Object.assign(canvas, {{width: image.width, height: image.height}});
            canvas.getContext("2d").drawImage(image, 0, 0);
            return ({pixels})();
        }}""",
        data,
    )
    assert drawn == shown


@pytest.mark.parametrize("name", [*HOSTILE, "=HYPERLINK(1)"])
def test_hostile_names_are_saved_as_text(open_page: Open, name: str) -> None:
    y = {name: np.arange(3.0), "<b>b</b>": np.arange(3.0)}
    charts = (
        Lines(name, np.arange(3), y, name, name, {name: (-np.ones(3), np.ones(3))}, layer=name),
        HeatMap(name, np.arange(2), np.ones((1, 2)), [name], name, name, name, columns=[name, "b"]),
        Table(name, {name: [name]}),
    )
    page = open_page(made(*charts, layers={name: (3, 2)}))
    lines_drawn(page, "one-0")
    text = visible(name)
    safe = f"'{text}" if text[0] in "=+-@" else text
    assert rows_of(saved(page, "one-0", "CSV"))[0][:3] == [safe, safe, "<b>b</b>"]
    assert rows_of(saved(page, "one-1", "CSV"))[1][0] == safe
    assert rows_of(saved(page, "one-2", "CSV")) == [[safe], [safe]]
    drawing = ElementTree.fromstring(saved(page, "one-0", "SVG").read_bytes())
    assert not {each.tag.rpartition("}")[2] for each in drawing.iter()} & {"script", "image", "a", "b", "foreignObject"}
    for chart, kind in (("one-0", "PNG"), ("one-1", "PNG")):
        file = saved(page, chart, kind)
        png_size(file)
        assert len(file.name) <= 170
        assert set(file.name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def test_the_menu_is_worked_by_keys_and_leaves_the_neuron_chosen(open_page: Open) -> None:
    page = open_page(made(HeatMap("h", np.arange(2), np.ones((3, 2)), [0, 1, 2], "step", "neuron", "v", layer="fc1")))
    page.locator("#neuron").fill("1")
    button, menu = page.locator("#one-0 .save > button"), page.locator("#one-0 .menu")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    playwright.expect(menu.locator("button").nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    assert menu.is_hidden()
    playwright.expect(button).to_be_focused()
    assert page.locator("#neuron").input_value() == "1"
    button.click()
    page.mouse.click(5, 500)
    assert menu.is_hidden()


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


def time_page(open_page: Open, **options: Any) -> Any:
    steps = np.array([0, 1, 10, 100])
    heat = HeatMap("h", steps, np.ones((2, 4)), [0, 1], "optimizer step", "neuron", "v", layer="fc1")
    epoch = Lines("epoch", np.array([1, 50]), {"epoch": np.array([0.0, 1.0])}, "optimizer step", "epoch")
    sections = [Section("metrics", "M", "", charts=(epoch,)), Section("one", "One", "", charts=(heat,))]
    return open_page(render_page(facts({"fc1": (2, 2)}), sections, steps.tolist()), **options)


def test_the_slider_can_count_optimizer_steps_and_keys_still_go_from_shown_step_to_shown_step(open_page: Open) -> None:
    page = time_page(open_page)
    slider, label = page.locator("#step"), page.locator("#step-label")
    page.get_by_role("button", name="Linear").click()
    assert [slider.get_attribute("max"), slider.input_value()] == ["100", "100"]
    move_slider(page, 30)
    playwright.expect(label).to_contain_text("step 10")
    playwright.expect(slider).to_have_value("10")
    slider.focus()
    for key, step in (("ArrowRight", 100), ("ArrowLeft", 10), ("Home", 0), ("ArrowUp", 1), ("End", 100)):
        page.keyboard.press(key)
        playwright.expect(slider).to_have_value(str(step))
    page.get_by_role("button", name="Linear").click()
    playwright.expect(slider).to_have_value("3")
    even = open_page(made(Lines("t", np.arange(3), {"a": np.arange(3)}, "step", "y")))
    assert even.locator("#spacing").is_hidden()


def test_the_epoch_stands_beside_the_step_where_it_was_logged(open_page: Open) -> None:
    page = time_page(open_page)
    for place, words in ((0, "step 0"), (1, "step 1, epoch 0"), (2, "step 10, epoch 0"), (3, "step 100, epoch 1")):
        move_slider(page, place)
        playwright.expect(page.locator("#step")).to_have_attribute("aria-valuetext", words)
    assert page.locator("#step-label").inner_text().split() == ["step", "100", "epoch", "1"]


def test_play_takes_the_time_of_each_gap_in_linear_spacing(open_page: Open) -> None:
    page = time_page(open_page)
    page.get_by_role("button", name="Linear").click()
    page.evaluate(
        """() => {
            window.at = {};
            new MutationObserver(() => { window.at[document.getElementById("step").value] ??= performance.now() })
                .observe(document.getElementById("step-label"), {childList: true});
        }"""
    )
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("() => window.at[100]")
    assert page.evaluate("() => window.at[100] - window.at[10]") >= 450  # nine tenths of all, so the longest pause


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


def test_several_layers_stand_side_by_side_and_a_click_picks_the_layer_too(open_page: Open) -> None:
    layers = {f"layer{k}": (4, 2) for k in range(8)}
    steps = np.array([0, 1])
    heats = [
        HeatMap("h", steps, np.full((4, 2), k), range(4), "step", "neuron", "v", layer=f"layer{k}") for k in range(8)
    ]
    matrices = [
        MatrixThroughTime("m", steps, np.stack([np.eye(4), np.ones((4, 4))]), [[0], [1], [2], [3]], -1, 1, "c", name)
        for name in layers
    ]
    page = open_page(made(*heats, *matrices, layers=layers))
    for chart in ("one-0", "one-1"):
        page.locator(f"#{chart}").get_by_role("button", name="all layers").click()
    one, two = page.locator("#one-0 .one"), page.locator("#one-1 .one")
    assert one.locator("h4").all_inner_texts() == [f"layer{k}" for k in range(6)]
    playwright.expect(page.locator("#one-0 .many-words")).to_contain_text("6 of 8 layers")
    assert {tuple(each.locator(".ticks span").all_inner_texts()) for each in one.all()} == {("0", "2.5", "5")}
    pixels = "(canvas) => canvas.toDataURL()"
    before = two.nth(1).locator("canvas").evaluate(pixels)
    move_slider(page, 0)
    page.wait_for_function(
        "(before) => document.querySelectorAll('#one-1 .one canvas')[1].toDataURL() !== before", arg=before
    )
    one.nth(2).scroll_into_view_if_needed()
    page.wait_for_timeout(120)  # seen, told, drawn
    plain = one.nth(0).locator("canvas").evaluate(pixels)
    box = one.nth(2).locator("canvas").bounding_box()
    one.nth(2).locator("canvas").click(position={"x": box["width"] / 2, "y": 20})
    playwright.expect(page.locator("#layer")).to_have_value("2")
    playwright.expect(page.locator("#neuron")).to_have_value("0")
    assert one.nth(0).locator("canvas").evaluate(pixels) == plain  # neuron 0 of another layer is not marked
    page.select_option("#layer", label="layer7")
    playwright.expect(one.locator("h4").last).to_have_text("layer7")
    page.locator("#one-0").get_by_role("button", name="all layers").click()
    playwright.expect(page.locator("#one-0 .body canvas")).to_be_visible()
    assert one.count() == 0


def test_lives_of_groups_are_bands_that_name_sizes_and_what_became_of_them(open_page: Open) -> None:
    sizes = np.array([[3, 2], [5, 0], [5, 0]])
    lives = Lifelines("t", np.arange(3), np.array([4, 7]), sizes, [Bridge(1, 1, 0, 2)], "What chance gives.", "fc1")
    page = open_page(made(lives))
    page.locator("#one-0").scroll_into_view_if_needed()
    playwright.expect(page.locator("#one-0 .note")).to_have_text("What chance gives.")
    box = page.locator("#one-0 canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    tip = page.locator("#tip")
    playwright.expect(tip).to_contain_text("group 4, step 1")
    there = "there from the first shown step, still there at the last"
    assert tip.inner_text().split("\n")[1:] == ["neurons: 5", there, "2 came from group 7"]
    page.mouse.move(box["x"] + 36, box["y"] + 170)
    playwright.expect(tip).to_contain_text("there from the first shown step, last seen at step 0")
    assert table_of(page, "one-0") == [["0", "3", "2"], ["1", "5", "0"], ["2", "5", "0"]]
    assert rows_of(saved(page, "one-0", "CSV"))[0] == ["step", "neurons of group 4", "neurons of group 7"]
    assert png_size(saved(page, "one-0", "PNG"))[0] == round(2 * (box["width"] + 40))


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
        page.wait_for_timeout(120)
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
