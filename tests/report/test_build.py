"""The pipeline on real, small runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.make_run import make_run, write_journal
from wdyn.analyses._charts import Table
from wdyn.analyses._spec import Analysis, Result
from wdyn.errors import MisuseError, NotFoundError, OutputError, RunFileError
from wdyn.report import analysing
from wdyn.report.analysing import LogSpaced, analysed, choose_analyses
from wdyn.report.build import build_report


def fake(title: str, **changes: Any) -> Analysis:
    def compute(run: Any, *, seed: int = 0) -> Result:
        return Result(run.name, run.steps, tuple(run.layers))

    return Analysis(
        **{"title": title, "compute": compute, "charts": lambda result: [Table("t", {"a": [1]})], "reading": "R."}
        | changes
    )


pytestmark = pytest.mark.filterwarnings("ignore:Broken failed and is left out")  # told, as one test below says


def broken(run: Any) -> Any:
    raise ValueError("no luck")


@pytest.fixture
def run_file(tmp_path: Path, rng: np.random.Generator) -> Path:
    steps = {
        step: {"fc1.weight": rng.normal(size=(6, 4)).astype("f4"), "fc2.weight": rng.normal(size=(3, 6)).astype("f4")}
        for step in (0, 1, 2, 5, 9)
    }
    return make_run(tmp_path / "a.h5", steps)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> dict[str, Analysis]:
    """Analyses that take no time, in place of the real ones."""
    offered = {
        "plain": fake("Plain"),
        "slow": fake("Slow", when="full"),
        "instant": fake("Instant", when="quick"),
        "several": fake("Several", takes="runs"),
        "scored": fake("Scored", needs=frozenset({"metrics"})),
        "broken": fake("Broken", compute=broken),
    }
    monkeypatch.setattr(analysing, "names", lambda: sorted(offered))
    monkeypatch.setattr(analysing, "load", lambda name: offered[name])
    monkeypatch.setattr(analysing, "load_or_warn", lambda name: offered[name])
    return offered


def test_which_analyses_are_taken(few: dict[str, Analysis]) -> None:
    assert list(choose_analyses()) == ["broken", "plain", "scored", "slow"]
    assert list(choose_analyses(quick=True)) == ["broken", "instant", "plain", "scored"]
    assert list(choose_analyses(["slow", "instant"], quick=True)) == ["slow", "instant"]
    with pytest.raises(MisuseError, match="several runs"):
        choose_analyses(["several"])


def test_an_unknown_analysis_lists_those_there_are() -> None:
    with pytest.raises(NotFoundError, match="frame_potential"):
        choose_analyses(["frame_potentail"])


def test_one_failing_and_one_skipped_analysis_leave_the_others(few: dict[str, Analysis], run_file: Path) -> None:
    with (
        pytest.warns(RuntimeWarning, match="Broken failed and is left out: ValueError: no luck"),
        analysed(run_file) as found,
    ):
        assert {s.name: s.status for s in found.sections} == {
            "broken": "failed",
            "plain": "ok",
            "scored": "skipped",
            "slow": "ok",
        }
    page = build_report(run_file, out=run_file.with_suffix(".html")).read_text()
    assert "ValueError: no luck" in page
    assert "rec.log(loss=...)" in page


def test_a_report_without_any_finding_is_none(few: dict[str, Analysis], run_file: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match=r"no analysis could be made\. Broken: ValueError: no luck"):
        build_report(run_file, only=["broken"], out=tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("kind", ["html", "pdf", "json"])
def test_the_same_run_and_seed_give_the_same_bytes(run_file: Path, tmp_path: Path, kind: Any) -> None:
    only = ["frame_potential", "norms", "similarity", "pca"]
    first, second = (
        build_report(run_file, kind=kind, only=only, out=tmp_path / name).read_bytes() for name in ("1", "2")
    )
    assert first == second
    assert str(tmp_path).encode() not in first


def test_the_default_place(
    few: dict[str, Analysis], run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert build_report("a.h5") == Path("reports/a.html")
    assert build_report("a.h5", kind="json") == Path("reports/a.json")
    assert sorted(path.name for path in Path("reports").iterdir()) == ["a.html", "a.json"]


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        (None, [0, 1, 2, 5, 9]),
        (slice(1, 9), [1, 2, 5]),
        (slice(None, None, 2), [0, 2, 9]),
        (slice(2, None), [2, 5, 9]),
        (LogSpaced(3), [0, 2, 9]),
        (LogSpaced(60), [0, 1, 2, 5, 9]),
        ([5, 0], [0, 5]),
    ],
)
def test_steps_are_numbers_and_never_positions(
    few: dict[str, Analysis], run_file: Path, steps: Any, kept: list[int]
) -> None:
    with analysed(run_file, steps=steps, layers="fc2") as found:
        assert sorted(found.run.steps.tolist()) == kept
        assert list(found.run.layers) == ["fc2"]
        assert list(found.whole.layers) == ["fc1", "fc2"]


def test_quick_takes_forty_steps_unless_told_which(few: dict[str, Analysis], tmp_path: Path) -> None:
    path = make_run(tmp_path / "long.h5", {step: {"fc1.weight": np.eye(2, dtype="f4")} for step in range(250)})
    with analysed(path, quick=True) as found:
        assert len(found.run.steps) == 40
        assert found.run.steps[[0, 1, -1]].tolist() == [0, 1, 249]
    with analysed(path, quick=True, steps=slice(None)) as found:
        assert len(found.run.steps) == 250
    with analysed(path) as found:
        assert len(found.run.steps) == 250


def test_a_run_without_neuron_rows_says_so_once_for_each_analysis(tmp_path: Path) -> None:
    steps = {step: {"scale.bias": np.ones(3, dtype="f4")} for step in range(3)}
    loss = {"loss": dict.fromkeys(steps, 1.0)}
    path = make_run(tmp_path / "a.h5", steps, metrics=loss, left_out=[("scale.bias", "one value per unit")])
    with analysed(path) as found:
        status = {section.name: section.status for section in found.sections}
        assert status.pop("metrics") == "ok"
        assert set(status.values()) == {"skipped"}
        assert {s.reason.split(".")[0] for s in found.sections if s.name != "metrics"} == {
            "This run has no layer that gives neuron rows"
        }
    page = build_report(path, out=tmp_path / "a.html").read_text()
    assert "This run has no layer that gives neuron rows" in page
    assert "one value per unit" in page


def test_an_empty_choice_of_layers_is_all(few: dict[str, Analysis], run_file: Path) -> None:
    with analysed(run_file, layers=()) as found:
        assert list(found.run.layers) == ["fc1", "fc2"]


def test_steps_that_are_not_there(few: dict[str, Analysis], run_file: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no step there\. It has 5 steps from 0 to 9"):
        build_report(run_file, steps=slice(10, 20), out=tmp_path / "new" / "page.html")
    assert not (tmp_path / "new").exists()


def test_progress_grows_to_the_end(few: dict[str, Analysis], run_file: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    build_report(run_file, out=tmp_path / "page.html", progress=lambda label, fraction: told.append((label, fraction)))
    assert [label for label, _ in told] == ["Broken", "Plain", "Scored", "Slow", "Writing"]
    assert [round(fraction, 3) for _, fraction in told] == [0, 0.2, 0.4, 0.6, 0.8]


def test_progress_of_an_analysis_is_a_part_of_the_whole(
    few: dict[str, Analysis], run_file: Path, tmp_path: Path
) -> None:
    few["plain"] = fake("Plain", compute=lambda run, *, progress: progress(0.5))
    told: list[float] = []
    build_report(
        run_file, only=["plain"], out=tmp_path / "page.html", progress=lambda _, fraction: told.append(fraction)
    )
    assert told == [0.0, 0.25, 0.5]


def test_a_run_without_a_step_leaves_nothing(tmp_path: Path) -> None:
    from tests.make_run import layer

    path = write_journal(tmp_path / "a.h5", {}, layers=[layer("fc1", (3, 2))])
    with pytest.raises(RunFileError):
        build_report(path, out=tmp_path / "new" / "page.html")
    assert not (tmp_path / "new").exists()


def test_the_run_is_never_written_over(few: dict[str, Analysis], run_file: Path) -> None:
    before = run_file.read_bytes()
    with pytest.raises(MisuseError, match="run itself"):
        build_report(run_file, out=run_file)
    assert run_file.read_bytes() == before


def test_a_place_that_cannot_be_written_is_told_before_computing(
    run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysing, "compute_sections", lambda *_, **__: pytest.fail("computed"))
    with pytest.raises(OutputError, match="cannot write here"):
        build_report(run_file, out=run_file / "page.html")


def test_an_unknown_kind(run_file: Path) -> None:
    with pytest.raises(MisuseError, match="html, pdf, json"):
        build_report(run_file, kind="xls")  # type: ignore[arg-type]


def test_json_holds_what_was_computed(run_file: Path, tmp_path: Path) -> None:
    report = json.loads(
        build_report(run_file, kind="json", only=["frame_potential"], steps=[0, 9], out=tmp_path / "a.json").read_text()
    )
    found = report["analyses"]["frame_potential"]
    assert (found["status"], found["axes"]["step"], found["axes"]["layer"]) == ("ok", [0, 9], ["fc1", "fc2"])
    with analysed(run_file, only=["frame_potential"], steps=[0, 9]) as again:
        np.testing.assert_array_equal(found["values"]["potential"]["data"], again.sections[0].result.potential)
