"""The examples that repeat published findings, and the page that finds them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import fisher_exact

import wdyn
from wdyn.analyses import load
from wdyn.analyses._charts import Table

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
    tables = [chart for chart in result.charts() if isinstance(chart, Table)]
    assert any(said[-1].text in table.columns.get("found", []) for table in tables)
    at, hidden = int((result.shown <= 100).sum()) - 1, result.layers.index("hidden")
    assert result.line_largest[at, hidden] >= 45
    assert result.ray_groups[at, hidden] == 2


@pytest.mark.slow
def test_more_filters_reach_zero_error_more_often_and_then_are_right_everywhere_more_often(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "xord.py"), "--runs", str(tmp_path / "xord"), "--filters", "2", "16"]
    said = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    rows = [re.findall(r"(\d+) of (\d+)", line) for line in said.splitlines()[1:3]]
    few, many = (np.array(row, dtype=np.int64) for row in rows)
    for claim in (0, 1):  # without training error; of those, without any
        counts = [[hits, total - hits] for hits, total in (many[claim], few[claim])]
        assert fisher_exact(counts, alternative="greater").pvalue < 0.05, said
    for row in (few, many):
        assert row[2, 0] > row[2, 1] / 2, said  # the median active filter is within a degree of a pattern
