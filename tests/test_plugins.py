"""An analysis of another package: one file and one line, and every command knows it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.make_run import make_run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run and, as pip would leave them, CONTRIBUTING's analysis and a broken one."""
    folder = tmp_path_factory.mktemp("plugins")
    (source,) = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    (folder / "their_package.py").write_text(source)
    (folder / "their_broken_package.py").write_text("import a_package_that_is_not_there\n")
    installed = folder / "their_package-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[wdyn.analyses]\nsparsity = their_package:ANALYSIS\nbroken = their_broken_package:ANALYSIS\n"
        "other = their_package:charts\n"
    )
    rng = np.random.default_rng(0)
    steps = {step: {"fc1.weight": np.triu(rng.normal(size=(4, 4))).astype("f4")} for step in range(3)}
    make_run(folder / "a.h5", steps)
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'cli'}:{folder}"}
    command = [sys.executable, "-c", "from wdyn_cli.main import main; main()", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def wdyn(folder: Path, *words: str) -> tuple[str, str]:
    """Output and warnings of a command that succeeds."""
    done = run(folder, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.slow
def test_it_is_on_the_page_and_in_the_numbers_and_a_broken_one_only_warns(folder: Path) -> None:
    _, page_said = wdyn(folder, "analyze", "a.h5", "--quick")
    page = (folder / "reports" / "a.html").read_text()
    assert "A line at 0.8 says that 80 % of the layer" in page
    assert "Zero weights" in page
    _, said = wdyn(folder, "analyze", "a.h5", "--quick", "--report", "json", "--jobs", "2")
    analyses = json.loads((folder / "reports" / "a.json").read_text())["analyses"]
    assert analyses["sparsity"]["status"] == "ok"
    assert analyses["sparsity"]["values"]["zeros"]["data"] == [[6 / 16]] * 3  # below the diagonal of 4 x 4
    assert analyses["frame_potential"]["status"] == "ok"
    assert "broken" not in analyses
    for each in (page_said, said):
        broken, other = [line for line in each.splitlines() if line.startswith("Warning")]
        assert "'broken' cannot be loaded: No module named 'a_package_that_is_not_there'" in broken
        assert "'other' cannot be loaded: their_package:charts is no Analysis" in other


@pytest.mark.slow
def test_its_charts_are_figures(folder: Path) -> None:
    said, _ = wdyn(folder, "figures", "a.h5", "--only", "sparsity", "-f", "svg", "--layers", "fc*")
    (figure,) = said.splitlines()
    assert figure.endswith("sparsity-01-Zero-weights.svg")
    assert "<svg" in (folder / figure).read_text()


@pytest.mark.slow
def test_asking_for_the_broken_one_is_an_error_in_one_sentence(folder: Path) -> None:
    done = run(folder, "analyze", "a.h5", "--only", "broken")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: analysis plugin 'broken' cannot be loaded")
    assert len(done.stderr.splitlines()) == 1
