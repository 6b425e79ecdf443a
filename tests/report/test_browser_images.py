"""Weights drawn as images in a real browser: their signs, channels and neurons, and the one enlarged on the card."""

from __future__ import annotations

import numpy as np
import pytest

from tests.report.browser import NEEDS_BROWSER, Open, card, made, move_slider, numbers, table_of
from wdyn.analyses._charts import HeatMap, ImagesThroughTime, PointsThroughTime

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER

THREE = np.arange(3)
SIGNS = np.array([[1.0, -1.0, 0.0], [0.6, -0.6, np.nan]])  # one image of 2 by 3 pixels


def sheet(neurons: int = 3, channels: int = 1, of: int = 1) -> ImagesThroughTime:
    images = np.tile(SIGNS, (2, neurons, channels, 1, 1))
    images[0] *= -1
    return ImagesThroughTime(
        "Weights as images", np.array([0, 2]), images, np.arange(neurons),
        np.tile(np.arange(channels) + 3 * (of > channels), (neurons, 1)), of, 1.0, "weight", "A guess.", "fc1",
    )  # fmt: skip


# red, blue or neither, at shares of the width and the height
COLOURS = """(canvas, places) => {
    const copy = Object.assign(document.createElement('canvas'), {width: canvas.width, height: canvas.height});
    const context = copy.getContext('2d', {willReadFrequently: true});
    context.drawImage(canvas, 0, 0);
    const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
    return places.map(([x, y]) => {
        const at = 4 * (Math.floor(y * canvas.height) * canvas.width + Math.floor(x * canvas.width));
        return data[at] > data[at + 2] + 20 ? 'red' : data[at + 2] > data[at] + 20 ? 'blue' : 'neither';
    });
}"""


def test_a_picture_of_the_weights_is_drawn_picked_and_enlarged_with_its_signs(open_page: Open) -> None:
    steps = PointsThroughTime("p", THREE, np.ones((3, 3, 2)), THREE, THREE, "g", "", "fc1")
    page = open_page(made(sheet(), steps))
    canvas = page.locator(".images canvas")
    canvas.scroll_into_view_if_needed()
    size = canvas.evaluate("(canvas) => canvas.height - 4") / 2  # two rows of pixels
    canvas.hover(position={"x": 2 + size * 0.5, "y": 2 + size * 1.5})
    playwright.expect(page.locator("#tip")).to_have_text("neuron 0row 1, column 0: weight 0.6")
    canvas.click(position={"x": 2 + 3 * size + 5 + size, "y": 10})
    playwright.expect(card(page).locator("h2")).to_have_text("Neuron 1")
    picture_of = card(page).locator(".neuron-picture canvas")
    places = [(x, y) for y in (0.25, 0.75) for x in (0.17, 0.5, 0.83)]
    colours = picture_of.evaluate(COLOURS, places)
    assert colours == ["red", "blue", "neither", "red", "blue", "neither"]
    playwright.expect(card(page).locator("figcaption")).to_have_text("Weights at step 2")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(card(page).locator("h2")).to_have_text("Neuron 2")
    page.keyboard.press("ArrowRight")  # there is none
    move_slider(page, 0)
    playwright.expect(card(page).locator("figcaption")).to_have_text("Weights at step 0")
    assert picture_of.evaluate(COLOURS, places) == ["blue", "red", "neither", "blue", "red", "neither"]
    rows = table_of(page, "one-1" if page.locator("#one-1.images").count() else "one-0")
    assert [numbers(row) for row in rows] == [[n, -1, 0, 1] for n in range(3)]


@pytest.mark.parametrize(("channels", "of", "words"), [(3, 3, "channels 0 to 2"), (2, 9, "the 2 strongest of 9")])
def test_channels_stand_side_by_side_and_are_named(open_page: Open, channels: int, of: int, words: str) -> None:
    page = open_page(made(sheet(40, channels, of), layers={"fc1": (40, 2)}), viewport={"width": 390, "height": 800})
    page.locator(".images canvas").scroll_into_view_if_needed()
    playwright.expect(page.locator(".images .where")).to_contain_text(words)
    page.locator("#neuron").fill("39")
    picture_of = card(page).locator(".neuron-picture canvas")
    playwright.expect(picture_of).to_be_visible()
    shape = picture_of.evaluate("(canvas) => canvas.width / canvas.height")
    assert abs(shape - (channels * 4 - 1) / 2) < 0.1
    assert ("channels 3, 4" in card(page).inner_text()) == (of > channels)
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390


def test_nan_and_one_neuron_of_zeros_are_drawn(open_page: Open) -> None:
    nothing = ImagesThroughTime(
        "w",
        np.array([0]),
        np.full((1, 1, 1, 2, 2), np.nan),
        np.array([2]),
        np.array([[0]]),
        1,
        1.0,
        "weight",
        "",
        "fc1",
    )
    page = open_page(made(nothing))
    page.locator("#neuron").fill("1")
    playwright.expect(card(page)).to_contain_text("not among the 1 neurons pictured")
    page.locator("#neuron").fill("2")
    playwright.expect(card(page).locator(".neuron-picture")).to_be_visible()
    assert table_of(page, "one-0") == [["2", "–", "–", "–"]]


def test_the_only_sheet_is_shown_beside_every_layer_and_leads_to_its_own(open_page: Open) -> None:
    heat = HeatMap("h", np.array([0, 2]), np.ones((3, 2)), THREE, "step", "neuron", "norm", layer="fc2")
    page = open_page(made(sheet(), heat, layers={"fc1": (3, 2), "fc2": (3, 2)}))
    page.select_option("#layer", label="fc2")
    page.locator(".images canvas").scroll_into_view_if_needed()
    page.locator("#neuron").fill("1")
    playwright.expect(card(page)).to_be_visible()
    assert card(page).locator(".neuron-picture").count() == 0  # neuron 1 of fc2 is another one
    page.locator(".images canvas").click(position={"x": 20, "y": 20})
    playwright.expect(card(page).locator(".of")).to_contain_text("fc1")
    playwright.expect(card(page).locator("h2")).to_have_text("Neuron 0")
    playwright.expect(page.locator("#layer")).to_have_value("0")
    playwright.expect(card(page).locator(".neuron-picture")).to_be_visible()
