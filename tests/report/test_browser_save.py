"""Saving a chart: all numbers, pictures that stand alone, by keys, names only as text."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from tests.report.browser import (
    NEEDS_BROWSER,
    Open,
    floats,
    lines_drawn,
    made,
    move_slider,
    png_size,
    rows_of,
    saved,
)
from tests.report.test_page import HOSTILE
from wdyn.analyses._charts import (
    Bars,
    HeatMap,
    Lines,
    MatrixThroughTime,
    PointsThroughTime,
    Table,
)
from wdyn.report.words import visible

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER


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


def test_the_menu_stands_out_of_a_section_that_is_lower(open_page: Open) -> None:
    bars = Bars("b", ["a", "b"], {"n": np.array([1e-9, 2.0])}, "what", "count")
    page = open_page(made(bars))
    page.add_style_tag(content="#one-0 .body { display: none } .card { contain-intrinsic-size: auto 1px !important }")
    page.locator("#one-0 .save > button").click()
    entries = page.locator("#one-0 .menu button")
    section, last = page.locator(".card", has=entries).bounding_box(), entries.last.bounding_box()
    assert last["y"] > section["y"] + section["height"]
    entries.last.click(trial=True)  # nothing lies over it or cuts it
    page.keyboard.press("Escape")
    assert page.locator(".front").count() == 0
