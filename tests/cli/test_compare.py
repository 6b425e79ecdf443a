"""`wdyn compare`: the page's path to stdout, mistakes in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import call
from tests.report.test_comparison import a_run

ONLY = ("--only", "frame_potential_between")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    return [a_run(tmp_path / f"{name}.h5", seed) for seed, name in enumerate("abc")]


def test_prints_the_page_and_nothing_else_to_stdout(files: list[Path]) -> None:
    done = call("compare", *files, *ONLY)
    assert (done.exit_code, done.stdout) == (0, "reports/a-and-b-and-c.html\n")
    assert "Frame potential between runs" in Path("reports/a-and-b-and-c.html").read_text()


def test_json_of_some_layers(files: list[Path]) -> None:
    done = call("compare", *files[:2], *ONLY, "--report", "json", "--layers", "fc2", "--jobs", 1, "-o", "out.json")
    assert done.stdout == "out.json\n"
    found = json.loads(Path("out.json").read_text())
    assert found["analyses"]["frame_potential_between"]["axes"]["layer"] == ["fc2"]


def test_figures_of_several_runs_show_what_compares_them(files: list[Path]) -> None:
    done = call("figures", *files[:2], *ONLY, "-f", "svg")
    assert done.exit_code == 0, done.output
    written = [Path(each) for each in done.stdout.splitlines()]
    assert {path.parent for path in written} == {Path("reports/a-and-b-figures")}
    assert all(path.name.startswith("frame_potential_between") and path.stat().st_size for path in written)
    assert "leave out steps and quick" in call("figures", *files[:2], "--quick").stderr


def test_comparison_on_paper(files: list[Path]) -> None:
    done = call("compare", *files[:2], *ONLY, "--report", "pdf")
    assert (done.exit_code, done.stdout) == (0, "reports/a-and-b.pdf\n")
    assert Path("reports/a-and-b.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["a.h5"], 1, "at least 2 runs"),
        ([], 2, "Missing argument"),
        (["a.h5", "missing.h5"], 1, "missing.h5"),
        (["a.h5", "b.h5", "--only", "norms"], 1, "is about one run"),
    ],
)
def test_mistakes(files: list[Path], words: list[str], status: int, text: str) -> None:
    done = call("compare", *words)
    assert (done.exit_code, done.stdout) == (status, "")
    assert text in done.stderr
    assert not Path("reports").exists()
