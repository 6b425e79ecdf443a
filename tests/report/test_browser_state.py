"""What a reader does at the same time: pictures of many layers, another layer, play, print."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.report.browser import NEEDS_BROWSER, Open, lines_drawn, made, move_slider, picture, settled
from tests.report.graphs import made_graph
from tests.report.made_up import facts, sections
from wdyn.analyses._charts import HeatMap, Lines, Table
from wdyn.report.page import render_page
from wdyn.report.sections import Section

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER

LAYERS = {"fc1": (3, 2), "fc2": (3, 2), "fc3": (3, 2)}


def maps(*layers: str) -> list[HeatMap]:
    values = np.arange(9.0).reshape(3, 3)
    return [HeatMap("h", np.arange(3), values, [0, 1, 2], "step", "neuron", "norm", layer=layer) for layer in layers]


def test_all_layers_side_by_side_give_way_where_the_picked_layer_has_no_picture(open_page: Open) -> None:
    page = open_page(made(*maps("fc1", "fc2"), layers=LAYERS))
    figure = page.locator("#one-0")
    figure.scroll_into_view_if_needed()
    figure.get_by_role("button", name="all layers").click()
    playwright.expect(figure.locator(".many")).to_be_visible()
    page.select_option("#layer", label="fc3")
    playwright.expect(figure.locator(".empty")).to_be_visible()
    playwright.expect(figure.locator(".many")).to_be_hidden()
    page.select_option("#layer", label="fc2")
    playwright.expect(figure.locator(".empty")).to_be_hidden()
    playwright.expect(figure.locator(".many")).to_be_visible()
    playwright.expect(figure.locator(".body").first).to_be_hidden()


def test_a_button_of_the_card_is_pressed_while_the_page_plays(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    page.fill("#neuron", "5")
    close = page.locator("#neuron-card .close")
    box = close.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#play").evaluate("(button) => button.click()")
    page.mouse.down()
    page.wait_for_timeout(400)  # a slow finger: the step changes meanwhile
    page.mouse.up()
    playwright.expect(page.locator("#neuron-card")).to_be_hidden()


def test_a_press_that_ends_elsewhere_leaves_no_old_step_on_the_card(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    page.fill("#neuron", "5")
    box = page.locator("#neuron-card .close").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    move_slider(page, 0)
    settled(page)
    page.mouse.move(600, 800)
    page.mouse.up()
    playwright.expect(page.locator("#neuron-card .when")).to_have_text("step 0")


def test_the_only_graph_shows_neurons_of_its_own_layer_alone(open_page: Open) -> None:
    page = open_page(made(made_graph(8, layer="fc1"), layers={"fc1": (8, 20), "fc2": (8, 20)}))
    page.select_option("#layer", label="fc2")
    before = picture(page, "one-0")
    page.fill("#neuron", "3")
    assert picture(page, "one-0") == before
    page.locator("#one-0 canvas").focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator("#layer")).to_have_value("0")  # fc1, as soon as a frame is drawn


def drawn(page: Any) -> int:
    return int(page.evaluate("() => window.drawn"))


def test_after_printing_only_what_is_seen_is_drawn_at_each_step(open_page: Open) -> None:
    tall = Table("t", {"a": list(range(400))})
    graphs = [Section("umap", "U", "", charts=sections()[0].charts), Section("table", "T", "", charts=(tall,)),
              Section("norms", "N", "", charts=tuple(maps("fc1")))]  # fmt: skip
    page = open_page(render_page(facts({"fc1": (300, 784)}), graphs, list(range(2001))))
    page.evaluate(
        """() => {
        window.drawn = 0;
        const own = CanvasRenderingContext2D.prototype.setTransform, late = document.querySelector('#norms-0 canvas');
        CanvasRenderingContext2D.prototype.setTransform = function (...box) {
          if (this.canvas === late) window.drawn++;
          return own.apply(this, box);
        };
        }"""
    )
    page.evaluate("() => ['beforeprint', 'afterprint'].forEach((name) => dispatchEvent(new Event(name)))")
    settled(page)
    assert drawn(page) > 0  # for the paper
    before = drawn(page)
    move_slider(page, 0)
    settled(page)
    assert drawn(page) == before


def test_on_paper_tables_are_as_wide_as_the_page_and_legible(open_page: Open) -> None:
    """The one with too many columns has each row as a list of headings and values."""
    some = Table("some", {f"a heading of many words {k}": [0.12345678] for k in range(10)})
    many = Table("many", {f"heading {k}": [k] for k in range(17)})
    page = open_page(made(some, many), viewport={"width": 718, "height": 900})  # A4 within Chromium's margins
    page.emulate_media(media="print")
    for table in (page.locator("#one-0 table"), page.locator("#one-1 table")):
        assert table.evaluate("(table) => table.scrollWidth <= table.parentElement.clientWidth")
        assert table.evaluate("(table) => parseFloat(getComputedStyle(table).fontSize)") >= 11
    last = page.locator("#one-1 td").last
    assert last.evaluate("(cell) => getComputedStyle(cell, '::before').content") == '"heading 16"'
    assert page.locator("#one-1 thead").is_hidden()
    assert page.locator("#one-0 thead").is_visible()


def test_on_a_phone_the_controls_stand_in_two_rows(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet, viewport={"width": 390, "height": 844})
    tops = [page.locator(each).bounding_box()["y"] for each in ("#layer", "#neuron", "#theme")]
    assert max(tops) - min(tops) < 4
    assert page.locator(".bar").bounding_box()["height"] < 110


def test_sections_far_from_the_screen_take_no_time_and_are_on_paper(open_page: Open) -> None:
    tall = Table("t", {"a": list(range(400))})
    far = [Section(f"s{i}", f"S{i}", "", charts=(tall,)) for i in range(10)]
    page = open_page(render_page(facts(), far, list(range(3))))
    seen = "(id) => document.querySelector(`#${id} h3`).checkVisibility({contentVisibilityAuto: true})"
    assert page.evaluate(seen, "s0-0")
    assert not page.evaluate(seen, "s9-0")
    page.evaluate("location.hash = '#s9'")
    page.wait_for_function(
        "() => { const {top} = document.querySelector('#s9 h2').getBoundingClientRect(); return top > 0 && top < 720; }"
    )
    page.evaluate("location.hash = '#s0'")
    page.wait_for_function(f"() => !({seen})('s9-0')")
    page.emulate_media(media="print")
    page.wait_for_function(f"() => ({seen})('s9-0')")


@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_is_about_as_high_before_its_sections_were_seen_as_after(open_page: Open, width: int) -> None:
    charts = tuple(replace(chart, title=f"map {each}") for each in range(12) for chart in maps("fc1"))
    far = [Section(f"s{i}", f"S{i}", "", charts=charts) for i in range(6)]
    page = open_page(render_page(facts(), far, list(range(3))), viewport={"width": width, "height": 844})
    height = "document.documentElement.scrollHeight"
    before = page.evaluate(height)
    page.add_style_tag(content=".card { content-visibility: visible !important }")
    settled(page, 80)  # 72 charts, each in a task of its own
    assert 0.75 < before / page.evaluate(height) < 1.33


def long_page() -> bytes:
    charts = tuple(replace(chart, title=f"map {each}") for each in range(6) for chart in maps("fc1"))
    return render_page(facts(), [Section(f"s{i}", f"S{i}", "", charts=charts) for i in range(8)], list(range(3)))


def read_far_down(page: Any) -> None:
    """The sixth section, a little below its heading, which the page has noted."""
    page.evaluate("location.hash = '#s5'")
    page.wait_for_function("() => history.state?.place?.id.startsWith('s5')")
    settled(page, 40)
    kept = "() => JSON.stringify(history.state)"
    before = page.evaluate(kept)
    page.mouse.wheel(0, 150)
    page.wait_for_function(f"(before) => ({kept})() !== before", arg=before)


def test_a_page_loaded_again_is_where_it_was_read(open_page: Open) -> None:
    page = open_page(long_page())
    read_far_down(page)
    top = "document.querySelector('#s5 h2').getBoundingClientRect().top"
    before = page.evaluate(top)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.wait_for_function(f"(before) => Math.abs({top} - before) < 3", arg=before)


def test_a_reader_who_moves_a_page_that_is_loaded_again_is_not_pulled_back(open_page: Open) -> None:
    page = open_page(long_page())
    read_far_down(page)
    page.add_init_script(
        """history.scrollRestoration = "manual"; // so that only the page itself could move it
        addEventListener("DOMContentLoaded", () => dispatchEvent(new Event("wheel")));"""
    )
    page.reload()
    page.wait_for_selector("html[data-ready]")
    settled(page, 40)
    assert page.evaluate("scrollY") == 0


def test_a_chart_that_was_resized_off_the_screen_is_as_wide_as_its_box(open_page: Open) -> None:
    x, tall = np.arange(3), Table("t", {"a": list(range(400))})
    between = [Section(f"m{i}", "M", "", charts=(tall,)) for i in range(6)]
    page = open_page(
        render_page(
            facts(), [Section("a", "A", "", charts=(Lines("l", x, {"a": x}, "step", "y"),)), *between], x.tolist()
        )
    )
    lines_drawn(page, "a-0")
    page.locator("#provenance").scroll_into_view_if_needed()
    page.wait_for_function("() => !document.querySelector('#a-0 h3').checkVisibility({contentVisibilityAuto: true})")
    page.set_viewport_size({"width": 390, "height": 844})
    settled(page)
    page.locator("#a-0").scroll_into_view_if_needed()
    page.wait_for_function(
        """() => {
            const box = document.querySelector("#a-0 .plot"), drawn = box.querySelector(".main-svg");
            return Math.abs(drawn.getBoundingClientRect().width - box.clientWidth) < 1;
        }"""
    )


def test_charts_that_nobody_has_looked_at_are_on_paper(open_page: Open) -> None:
    x, tall = np.arange(3), Table("t", {"a": list(range(400))})
    between = [Section(f"a{i}", "M", "", charts=(tall,)) for i in range(6)]
    far = Section("z", "Z", "", charts=(Lines("l", x, {"a": x}, "step", "y"),))
    page = open_page(render_page(facts(), [*between, far], x.tolist()))
    page.wait_for_function("() => window.Plotly")  # not asked for by any chart
    assert page.locator("#z-0 .main-svg").count() == 0
    page.evaluate("() => { dispatchEvent(new Event('beforeprint')) }")
    assert page.locator("#z-0 .main-svg").count() > 0
