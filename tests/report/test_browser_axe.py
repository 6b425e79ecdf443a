"""The page by the rules of axe-core, which check what a reader with a screen reader, keys or weak eyes needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.report.browser import NEEDS_BROWSER, Open
from tests.report.made_up import facts, sections
from wdyn.analyses._charts import Bridge, Edges, GraphThroughTime, HeatMap, ImagesThroughTime, Lifelines, Lines
from wdyn.report.page import render_page
from wdyn.report.sections import Section

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER


def every_kind() -> bytes:
    """Each kind of chart, a failed and a skipped section; few neurons, since axe looks at elements."""
    layers = {"fc1": (12, 4), "fc2": (6, 12)}
    edges = [Edges(np.array([0]), np.array([1]), np.array([0.9], dtype=np.float32))] * 2
    places = np.random.default_rng(0).normal(size=(12, 2))
    graph = GraphThroughTime(
        "Graph", np.array([0, 2000]), np.arange(12), np.ones((2, 12)), edges, 0.5, 0.4, places,
        np.arange(12) % 3, "cluster", "caption", "fc1",
    )  # fmt: skip
    names = HeatMap("κ", np.arange(2), np.eye(2), ["a", "b"], "run", "run", "κ", diverging=True, columns=["a", "b"])
    many = Lines("many", np.arange(3), {f"run {i}": np.arange(3) + i for i in range(12)}, "step", "y")
    sizes = np.array([[3, 2], [5, 0]])
    lives = Lifelines("Lives", np.array([0, 9]), np.array([0, 1]), sizes, [Bridge(1, 1, 0, 2, 0.5)], "caption", "fc1")
    pixels = np.random.default_rng(1).normal(size=(1, 12, 1, 2, 2))
    images = ImagesThroughTime(
        "Images", np.array([9]), pixels, np.arange(12), np.zeros((12, 1), dtype=np.int64), 1, 2.0, "weight", "", "fc1"
    )
    empty = GraphThroughTime(**graph.__dict__ | {"edges": [Edges(*np.zeros((3, 0), dtype=int))] * 2})
    more = Section("more", "More", "How to read it.", charts=(graph, empty, names, many, lives, images))
    return render_page(facts(layers), [*sections(layers), more], list(range(0, 2001, 100)))


def all_open(page: Any) -> None:
    """Every chart drawn, every table and menu open, a neuron picked."""
    for figure in page.locator("figure.chart").all():
        figure.scroll_into_view_if_needed()
        if figure.locator("> details").count():
            figure.locator("> details > summary").click()
    page.locator(".foot summary").click()
    page.locator("#neuron").fill("3")
    page.locator(".save > button").first.click()
    page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot').length >= 5")
    # axe takes long over thousands of cells; the rows of a table are all made alike, so the first speak for the others
    page.evaluate("() => document.querySelectorAll('tbody tr:nth-child(n+6)').forEach((row) => row.remove())")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_axe_finds_nothing_serious(open_page: Open, scheme: str, width: int) -> None:
    page = open_page(every_kind(), color_scheme=scheme, viewport={"width": width, "height": 900})
    all_open(page)
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 20  # it did look
    broken = [(rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in found["violations"]]
    assert broken == []
