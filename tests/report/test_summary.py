"""The summary says of each finding what it is, once, in the right list, with a way to its charts."""

from __future__ import annotations

import re

import pytest

from tests.report.made_up import facts
from tests.report.test_page import HOSTILE, SMALL
from wdyn.analyses._spec import Finding
from wdyn.report.page import render_page
from wdyn.report.sections import Section
from wdyn.report.summary import MOST, Told, summarise


def finding(text: str, step: int = 100, *, significant: bool = True, level: float = 0.01) -> Finding:
    return Finding("fc1", step, text, significant, level)


def section(name: str, *findings: Finding, status: str = "ok", reason: str = "") -> Section:
    return Section(name, name.title(), "", status=status, reason=reason, findings=findings)  # type: ignore[arg-type]


MADE = [
    section("align", finding("fc1 aligns"), finding("fc2 does not", significant=False)),
    section("groups", finding("as at random", 0, significant=False, level=0.025), finding("three groups", 50)),
    section("paths"),
    section("collapse", status="skipped", reason="no sample"),
    section("broken", status="failed", reason="boom"),
]


def test_each_finding_is_in_one_list() -> None:
    summary = summarise(MADE, first_step=0)
    assert summary.found == (Told("align", "Align", ("fc1 aligns",), 0), Told("groups", "Groups", ("three groups",), 0))
    assert summary.chance == (Told("align", "Align", ("fc2 does not",), 0),)
    assert (summary.asked, summary.level, summary.start) == (1, 0.025, ())
    assert [each.name for each in summary.pictures] == ["paths"]
    assert [each.name for each in summary.absent] == ["collapse", "broken"]


def test_a_signal_at_step_0_is_told_apart_from_what_training_did() -> None:
    summary = summarise([section("align", finding("already there", 0), finding("and later"))], first_step=0)
    assert summary.start == (Told("align", "Align", ("already there",), 0),)
    assert summary.found == (Told("align", "Align", ("and later",), 0),)


def test_without_initial_weights_every_finding_counts() -> None:
    summary = summarise(MADE, first_step=None)
    assert summary.asked == 0
    assert [text for each in summary.chance for text in each.texts] == ["fc2 does not", "as at random"]


def test_a_long_list_is_cut_and_says_so() -> None:
    summary = summarise([section("align", *(finding(f"{n}") for n in range(MOST + 5)))], first_step=0)
    assert summary.found[0].texts == tuple(map(str, range(MOST)))
    assert summary.found[0].more == 5


def shown(made: list[Section], steps: list[int]) -> str:
    text = render_page(facts(SMALL), made, steps).decode()
    return text[text.index('id="summary"') : text.index('<nav class="jump"')]


def test_the_page_begins_with_it_and_links_to_the_charts() -> None:
    text = shown(MADE, [0, 100])
    assert re.findall(r'href="#(\w+)"', text) == ["align", "groups", "align", "paths", "broken", "collapse"]
    assert "1 such question" in text
    assert "no answer claims" in text
    assert "By chance at most 2.5 of 100 would" in text
    whole = render_page(facts(SMALL), MADE, [0, 100]).decode()
    assert all(f'id="{each.name}"' in whole for each in MADE)


@pytest.mark.parametrize("steps", [[0], [7, 9]])
def test_of_a_run_without_a_beginning_and_an_end_nothing_is_said_of_step_0(steps: list[int]) -> None:
    assert "Before training" not in shown(MADE, steps)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text(name: str) -> None:
    text = shown([section("align", finding(name)), section("x", status="failed", reason=name)], [0, 100])
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "49" not in text
