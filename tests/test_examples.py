"""The examples that repeat published findings, and the page that finds them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import wdyn
from wdyn.analyses import load

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_condensation_is_found_on_one_line_in_two_opposite_bundles(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "run.h5"
    command = [sys.executable, str(EXAMPLES / "condensation.py"), "--seed", str(seed), "--run", str(path)]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    clusters = load("clusters")
    result = clusters.compute(wdyn.open_run(path))
    said = [finding for finding in clusters.findings(result) if finding.layer == "hidden"]
    assert not said[0].significant  # step 0
    assert said[-1].significant
    assert 0 < said[-1].step <= 100
    assert "of 50 neurons lie on one line, in two opposite bundles of" in said[-1].text
    at, hidden = int((result.shown <= 100).sum()) - 1, result.layers.index("hidden")
    assert result.line_largest[at, hidden] >= 45
    assert result.ray_groups[at, hidden] == 2
