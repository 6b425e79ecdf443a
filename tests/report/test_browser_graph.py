"""The similarity graph in a real browser: cutoff, forces, drag, selection, and its numbers by a second road."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tests.report.browser import NEEDS_BROWSER, Open, move_slider, numbers, picture, settled, table_of
from tests.report.graphs import drifting, graph_of, made_graph
from tests.report.made_up import facts
from tests.report.test_page import HOSTILE
from wdyn.analyses._charts import GraphThroughTime, HeatMap, PointsThroughTime
from wdyn.report.edge_data import TOP, edge_cosines, edge_histories
from wdyn.report.page import PARTS, render_page
from wdyn.report.sections import Section
from wdyn.report.words import HIDDEN

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER

GRAPH = "one-0"
TOLD = f"#{GRAPH} .where"


def opened(open_page: Open, *charts: Any, neurons: int = 12, **options: Any) -> Any:
    page = open_page(page_of(*charts, neurons=neurons), **{"viewport": {"width": 560, "height": 900}} | options)
    page.locator(f"#{GRAPH} canvas").scroll_into_view_if_needed()
    at_rest(page)
    return page


def page_of(*charts: Any, neurons: int) -> bytes:
    steps = [int(step) for step in charts[0].steps]
    return render_page(facts({"fc1": (neurons, 20)}), [Section("one", "One", "", charts=charts)], steps)


def at_rest(page: Any) -> None:
    page.wait_for_selector(f"#{GRAPH} canvas[aria-busy=false]")
    settled(page)  # what was chosen is told at the next frame
    page.wait_for_selector(f"#{GRAPH} canvas[aria-busy=false]")


def control(page: Any, name: str) -> Any:
    return page.locator(f"#{GRAPH}").get_by_label(name, exact=True)


def set_control(page: Any, name: str, value: int) -> None:
    control(page, name).evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')) }", value
    )
    at_rest(page)


def places(page: Any) -> dict[str, tuple[float, float]]:
    """Where each node lies on the canvas, found as a reader would: by pointing at it."""
    found: dict[str, tuple[float, float]] = page.evaluate(
        """(chart) => {
            const canvas = document.querySelector(`#${chart} canvas`), box = canvas.getBoundingClientRect(), hits = {};
            for (let x = 0; x < box.width; x += 8) for (let y = 0; y < box.height; y += 8) {
                canvas.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + x, clientY: box.top + y}));
                const tip = document.getElementById("tip");
                if (!tip.hidden) (hits[tip.firstChild.textContent] ??= []).push([x, y]);
            }
            canvas.dispatchEvent(new PointerEvent("pointerleave"));
            const mean = (all, axis) => all.reduce((sum, each) => sum + each[axis], 0) / all.length;
            return Object.fromEntries(Object.entries(hits).map(([name, all]) => [name, [mean(all, 0), mean(all, 1)]]));
        }""",
        GRAPH,
    )
    return found


def drag(page: Any, start: tuple[float, float], by: tuple[float, float]) -> None:
    box = page.locator(f"#{GRAPH} canvas").bounding_box()
    page.mouse.move(box["x"] + start[0], box["y"] + start[1])
    page.mouse.down()
    page.mouse.move(box["x"] + start[0] + by[0] / 2, box["y"] + start[1] + by[1] / 2)
    page.mouse.move(box["x"] + start[0] + by[0], box["y"] + start[1] + by[1])
    page.mouse.up()
    at_rest(page)


def test_the_table_holds_the_edges_that_went_in(open_page: Open) -> None:
    """The way there in Python and back in JavaScript."""
    chart = made_graph(9)
    page = opened(open_page, chart, neurons=9)
    set_control(page, "Cutoff", 0)
    histories = edge_histories(chart)
    for at in (2, 0):
        move_slider(page, at)
        at_rest(page)
        cosine = edge_cosines(chart.edges[at].weight, chart.sigma)
        expected = {
            (f"neuron {i}", f"neuron {j}"): (c, w)
            for i, j, c, w in zip(chart.edges[at].i, chart.edges[at].j, cosine, chart.edges[at].weight, strict=True)
        }
        rows = table_of(page, GRAPH)
        assert {(a, b) for a, b, *_ in rows} == set(expected)
        assert len(rows) == len(expected)
        # shown is the cutoff place that an edge passes, to two places
        step = np.diff(histories.cutoffs).max()
        for a, b, *values in rows:
            assert_allclose(numbers(values)[0], expected[a, b][0], rtol=0, atol=step + 0.006)
            assert_allclose(numbers(values)[1], expected[a, b][1], rtol=0, atol=2 * step + 0.006)
        assert [numbers(row[2:])[0] for row in rows] == sorted((numbers(row[2:])[0] for row in rows), reverse=True)


def test_edges_and_components_at_each_cutoff_agree_with_scipy(open_page: Open) -> None:
    chart = made_graph(40, inputs=12)
    histories = edge_histories(chart)
    page = opened(open_page, chart, neurons=40)
    for at, place in ((2, 0), (2, 90), (2, 200), (2, TOP), (0, 90), (1, 140)):
        move_slider(page, at)
        set_control(page, "Cutoff", place)
        cosine = edge_cosines(chart.edges[at].weight, chart.sigma)
        kept = cosine >= histories.cutoffs[place] - 1e-12
        ends = chart.edges[at].i[kept], chart.edges[at].j[kept]
        count, label = connected_components(coo_array((np.ones(kept.sum()), ends), shape=(40, 40)), directed=False)
        edges, components, largest = told(page)
        assert (edges, components, largest) == (kept.sum(), count, np.bincount(label).max())
        words = control(page, "Cutoff").get_attribute("aria-valuetext")
        assert words.replace("−", "-").endswith(f"an inner product of {histories.cutoffs[place]:.2f}")
        assert float(words.split(",")[0]) == pytest.approx(
            np.exp(-(((1 - histories.cutoffs[place]) / 2 / chart.sigma) ** 2)), abs=0.0051
        )


def told(page: Any) -> tuple[int, ...]:
    text = page.locator(TOLD).first.inner_text().replace(",", "")
    found = re.search(r"(\d+) edges? (\d+) components?.* the largest has (\d+) neuron", text)
    assert found, text
    return tuple(map(int, found.groups()))


def test_the_first_cutoff_is_what_chance_does_not_give_and_says_so(open_page: Open) -> None:
    chart = made_graph(200, steps=2, inputs=40)
    page = opened(open_page, chart, neurons=200)
    assert chart.chance is not None
    joined = (edge_cosines(chart.edges[-1].weight, chart.sigma) >= chart.chance[-1]).sum()
    sizes = np.bincount(chart.groups[chart.groups >= 0])  # by colour, of two neurons or more
    assert told(page) == (joined, len(sizes) + (chart.groups < 0).sum(), sizes.max())
    assert control(page, "Cutoff").get_attribute("aria-valuetext").endswith(f"of {chart.chance[-1]:.2f}")
    assert control(page, "Charge").input_value() == "30"
    playwright.expect(page.locator(TOLD).first).to_contain_text(
        f"Random directions reach an inner product of {chart.chance[-1]:.2f}"
    )


@pytest.fixture
def forces(chromium: Any) -> Any:
    """A bare page with the functions of the layout."""
    page = chromium.new_page()
    page.add_script_tag(content="".join((PARTS / f"graph_{part}.js").read_text() for part in ("edges", "force")))
    yield page
    page.close()


LAYOUT = """({count, edges, charge, distance}) => {
    const from = edges.map(([i]) => i), to = edges.map(([, j]) => j), found = {from, to, count: from.length};
    const layout = makeLayout(count, (i) => [Math.cos(i * i), Math.sin(3 * i)], 1.5);
    layout.live.fill(1);
    for (let i = 0; i < count; i++) layout.radius[i] = 2 + (i % 5);
    layout.heat = 1;
    settle(layout, {charge, distance, edges: {...found, degree: degrees(found, count)}});
    return [Array.from(layout.x), Array.from(layout.y), Array.from(layout.radius)];
}"""


@pytest.mark.parametrize(("count", "charge"), [(1, 30), (2, 0), (60, 0), (60, 30), (150, 120), (400, 0)])
def test_at_rest_no_node_lies_on_another_and_the_places_are_always_the_same(
    forces: Any, count: int, charge: int
) -> None:
    edges = [[i, j] for i in range(count) for j in range(i + 1, count) if i % 6 == j % 6]
    given = {"count": count, "edges": edges, "charge": charge, "distance": 10}
    x, y, radius = np.array(forces.evaluate(LAYOUT, given))
    apart = np.hypot(x[:, None] - x, y[:, None] - y) - radius[:, None] - radius
    assert count < 2 or apart[np.triu_indices(count, 1)].min() > 0
    assert np.isfinite([x, y]).all()
    assert forces.evaluate(LAYOUT, given) == [x.tolist(), y.tolist(), radius.tolist()]


def test_charge_spreads_and_edges_hold_together(forces: Any) -> None:
    pairs = [[i, i + 1] for i in range(0, 40, 2)]

    def look(charge: int, distance: int, edges: list[list[int]]) -> tuple[float, float]:
        given = {"count": 40, "edges": edges, "charge": charge, "distance": distance}
        x, y, _ = np.array(forces.evaluate(LAYOUT, given))
        return float(np.hypot(x, y).mean()), float(np.mean([np.hypot(x[i] - x[j], y[i] - y[j]) for i, j in pairs]))

    assert look(90, 30, [])[0] > 1.4 * look(30, 30, [])[0]  # a disc of like charges grows with the root of the charge
    assert look(30, 30, pairs)[1] < 0.5 * look(30, 30, [])[1]
    assert look(30, 90, pairs)[1] > 2 * look(30, 20, pairs)[1]


def test_a_dragged_node_stays_where_it_is_put_until_reset(open_page: Open) -> None:
    page = opened(open_page, made_graph(6), neurons=6)
    before = places(page)
    assert sorted(before) == [f"neuron {i}" for i in range(6)]
    control(page, "Forces").uncheck()
    drag(page, before["neuron 3"], (60, 30))
    after = places(page)
    # the picture may have moved as a whole to keep all nodes in view: distances tell
    others = [f"neuron {i}" for i in range(6) if i != 3]
    assert_allclose(distances(after, others), distances(before, others), rtol=0.12)
    assert np.hypot(*np.subtract(after["neuron 3"], before["neuron 3"])) > 25
    playwright.expect(page.locator(TOLD).first).to_contain_text("Dragged neurons stay")
    assert page.locator("#neuron").input_value() == ""  # a drag chooses nothing
    page.get_by_role("button", name="Reset").click()
    at_rest(page)
    assert control(page, "Forces").is_checked()
    playwright.expect(page.locator(TOLD).first).not_to_contain_text("Dragged")
    assert places(page) == before


def distances(found: dict[str, tuple[float, float]], names: list[str]) -> np.ndarray:
    at = np.array([found[name] for name in names])
    away = np.hypot(*(at[:, None] - at).T)[np.triu_indices(len(names), 1)]
    return np.asarray(away / away.max())


def test_with_forces_the_others_make_room_for_a_dragged_node(open_page: Open) -> None:
    page = opened(open_page, made_graph(6), neurons=6, reduced_motion="no-preference")
    before = places(page)
    drag(page, before["neuron 3"], tuple(np.subtract(before["neuron 0"], before["neuron 3"])))
    after = places(page)
    assert np.hypot(*np.subtract(after["neuron 3"], after["neuron 0"])) > 8
    others = [f"neuron {i}" for i in range(6) if i != 3]
    assert np.abs(distances(after, others) - distances(before, others)).max() > 0.02


def test_the_step_slider_changes_the_edges_and_motion_ends_at_rest(open_page: Open) -> None:
    page = opened(open_page, made_graph(40, steps=6, inputs=40), neurons=40, reduced_motion="no-preference")
    seen = {}
    for at in (5, 0):
        move_slider(page, at)
        page.wait_for_function(
            "(text) => document.querySelector('#one-0 .where').textContent.includes(text)", arg=f"step {10 * at}."
        )
        at_rest(page)
        seen[at] = told(page)
    assert seen[5][0] > seen[0][0]
    frames = page.evaluate(
        """async () => {
            let drawn = 0;
            const draw = CanvasRenderingContext2D.prototype.setTransform;
            CanvasRenderingContext2D.prototype.setTransform = function (...all) { drawn++; draw.apply(this, all) };
            await new Promise((done) => setTimeout(done, 300));
            return drawn;
        }"""
    )
    assert frames == 0


def test_neurons_are_selected_in_graph_and_embedding_together(open_page: Open) -> None:
    chart = made_graph(12)
    xy, twelve = np.random.default_rng(0).normal(size=(3, 12, 2)), np.arange(12)
    points = PointsThroughTime("p", chart.steps, xy, twelve, twelve % 2, "kind", "", "fc1")
    page = opened(open_page, chart, points)
    before = picture(page, "one-1")
    page.locator(f"#{GRAPH}").scroll_into_view_if_needed()
    set_control(page, "Cutoff", 0)
    page.locator(f"#{GRAPH} canvas").click(position=dict(zip("xy", places(page)["neuron 7"], strict=True)))
    playwright.expect(page.locator("#neuron")).to_have_value("7")
    playwright.expect(page.locator("#picked")).to_contain_text("is marked in all of 2 pictures")
    near = [int(j if i == 7 else i) for i, j in zip(chart.edges[2].i, chart.edges[2].j, strict=True) if 7 in (i, j)]
    listed = page.locator(TOLD).nth(1).inner_text()
    assert sorted(map(int, re.findall(r"\d+", listed.split("joined to")[1]))) == sorted(near)
    assert picture(page, "one-1") != before
    graph = picture(page, GRAPH)
    page.locator(f"#{GRAPH} canvas").focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator("#neuron")).to_have_value("8")
    assert picture(page, GRAPH) != graph
    page.keyboard.press("Escape")
    playwright.expect(page.locator("#neuron")).to_have_value("")
    playwright.expect(page.locator(TOLD).nth(1)).to_have_text("")


def test_hovering_names_neuron_norm_group_and_edges_and_colour_follows_other_pictures(open_page: Open) -> None:
    chart = made_graph(12)
    values, rows = np.arange(36.0).reshape(12, 3), list(range(12))[::-1]
    damage = HeatMap("d", chart.steps, values[1:], rows[1:], "step", "unit", "loss rise", layer="fc1")
    page = opened(open_page, chart, damage)
    set_control(page, "Cutoff", 0)
    own = picture(page, GRAPH)
    control(page, "Colour").select_option("loss rise")
    assert picture(page, GRAPH) != own
    playwright.expect(page.locator(TOLD).first).to_contain_text(
        "1 neuron that the map of loss rise leaves out is grey."
    )
    x, y = places(page)["neuron 4"]
    box = page.locator(f"#{GRAPH} canvas").bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)
    name, norm, group, rise, edges = page.locator("#tip > div").all_inner_texts()
    assert (name, group) == (
        "neuron 4",
        f"component at the last step: {chart.groups[4] if chart.groups[4] >= 0 else 'none'}",
    )
    assert_allclose(float(norm.split(": ")[1]), chart.radius[2, 4], atol=chart.radius[2].max() / 254 + 0.005)
    assert rise == "loss rise: 23"  # row 7 is neuron 4, its last step is 23
    assert edges == f"edges: {sum(4 in (i, j) for i, j in zip(chart.edges[2].i, chart.edges[2].j, strict=True))}"


def test_neurons_of_two_runs_are_named_by_run_and_marked_in_both(open_page: Open) -> None:
    runs, owners = ("a<b>", "b"), np.repeat([0, 1], 4)
    chart = graph_of(drifting(8, 20, 2), owners=owners, runs=runs)
    page = opened(open_page, chart, neurons=4)
    assert sorted(places(page)) == [f"{run}, neuron {i}" for run in runs for i in range(4)]
    assert page.locator(f"#{GRAPH} .legend li").all_inner_texts() == ["a<b> (4)", "b (4)"]
    page.locator("#neuron").fill("2")
    playwright.expect(page.locator(TOLD).nth(1)).to_contain_text("a<b>, neuron 2")
    playwright.expect(page.locator(TOLD).nth(1)).to_contain_text("b, neuron 2")


def test_dark_and_light_draw_other_colours(open_page: Open) -> None:
    page = opened(open_page, made_graph(12))
    light = picture(page, GRAPH)
    page.locator("#theme").click()
    assert picture(page, GRAPH) != light
    page.locator("#theme").click()
    assert picture(page, GRAPH) == light


def test_the_same_page_twice_is_the_same_picture_and_print_settles_it(open_page: Open) -> None:
    html = page_of(made_graph(60), neurons=60)
    pages = [open_page(html, reduced_motion=motion) for motion in ("reduce", "no-preference")]
    pictures = [picture(page, GRAPH) for page in pages]
    assert pictures[0] == pictures[1]
    unseen = open_page(html)
    unseen.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    assert unseen.locator(f"#{GRAPH} canvas").evaluate("(canvas) => canvas.toDataURL()") == pictures[0]
    moving = pages[1].evaluate(
        """async (chart) => {
            const slider = document.getElementById("step"), canvas = document.querySelector(`#${chart} canvas`);
            slider.value = 0;
            slider.dispatchEvent(new Event("input"));
            for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
            const busy = canvas.getAttribute("aria-busy");
            window.dispatchEvent(new Event("beforeprint"));
            const printed = canvas.toDataURL();
            await new Promise((done) => setTimeout(done, 200));
            return [busy, printed === canvas.toDataURL(), canvas.getAttribute("aria-busy")];
        }""",
        GRAPH,
    )
    assert moving == ["true", True, "false"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(open_page: Open, name: str) -> None:
    chart = graph_of(drifting(4, 20, 2), layer=name, owners=np.repeat([0, 1], 2), runs=(name, "<i>i</i>"))
    chart = GraphThroughTime(**chart.__dict__ | {"title": name, "group_label": name, "caption": name})
    page = open_page(render_page(facts({name: (4, 20)}), [Section("one", "One", "", charts=(chart,))], [0, 10]))
    page.locator("#neuron").fill("1")
    playwright.expect(page.locator(TOLD).nth(1)).to_contain_text("<i>i</i>")
    page.locator(f"#{GRAPH} canvas").hover()
    table_of(page, GRAPH)
    assert page.locator("main img, main i i").count() == 0
    assert page.locator("body script").count() == 4
    assert not HIDDEN.search(page.locator("body").inner_text())
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")


def extremes() -> list[tuple[str, np.ndarray, str]]:
    dying = drifting(5, 8, 2)
    dying[1, 2:], dying[1, 3] = 0, np.nan
    return [
        (
            "one neuron, one step",
            np.ones((1, 1, 4)),
            "0 edges, 1 component (1 of one neuron), the largest has 1 neuron.",
        ),
        (
            "all dead",
            np.zeros((2, 3, 4)),
            "0 edges, 0 components, the largest has 0 neurons. 3 dead neurons not drawn.",
        ),
        ("nobody", np.zeros((1, 0, 4)), "0 edges, 0 components"),
        ("some dead, some not finite", dying, "3 dead neurons not drawn."),
        ("all the same", np.ones((2, 5, 4)), "10 edges, 1 component, the largest has 5 neurons."),
        ("opposite", np.array([[[1.0], [-1.0]]]), "1 edge, 1 component, the largest has 2 neurons."),
    ]


@pytest.mark.parametrize(("history", "words"), [each[1:] for each in extremes()], ids=[each[0] for each in extremes()])
def test_extremes_are_drawn_without_complaint(open_page: Open, history: np.ndarray, words: str) -> None:
    page = opened(
        open_page, graph_of(history), neurons=max(history.shape[1], 1), viewport={"width": 360, "height": 740}
    )
    playwright.expect(page.locator(TOLD).first).to_contain_text(words)
    for name, value in (("Cutoff", 0), ("Cutoff", TOP), ("Charge", 0), ("Link distance", 120)):
        set_control(page, name, value)
    page.locator("#neuron").fill("0")
    page.get_by_role("button", name="Reset").click()
    page.locator(f"#{GRAPH} summary").click()
    page.locator(f"#{GRAPH} details > div").wait_for(state="attached")
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360


def test_512_neurons_and_a_drag_across_them(open_page: Open) -> None:
    page = opened(open_page, made_graph(512, inputs=30, steps=2), neurons=512, reduced_motion="no-preference")
    assert told(page)[1] > 1
    move_slider(page, 0)
    set_control(page, "Cutoff", 0)
    edges, components, largest = told(page)
    assert edges >= 1_500
    assert largest > 500 - components


def colour_at(page: Any, place: tuple[float, float]) -> list[int]:
    found: list[int] = page.locator(f"#{GRAPH} canvas").evaluate(
        """(canvas, [x, y]) => {
            const scale = canvas.width / canvas.clientWidth, copy = new OffscreenCanvas(1, 1).getContext("2d");
            copy.drawImage(canvas, -Math.round(x * scale), -Math.round(y * scale));
            return [...copy.getImageData(0, 0, 1, 1).data];
        }""",
        list(place),
    )
    return found


def test_neurons_of_no_group_step_back_only_where_others_have_edges(open_page: Open) -> None:
    rows = np.random.default_rng(1).normal(size=(1, 30, 200))
    rows[0, :4] = rows[0, 0]
    page = opened(open_page, graph_of(rows), neurons=30)
    joined, lone = (colour_at(page, places(page)[f"neuron {i}"]) for i in (2, 7))
    set_control(page, "Cutoff", 0)  # all have edges
    grey = colour_at(page, places(page)["neuron 7"])
    assert_allclose(lone, (np.array(grey) + 255) / 2, atol=2)  # half transparent on white
    assert colour_at(page, places(page)["neuron 2"]) == joined
    single = opened(open_page, graph_of(np.ones((1, 1, 4))), neurons=1)
    assert colour_at(single, places(single)["neuron 0"]) == grey
    assert control(single, "Cutoff").is_disabled()
    assert control(single, "Cutoff").get_attribute("aria-valuetext") == "no edge at any step"


def test_the_legend_lists_those_of_no_group_beside_many_groups(open_page: Open) -> None:
    rows = np.repeat(np.eye(20), 2, axis=0)
    page = opened(open_page, graph_of(np.concatenate([rows, -np.ones((1, 20))])[None]), neurons=41)
    legend = page.locator(f"#{GRAPH} .legend-row")
    assert legend.locator(".label").inner_text() == "component at the last step (neurons; 4 more not listed)"
    assert legend.locator("li").all_inner_texts() == [*(f"{group} (2)" for group in range(16)), "none (1)"]
