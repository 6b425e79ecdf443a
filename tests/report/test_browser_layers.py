"""Several layers side by side: which, on what scale, at one step, and what a click in one of them picks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.report.browser import NEEDS_BROWSER, Open, made, move_slider, settled, written
from tests.report.graphs import made_graph
from wdyn.analyses._charts import (
    Bridge,
    CurvesThroughTime,
    HeatMap,
    ImagesThroughTime,
    Lifelines,
    Lines,
    MatrixThroughTime,
    Table,
)

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER
TWO = {"fc1": (40, 20), "fc2": (30, 20)}
PIXELS = "(canvas) => canvas.toDataURL()"


def side_by_side(page: Any, chart: str, layers: int) -> Any:
    """The pictures of all layers, drawn."""
    page.locator(f"#{chart}").scroll_into_view_if_needed()
    page.locator(f"#{chart}").get_by_role("button", name="all layers").click()
    one = page.locator(f"#{chart} .one")
    playwright.expect(one).to_have_count(layers)
    settled(page, layers + 4)  # each in a task of its own
    return one


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
    one, two = side_by_side(page, "one-0", 6), side_by_side(page, "one-1", 6)
    assert one.locator("h4").all_inner_texts() == [f"layer{k}" for k in range(6)]
    playwright.expect(page.locator("#one-0 .many-words")).to_contain_text("6 of 8 layers")
    assert {tuple(each.locator(".ticks span").all_inner_texts()) for each in one.all()} == {("0", "2.5", "5")}
    before = two.nth(1).locator("canvas").evaluate(PIXELS)
    move_slider(page, 0)
    page.wait_for_function(
        "(before) => document.querySelectorAll('#one-1 .one canvas')[1].toDataURL() !== before", arg=before
    )
    one.nth(2).scroll_into_view_if_needed()
    settled(page)
    plain = one.nth(0).locator("canvas").evaluate(PIXELS)
    box = one.nth(2).locator("canvas").bounding_box()
    one.nth(2).locator("canvas").click(position={"x": box["width"] / 2, "y": 20})
    playwright.expect(page.locator("#layer")).to_have_value("2")
    playwright.expect(page.locator("#neuron")).to_have_value("0")
    assert one.nth(0).locator("canvas").evaluate(PIXELS) == plain  # neuron 0 of another layer is not marked
    page.select_option("#layer", label="layer7")
    playwright.expect(one.locator("h4").last).to_have_text("layer7")
    page.locator("#one-0").get_by_role("button", name="all layers").click()
    playwright.expect(page.locator("#one-0 .body canvas")).to_be_visible()
    assert one.count() == 0


def test_graphs_of_layers_have_a_cutoff_each_and_follow_the_slider(open_page: Open) -> None:
    graphs = [made_graph(rows, steps=3, layer=name) for name, (rows, _) in TWO.items()]
    page = open_page(made(*graphs, layers=TWO))
    one = side_by_side(page, "one-0", 2)
    playwright.expect(page.locator("#one-0 .many-words")).to_contain_text("a cutoff of its own")
    first, second = one.nth(0).locator("canvas"), one.nth(1).locator("canvas")
    told = [one.nth(k).locator(".where").first.inner_text() for k in range(2)]
    before, other = first.evaluate(PIXELS), second.evaluate(PIXELS)
    one.nth(0).get_by_label("Cutoff").press("End")
    playwright.expect(one.nth(0).locator(".where").first).not_to_have_text(told[0])
    playwright.expect(one.nth(1).locator(".where").first).to_have_text(told[1])
    assert first.evaluate(PIXELS) != before
    assert second.evaluate(PIXELS) == other
    assert one.nth(0).get_by_label("Charge").is_hidden()
    move_slider(page, 0)
    playwright.expect(one.nth(1).locator(".where").first).to_contain_text("step 0")
    assert second.evaluate(PIXELS) != other
    second.focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator("#layer")).to_have_value("1")
    playwright.expect(page.locator("#neuron")).to_have_value("0")


def test_lines_and_curves_of_layers_have_one_scale(open_page: Open) -> None:
    steps, x = np.array([0, 1, 2]), np.array([1, 2, 3])
    lines = [
        Lines("t", steps, {"v": np.array([1, 2, 3]) * k}, "step", "v", y_scale=scale, layer=name)  # type: ignore[arg-type]
        for scale in ("linear", "log")
        for name, k in (("fc1", 1), ("fc2", 100))
    ]
    curves = [
        CurvesThroughTime("s", steps, x, np.full((3, 3), k), np.zeros((3, 3)), "chance", "rank", "v", name)
        for name, k in (("fc1", 1.0), ("fc2", 10.0))
    ]
    page = open_page(made(*lines, *curves, layers=TWO))
    for chart, low, high in (("one-0", 1, 300), ("one-1", 0, np.log10(300))):
        one = side_by_side(page, chart, 2)
        playwright.expect(page.locator(f"#{chart} .many-words")).to_have_text("All 2 layers; values have one scale.")
        page.wait_for_function(
            "(id) => document.querySelectorAll(`#${id} .one .main-svg`).length >= 4", arg=chart
        )  # two of each plot
        ranges = [
            each.evaluate("(plot) => plot._fullLayout.yaxis.range") for each in one.locator(".js-plotly-plot").all()
        ]
        assert ranges[0] == ranges[1]
        assert ranges[0][0] < low < high < ranges[0][1]
    side_by_side(page, "one-2", 2)
    assert [text for text in written(page, "one-2") if text == "10"] == ["10", "10"]


def test_weights_of_layers_as_images_have_one_scale(open_page: Open) -> None:
    """What is half of one layer's limit is a twentieth of the other's: 0.5 has nearly the same colour in both."""
    steps, neurons = np.array([0]), np.arange(2)
    values = {"fc1": (1.0, [0.5, 0.5]), "fc2": (10.0, [0.5, 10.0])}
    images = [
        ImagesThroughTime(
            "w", steps, np.broadcast_to(np.array(each)[None, :, None, None, None], (1, 2, 1, 3, 3)), neurons,
            np.zeros((2, 1), int), 1, limit, "weight", "9 pixels.", name,
        )
        for name, (limit, each) in values.items()
    ]  # fmt: skip
    page = open_page(made(*images, layers=TWO))
    one = side_by_side(page, "one-0", 2)
    playwright.expect(page.locator("#one-0 .many-words")).to_have_text(
        "All 2 layers; colours have one scale. 9 pixels."
    )
    assert {tuple(each.locator(".ticks span").all_inner_texts()) for each in one.all()} == {("−10", "0", "10")}
    colours = one.locator("canvas").evaluate_all(
        "(all) => all.map((canvas) => [...canvas.getContext('2d').getImageData(10, 10, 1, 1).data])"
    )
    # the nearest of 31 shades is 0.53 in one layer and 0.67 in the other, a hundredth of the scale apart
    np.testing.assert_allclose(colours[0], colours[1], atol=12)


def test_groups_do_not_compare_between_layers_and_a_caption_of_all_stands_once(open_page: Open) -> None:
    lives = [
        Lifelines("t", np.arange(3), np.array([4, 7]), np.ones((3, 2), int), [Bridge(1, 1, 0, 1, 0.5)], "Of all.", name)
        for name in TWO
    ]
    kinds = [
        HeatMap("k", np.arange(2), np.eye(2), [0, 1], "step", "neuron", "group", layer=name, categorical=True)
        for name in TWO
    ]
    tables = [Table("t", {"a": [1]}, layer=name) for name in TWO]
    page = open_page(made(*lives, *kinds, *tables, layers=TWO))
    one = side_by_side(page, "one-0", 2)
    playwright.expect(page.locator("#one-0 .many-words")).to_contain_text("of its own. Of all.")
    assert not one.nth(0).locator(".note").is_visible()
    assert one.locator("canvas").count() == 2
    side_by_side(page, "one-1", 2)
    playwright.expect(page.locator("#one-1 .many-words")).to_have_text("All 2 layers; each has groups of its own.")
    assert page.locator("#one-2").get_by_role("button", name="all layers").is_hidden()
