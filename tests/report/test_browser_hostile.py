"""One page whose every name is hostile, with every kind of chart, the card, menus, tables and downloads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.report.browser import NEEDS_BROWSER, Open, lines_drawn, settled
from tests.report.graphs import made_graph
from tests.report.made_up import facts
from tests.report.test_page import HOSTILE
from tests.report.test_static_pictures import of_every_kind
from wdyn.analyses._charts import Table
from wdyn.report.page import render_page
from wdyn.report.sections import Section

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER

NAME = " ".join(HOSTILE)


def hostile_page(rng: np.random.Generator) -> bytes:
    charts = [*of_every_kind(NAME, rng, size=12), made_graph(12, layer=NAME), Table(NAME, {NAME: [NAME]}, NAME)]
    sections = [Section(f"s{k}", NAME, NAME, charts=(chart,)) for k, chart in enumerate(charts)]
    named = facts({NAME: (12, 3), "b": (2, 2)}, run=NAME, model=NAME, optimizer=NAME, metadata={NAME: NAME})
    return render_page(named, sections, list(range(60)))


def test_in_every_place_a_hostile_name_is_text(open_page: Open, rng: np.random.Generator) -> None:
    page = open_page(hostile_page(rng))
    lines_drawn(page, "s0-0")  # the chart library is one more script
    start = elements(page)
    page.locator("#neuron").fill("3")
    playwright.expect(page.locator("#neuron-card h2")).to_have_text("Neuron 3")
    for figure in page.locator("main figure").all():
        figure.scroll_into_view_if_needed()
        settled(page)
        for press in figure.locator("summary, .save > button").all():
            press.dispatch_event("click")
        for canvas in figure.locator("canvas").all()[:1]:
            canvas.hover(force=True)
    assert elements(page) == start
    assert (
        page.evaluate("() => document.documentElement.scrollWidth") == 1200
    )  # nothing 5,000 letters long is in one line
    said = page.locator("body").inner_text()
    assert "</script><script>alert(1)</script>" in said
    assert not set("\u202e\u2066") & set(page.evaluate("() => document.body.textContent"))


def test_without_scripts_it_is_text_too(open_page: Open, rng: np.random.Generator) -> None:
    page = open_page(hostile_page(rng), wait=False, java_script_enabled=False)
    assert page.locator("noscript svg.still").count() == 9
    assert page.locator("main script, main img, svg script").count() == 0


def elements(page: Any) -> list[int]:
    """How many there are of those that a name could make."""
    return [
        page.locator(tag).count() for tag in ("script", "img", "iframe", "main b, main i[onclick], main a[onclick]")
    ]
