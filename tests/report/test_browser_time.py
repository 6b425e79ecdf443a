"""The slider's two spacings, its keys, the epoch, and play."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.report.browser import NEEDS_BROWSER, Open, made, move_slider
from tests.report.made_up import facts
from wdyn.analyses._charts import (
    HeatMap,
    Lines,
)
from wdyn.report.page import render_page
from wdyn.report.sections import Section

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'wdyn[dev]'")
pytestmark = NEEDS_BROWSER


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
