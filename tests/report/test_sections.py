from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from wdyn.analyses._charts import Lines, Table
from wdyn.analyses._spec import Analysis
from wdyn.report.sections import MISSING, Given, make_section

CHART = Table("numbers", {"a": [1]})


def a_run(**changes: Any) -> Any:
    masks = changes.pop("masks", {})
    return SimpleNamespace(
        **{
            "layers": {"fc1": None},
            "metrics": {},
            "sample": None,
            "steps": np.array([0, 5]),
            "masks": lambda step: masks,
        }
        | changes
    )


def analysis(compute: Callable[..., Any], **changes: Any) -> Analysis:
    return Analysis(**{"title": "T", "compute": compute, "charts": lambda result: [CHART], "reading": "R."} | changes)


def test_what_it_computed_and_drew() -> None:
    section = make_section("a", analysis(lambda run: "found"), a_run())
    assert (section.status, section.result, section.charts, section.reason) == ("ok", "found", (CHART,), "")


def test_the_mode_of_units_that_go_is_told_to_no_other_analysis() -> None:
    assert make_section("a", analysis(lambda run, mode="aligned": mode), a_run(), given=Given(mode="mean")).result == (
        "aligned"
    )


def test_seed_and_progress_go_only_where_they_are_wanted() -> None:
    told: list[float] = []
    both = make_section(
        "a",
        analysis(lambda run, *, seed, progress: progress(0.5) or seed),
        a_run(),
        given=Given(seed=7),
        progress=told.append,
    )
    assert (both.result, told) == (7, [0.5])
    assert make_section("a", analysis(lambda run, seed=3: seed), a_run(), given=Given(seed=9)).result == 9
    assert make_section("a", analysis(lambda run, progress: progress(1.0)), a_run()).status == "ok"


@pytest.mark.parametrize("where", ["compute", "charts"])
def test_an_error_is_named_and_stays_inside(where: str) -> None:
    def broken(_: Any) -> Any:
        raise ValueError("no luck")

    section = make_section("a", analysis(**{"compute": lambda run: 1, where: broken}), a_run())
    assert (section.status, section.reason, section.charts, section.result) == (
        "failed",
        "ValueError: no luck",
        (),
        None,
    )


def test_an_interrupt_passes() -> None:
    def interrupted(run: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_section("a", analysis(interrupted), a_run())


@pytest.mark.parametrize(
    ("need", "offer"),
    [("metrics", {"metrics": {"loss": 1}}), ("sample", {"sample": 1}), ("masks", {"masks": {"fc1": 1}})],
)
def test_an_unmet_need_says_what_is_missing_and_a_met_one_runs(need: Any, offer: dict[str, Any]) -> None:
    wanting = analysis(lambda run: 1, needs=frozenset({need}))
    skipped = make_section("a", wanting, a_run())
    assert (skipped.status, skipped.reason) == ("skipped", MISSING[need])
    assert make_section("a", wanting, a_run(**offer)).status == "ok"


def test_scores_cannot_be_had_from_the_file_alone() -> None:
    assert make_section("a", analysis(lambda run: 1, needs=frozenset({"evaluate"})), a_run()).status == "skipped"


def test_a_chart_of_any_kind_is_kept() -> None:
    line = Lines("t", np.arange(2), {"a": np.arange(2)}, "x", "y")
    assert make_section("a", analysis(lambda run: 1, charts=lambda result: [line]), a_run()).charts == (line,)
