"""The card of the picked neuron in a real browser: what it says is what the charts hold, at the slider's step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.analyses.memory_run import MemoryRun
from tests.report.browser import NEEDS_BROWSER, Open, card, made, move_slider, numbers, picture, settled, table_of
from tests.report.graphs import made_graph
from tests.report.made_up import STEPS, facts, sections
from tests.report.test_page import HOSTILE
from wdyn.analyses._charts import HeatMap, PointsThroughTime, Table
from wdyn.analyses._nearest import nearest_by_chance
from wdyn.analyses._neurons import live_rows, unit_rows
from wdyn.analyses.similarity import charts, compute
from wdyn.report.page import render_page
from wdyn.report.words import HIDDEN

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER

THREE = np.arange(3)


def fact(page: Any, label: str) -> str:
    """What the card says under a label, without the note beside it."""
    return str(card(page).locator(f"dl > div:has(dt .name:text-is('{label}')) .value").inner_text())


def norm_in_table(page: Any, neuron: int, step: str) -> float:
    rows = table_of(page, "norms-0")
    at = page.locator("#norms-0 details th").all_inner_texts().index(f"step {step}")
    return next(numbers([row[at]])[0] for row in rows if row[0] == str(neuron))


def test_a_neuron_picked_in_a_picture_shows_its_card_with_the_numbers_of_the_charts(
    open_page: Open, lenet: bytes
) -> None:
    page = open_page(lenet)
    page.select_option("#layer", label="fc3")
    playwright.expect(card(page)).to_be_hidden()
    box = page.locator("#similarity-0 canvas").bounding_box()
    page.locator("#similarity-0 canvas").click(position={"x": box["width"] * 0.45, "y": box["height"] * 0.15})
    playwright.expect(card(page).locator("h2")).to_have_text("Neuron 1")
    assert fact(page, "cluster") == "0"
    assert numbers([fact(page, "norm")])[0] == norm_in_table(page, 1, "2,000")
    move_slider(page, 0)
    playwright.expect(card(page).locator(".when")).to_have_text("step 0")
    assert numbers([fact(page, "norm")])[0] == norm_in_table(page, 1, "0")


def test_the_page_stays_under_the_pointer_and_the_header_stays_free(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    place = "() => document.querySelector('#umap-0 canvas').getBoundingClientRect().top + window.scrollY"
    before = page.evaluate(place)
    page.locator("#neuron").fill("42")
    playwright.expect(card(page)).to_be_visible()
    assert page.evaluate(place) == before
    assert card(page).bounding_box()["y"] >= page.locator(".bar").bounding_box()["height"]
    page.mouse.wheel(0, 100_000)  # the end of the page comes clear of the card
    page.wait_for_function(
        """() => {
            const last = document.querySelector("#provenance").getBoundingClientRect();
            return last.bottom <= document.querySelector("#neuron-card").getBoundingClientRect().top;
        }"""
    )


def test_escape_the_button_and_another_layer_close_the_card(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)

    def close() -> None:
        card(page).get_by_role("button", name="Close").click()

    for way in (lambda: page.keyboard.press("Escape"), close, lambda: page.select_option("#layer", label="fc2")):
        page.locator("#neuron").fill("7")
        playwright.expect(card(page)).to_be_visible()
        way()
        playwright.expect(card(page)).to_be_hidden()
        playwright.expect(page.locator("#neuron")).to_have_value("")
    page.locator("#neuron").fill("100")  # fc2 has neurons 0 to 99
    playwright.expect(page.locator("#picked")).to_have_text("fc2 has neurons 0 to 99.")
    playwright.expect(card(page)).to_be_hidden()


def test_what_is_not_drawn_or_has_no_value_is_said_in_words(open_page: Open) -> None:
    xy = np.ones((2, 3, 2))
    xy[1, 2] = np.nan
    values = np.array([[1.0, 3.0], [2.0, np.nan]])
    page = open_page(
        made(
            PointsThroughTime("p", np.array([0, 2]), xy, THREE, np.array([0, -1, 4]), "group", "", "fc1"),
            HeatMap("h", np.array([0, 2]), values, [0, 1], "step", "neuron", "norm", layer="fc1"),
            HeatMap("k", THREE[:2], values, ["a", "b"], "run", "run", "kappa", layer="fc1", columns=["a", "b"]),
            HeatMap("g", np.array([0, 2]), np.ones((3, 2)), THREE, "step", "neuron", "group there", layer="fc1"),
            HeatMap(
                "w", np.array([0, 2]), np.eye(3, 2), THREE, "step", "neuron", "kind", layer="fc1", categorical=True
            ),
        )
    )
    page.locator("#neuron").fill("2")
    playwright.expect(card(page)).to_contain_text("no direction at this step")
    playwright.expect(card(page).locator("dd:has-text('not among the 2 neurons drawn')")).to_have_count(1)
    assert fact(page, "group") == "4"
    page.locator("#neuron").fill("1")
    playwright.expect(card(page).locator("h2")).to_have_text("Neuron 1")
    assert (fact(page, "group"), fact(page, "norm"), fact(page, "group there")) == ("none", "–", "1")
    move_slider(page, 0)
    playwright.expect(card(page)).to_contain_text("rank 1 of 2")
    assert "rank 1 of 3" not in card(page).inner_text()  # all neurons share that value
    assert "kappa" not in card(page).inner_text()  # its rows are no neurons
    assert "kind" not in card(page).inner_text()  # a number of a kind has no rank


def test_the_card_is_low_and_folds_to_its_head(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    page.locator("#neuron").fill("3")
    fold = card(page).locator(".fold")
    playwright.expect(fold).to_have_attribute("aria-expanded", "true")
    assert card(page).bounding_box()["height"] <= 0.3 * 900
    fold.focus()
    page.keyboard.press("Enter")
    playwright.expect(card(page).locator(".neuron-body")).to_have_count(0)
    playwright.expect(card(page).locator("h2")).to_have_text("Neuron 3")
    assert card(page).bounding_box()["height"] < 60
    page.locator("#neuron").fill("4")
    playwright.expect(card(page).locator("h2")).to_have_text("Neuron 4")
    playwright.expect(card(page).locator(".neuron-body")).to_have_count(0)  # it stays as the reader left it
    for press in (fold.click, lambda: fold.press("Space"), lambda: fold.press("Space")):
        before = fold.get_attribute("aria-expanded")
        press()
        playwright.expect(fold).not_to_have_attribute("aria-expanded", str(before))
    playwright.expect(card(page).locator(".neuron-body")).to_have_count(1)


def test_the_small_line_is_the_neurons_own_row_with_the_step_marked(open_page: Open) -> None:
    x = np.arange(9)
    values = np.stack([np.linspace(0, 8, 9), np.full(9, 4.0), np.where(x == 4, 8, 0.0)])
    page = open_page(
        made(
            HeatMap("h", x, values, THREE, "step", "neuron", "norm", layer="fc1"),
            PointsThroughTime("p", x, np.ones((9, 3, 2)), THREE, THREE, "g", "", "fc1"),
        )
    )
    tops_of = """(canvas) => {
        const {width, height} = canvas, copy = Object.assign(document.createElement('canvas'), {width, height});
        const context = copy.getContext('2d', {willReadFrequently: true});
        context.drawImage(canvas, 0, 0);
        const {data} = context.getImageData(0, 0, width, height);
        return [0.27, 0.5, 0.73].map((share) => {
            const at = (y) => 4 * (y * width + Math.round(share * width));
            const dark = [...Array(height).keys()].filter((y) => data[at(y)] < 110);
            return dark.reduce((sum, y) => sum + y, 0) / dark.length / height;
        });
    }"""
    places = {}
    move_slider(page, 8)
    for neuron in THREE:
        page.locator("#neuron").fill(str(neuron))
        playwright.expect(card(page).locator("h2")).to_have_text(f"Neuron {neuron}")
        places[neuron] = card(page).locator(".spark").evaluate(tops_of)
    assert places[0] == sorted(places[0], reverse=True)
    assert places[0][0] - places[0][2] > 0.2
    assert np.ptp(places[1]) < 0.06  # two of 34 pixels
    assert places[2][1] < places[2][0] - 0.2 > places[2][2] - 0.4
    last = card(page).locator(".spark").evaluate("(canvas) => canvas.toDataURL()")
    move_slider(page, 2)
    playwright.expect(card(page).locator(".when")).to_have_text("step 2")
    assert card(page).locator(".spark").evaluate("(canvas) => canvas.toDataURL()") != last


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_on_the_card(open_page: Open, name: str) -> None:
    charts = (
        PointsThroughTime(name, np.array([0]), np.ones((1, 3, 2)), THREE, THREE, name, name, name),
        HeatMap(name, np.array([0]), np.ones((3, 1)), THREE, name, "neuron", name, layer=name),
    )
    page = open_page(made(*charts, layers={name: (3, 2)}), viewport={"width": 360, "height": 740})
    page.locator("#neuron").fill("1")
    playwright.expect(card(page)).to_be_visible()
    assert card(page).locator("img, script, b").count() == 0
    assert not HIDDEN.search(card(page).inner_text())
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    assert card(page).evaluate("(card) => card.scrollWidth <= card.clientWidth")
    close = card(page).get_by_role("button", name="Close").bounding_box()
    assert close["x"] + close["width"] <= 360


def sparks(page: Any) -> list[str]:
    settled(page)
    drawn: list[str] = card(page).locator(".spark").evaluate_all("(all) => all.map((canvas) => canvas.toDataURL())")
    return drawn


@pytest.mark.parametrize("anew", ["sorted", "layers"])
def test_the_card_follows_a_chart_that_was_decoded_anew(open_page: Open, anew: str) -> None:
    history = np.random.default_rng(0).uniform(size=(5, 3))
    page = open_page(
        made(*(HeatMap("h", THREE, history, range(5), "step", "neuron", "norm", layer=name) for name in ("a", "b")),
             layers={"a": (5, 2), "b": (5, 2)})
    )  # fmt: skip
    page.locator("#one-0").scroll_into_view_if_needed()
    page.fill("#neuron", "1")
    move_slider(page, 0)
    first = sparks(page)
    move_slider(page, 2)
    assert sparks(page) != first
    if anew == "sorted":
        page.locator("#one-0").get_by_role("button", name="sort").click()
    else:
        for layer in ("b", "a"):
            page.select_option("#layer", label=layer)
            settled(page)
        page.fill("#neuron", "1")
    settled(page)
    move_slider(page, 0)
    assert sparks(page) == first


def test_a_neighbour_that_is_pressed_is_the_one_that_is_picked(open_page: Open, rng: np.random.Generator) -> None:
    page = open_page(similar(rng.normal(size=(3, 40, 8))))
    page.fill("#neuron", "4")
    settled(page)
    pressed = near_on(page)[1][0]
    box = card(page).locator(".near-list button").nth(1).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    move_slider(page, 0)  # as when the page plays
    settled(page)
    page.mouse.up()
    playwright.expect(card(page).locator("h2")).to_have_text(f"Neuron {pressed}")
    page.fill("#neuron", "4")
    settled(page)
    assert near_on(page)[1][0] != pressed


def test_edges_on_the_card_are_those_of_the_step_also_where_the_graph_is_not_in_view(open_page: Open) -> None:
    charts = (made_graph(40, steps=3, inputs=40), Table("t", {"a": list(range(400))}))
    page = open_page(made(*charts, layers={"fc1": (40, 40)}))
    page.locator("#one-0").scroll_into_view_if_needed()
    page.fill("#neuron", "4")
    seen = {}
    for at in (0, 2):
        move_slider(page, at)
        settled(page)
        seen[at] = fact(page, "edges")
    assert seen[0] != seen[2]
    page.mouse.wheel(0, 100_000)
    page.wait_for_function("() => document.querySelector('#one-0').getBoundingClientRect().bottom < 0")
    settled(page)
    move_slider(page, 0)
    settled(page)
    assert fact(page, "edges") == seen[0]


def test_the_card_is_reached_by_keys_and_follows_the_theme(open_page: Open, lenet: bytes) -> None:
    page = open_page(lenet)
    page.locator("#neuron").fill("3")
    playwright.expect(card(page)).to_be_visible()
    before = card(page).locator(".spark").evaluate("(canvas) => canvas.toDataURL()")
    page.keyboard.press("Tab")  # Dark
    page.keyboard.press("Enter")
    page.wait_for_function(
        "(before) => document.querySelector('#neuron-card .spark').toDataURL() !== before", arg=before
    )
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.classList.contains('fold')")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.classList.contains('close')")
    page.keyboard.press("Enter")
    playwright.expect(card(page)).to_be_hidden()
    assert page.evaluate("() => document.activeElement.id") == "neuron"


def test_a_card_of_a_layer_nobody_draws_says_so(open_page: Open) -> None:
    empty = render_page(facts(), sections({"fc2": (4, 3)}), STEPS.tolist())
    page = open_page(empty)
    page.locator("#neuron").fill("3")
    playwright.expect(card(page)).to_contain_text("No picture of this page tells anything")
    assert picture(page, "umap-0")


def similar(history: np.ndarray) -> bytes:
    """A page of the similarity of one layer."""
    return made(*charts(compute(MemoryRun({"fc1": history}))), layers={"fc1": history.shape[1:]})


def near_on(page: Any) -> list[tuple[int, float]]:
    rows = [button.locator("span").all_inner_texts() for button in card(page).locator(".near-list button").all()]
    return [(int(neuron), numbers([cosine])[0]) for neuron, cosine in rows]


def test_the_nearest_neurons_are_exact_where_the_matrix_holds_means_and_lead_on(
    open_page: Open, rng: np.random.Generator
) -> None:
    history = rng.normal(size=(3, 300, 8))
    history[2, 7] = 0
    page = open_page(similar(history))

    def expected(step: int, neuron: int) -> list[tuple[int, float]]:
        cosine = unit_rows(live_rows(history[step])) @ history[step, neuron] / np.linalg.norm(history[step, neuron])
        order = np.argsort(-cosine)[1:6]  # the first is the neuron itself
        dead = step == 2  # row 7 is not among the live ones
        return [(int(j + (dead and j >= 7)), round(float(cosine[j]), 2)) for j in order]

    for step, neuron in ((2, 42), (0, 42), (0, 299)):
        move_slider(page, step)
        page.locator("#neuron").fill(str(neuron))
        playwright.expect(card(page).locator(".neuron-head")).to_contain_text(f"Neuron {neuron}")
        playwright.expect(card(page).locator(".when")).to_have_text(f"step {step}")
        found = near_on(page)
        assert [j for j, _ in found] == [j for j, _ in expected(step, neuron)]
        # one of 255 shades of their extent, below 1, then two digits
        np.testing.assert_allclose([c for _, c in found], [c for _, c in expected(step, neuron)], atol=0.0121)
        bound = numbers([f"{nearest_by_chance(300, 8):.2f}"])[0]
        playwright.expect(card(page)).to_contain_text(f"by chance: up to {bound:g} (random directions, 95 %)")
    first = near_on(page)[0][0]
    card(page).locator(".near-list button").first.click()
    playwright.expect(card(page).locator("h2")).to_have_text(f"Neuron {first}")
    playwright.expect(page.locator("#neuron")).to_have_value(str(first))
    assert page.evaluate("() => document.activeElement.closest('.near-list') !== null")  # the keys stay on the card
    move_slider(page, 2)
    page.locator("#neuron").fill("7")
    playwright.expect(card(page)).to_contain_text("none at this step")
