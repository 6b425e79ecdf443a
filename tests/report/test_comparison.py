"""Several runs, one report: the pipeline of one run, shared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.make_run import make_run
from wdyn.analyses._charts import Table
from wdyn.analyses._spec import Analysis, Result
from wdyn.errors import MisuseError, NotFoundError, RunFileError
from wdyn.places import default_comparison
from wdyn.report import analysing
from wdyn.report.analysing import choose_analyses
from wdyn.report.build import build_comparison

ONLY = ["frame_potential_between", "similarity_graph_between"]


def a_run(path: Path, seed: int, **options: Any) -> Path:
    rng = np.random.default_rng(seed)
    steps = options.pop("steps", (0, 1, 5))
    arrays = {s: {"fc1.weight": rng.normal(size=(6, 4)), "fc2.weight": rng.normal(size=(3, 6))} for s in steps}
    path.parent.mkdir(exist_ok=True)
    return make_run(path, arrays, **options)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [a_run(tmp_path / "x" / "a.h5", 1, metadata={"dataset": "digits"}), a_run(tmp_path / "y" / "b.h5", 2)]


def fake(**changes: Any) -> Analysis:
    def compute(runs: Any, *, seed: int = 0) -> Result:
        return Result(" and ".join(run.name for run in runs), runs[0].steps, tuple(runs[0].layers))

    return Analysis(
        **{
            "title": "T",
            "compute": compute,
            "charts": lambda _: [Table("t", {"a": [1]})],
            "reading": "R.",
            "takes": "runs",
        }
        | changes
    )


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Analysis]:
    found = {"single": fake(takes="run"), "pair": fake(title="Pair")}
    monkeypatch.setattr(analysing, "names", lambda: sorted(found))
    monkeypatch.setattr(analysing, "load", lambda name: found[name])
    monkeypatch.setattr(analysing, "load_or_warn", lambda name: found[name])
    return found


def report(files: list[Path], tmp_path: Path, **options: Any) -> dict[str, Any]:
    return json.loads(build_comparison(files, kind="json", out=tmp_path / "out.json", **options).read_text())


def test_only_analyses_of_several_runs_are_taken(offered: dict[str, Analysis]) -> None:
    assert list(choose_analyses(takes="runs")) == ["pair"]
    with pytest.raises(MisuseError, match="'single' is about one run, and this report compares several runs"):
        choose_analyses(["single"], takes="runs")


def test_the_page_holds_the_sections_and_names_all_runs(files: list[Path], tmp_path: Path) -> None:
    page = build_comparison(files, only=ONLY, out=tmp_path / "page.html", command="wdyn compare a b").read_text()
    for text in (
        "a and b",
        "2 runs compared",
        "Frame potential between runs",
        "Similarity graph between runs",
        "digits",
    ):
        assert text in page
    assert str(tmp_path) not in page


@pytest.mark.parametrize("kind", ["html", "json"])
def test_the_same_runs_and_seed_give_the_same_bytes(files: list[Path], tmp_path: Path, kind: Any) -> None:
    made = [
        build_comparison(files, kind=kind, only=ONLY, out=tmp_path / str(jobs), jobs=jobs).read_bytes()
        for jobs in (1, 1, 2)
    ]
    assert made[0] == made[1] == made[2]


def test_numbers_and_provenance_as_json(files: list[Path], tmp_path: Path) -> None:
    found = report(files, tmp_path, only=ONLY[:1], seed=3)
    facts = found["provenance"]
    assert (facts["run"], facts["seed"], facts["steps"]) == ("a and b", 3, [0, 1, 5])
    assert [each["run"] for each in facts["runs"]] == ["a", "b"]
    assert [each["metadata"] for each in facts["runs"]] == [{"dataset": "digits"}, {}]
    assert [each["name"] for each in facts["layers"]] == ["fc1", "fc2"]
    assert found["analyses"]["frame_potential_between"]["status"] == "ok"


def test_runs_that_cannot_be_compared_are_a_visible_gap_and_not_an_error(files: list[Path], tmp_path: Path) -> None:
    apart = [files[0], a_run(tmp_path / "c.h5", 3, steps=(7, 9))]
    found = report(apart, tmp_path, only=ONLY)
    assert {each["status"] for each in found["analyses"].values()} == {"skipped"}
    assert "no step was recorded in all" in found["analyses"]["frame_potential_between"]["reason"]
    assert found["provenance"]["steps"] == [5, 9]
    assert "no step was recorded in all" in build_comparison(apart, only=ONLY, out=tmp_path / "p.html").read_text()


def test_a_run_that_lacks_what_an_analysis_needs_is_named(
    offered: dict[str, Analysis], files: list[Path], tmp_path: Path
) -> None:
    offered["wanting"] = fake(needs=frozenset({"metrics"}))
    logged = a_run(tmp_path / "c.h5", 3, metrics={"loss": {1: 1.0}})
    wanting = report([files[1], logged], tmp_path)["analyses"]["wanting"]
    assert wanting["status"] == "skipped"
    assert wanting["reason"].startswith("b: No metrics were logged.")
    assert "c: " not in wanting["reason"]


def test_one_failing_analysis_leaves_the_others(
    offered: dict[str, Analysis], files: list[Path], tmp_path: Path
) -> None:
    def broken(runs: Any) -> Any:
        raise ValueError("no luck")

    offered["broken"] = fake(title="Broken", compute=broken)
    with pytest.warns(RuntimeWarning, match="Broken failed and is left out: ValueError: no luck"):
        found = report(files, tmp_path)["analyses"]
    assert {name: each["status"] for name, each in found.items()} == {"broken": "failed", "pair": "ok"}
    with pytest.raises(RunFileError, match="a and b: no analysis could be made"):
        build_comparison(files, only=["broken"], out=tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()


def test_evaluate_goes_on_as_a_function_that_is_called_once_for_each_run(
    offered: dict[str, Analysis], files: list[Path], tmp_path: Path
) -> None:
    called: list[str] = []

    def compute(runs: Any, *, evaluate: Any) -> Result:
        assert [evaluate(run) for run in (*runs, *runs)] == [f"network of {name}" for name in "abab"]
        return Result("r", runs[0].steps, ())

    offered["replays"] = fake(compute=compute, needs=frozenset({"evaluate"}))
    found = report(files, tmp_path, evaluate=lambda run: called.append(run.name) or f"network of {run.name}")
    assert (found["analyses"]["replays"]["status"], called) == ("ok", ["a", "b"])
    assert report(files, tmp_path)["analyses"]["replays"]["status"] == "skipped"


def test_layers_and_refusals(files: list[Path], tmp_path: Path) -> None:
    found = report(files, tmp_path, only=ONLY[:1], layers="fc2")
    assert found["analyses"]["frame_potential_between"]["axes"]["layer"] == ["fc2"]
    with pytest.raises(NotFoundError, match="no layer 'fc9'"):
        build_comparison(files, layers="fc9", out=tmp_path / "p.html")
    with pytest.raises(MisuseError, match="at least 2 runs, not 1"):
        build_comparison(files[:1])
    with pytest.raises(MisuseError, match=r"a\.h5 is given more than once"):
        build_comparison([files[0], files[0].parent / ".." / "x" / "a.h5"])
    for file in files:
        before = file.read_bytes()
        with pytest.raises(MisuseError, match="run itself"):
            build_comparison(files, out=file)
        assert file.read_bytes() == before


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    files = [a_run(tmp_path / folder / "round-03.h5", seed) for seed, folder in enumerate(("mnist", "cifar"))]
    assert report(files, tmp_path, only=ONLY[:1])["provenance"]["run"] == "mnist/round-03 and cifar/round-03"


def test_the_default_place(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert build_comparison(files, only=ONLY[:1]) == Path("reports/a-and-b.html")
    assert default_comparison(["x/a", "y/a"], ".json") == Path("reports/x-a-and-y-a.json")
    assert default_comparison(["a" * 60, "b" * 60, "c"], ".html") == Path(f"reports/{'a' * 60}-and-2-more.html")


def test_json_says_what_its_numbers_are_about(files: list[Path], tmp_path: Path) -> None:
    found = report(files, tmp_path, only=ONLY[:1])["analyses"]["frame_potential_between"]
    assert found["labels"] == {"runs": ["a", "b"], "pairs": [[0, 1]]}
    assert len(found["values"]["cross"]["data"]) == len(found["labels"]["pairs"])


def test_a_heading_names_a_few_runs(files: list[Path], tmp_path: Path) -> None:
    more = [*files, *(a_run(tmp_path / f"{name}.h5", 3) for name in "cde")]
    assert report(more, tmp_path, only=ONLY[:1])["provenance"]["run"] == "a, b, c and 2 more"
