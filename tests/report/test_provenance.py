from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import wdyn
from tests.make_run import make_run
from wdyn.report.provenance import provenance


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    arrays = {
        step: {"fc1.weight": np.eye(3, 4, dtype="f4") * (step + 1), "fc2.weight": np.eye(2, 3, dtype="f4")}
        for step in range(5)
    }
    return make_run(tmp_path / "a.h5", arrays, metadata={"seed": 4}, left_out=[("fc1.bias", "a bias is no row")])


def test_the_facts_of_a_selection(run_file: Path) -> None:
    with wdyn.open_run(run_file) as run:
        facts = provenance(run, run.select(layers="fc1", steps=[1, 3]), command="", seed=7)
        assert facts["checksum"] == run.checksum
    assert (facts["run"], facts["condition"], facts["seed"], facts["model"]) == ("a", "finished", 7, "Net")
    assert (facts["steps_recorded"], facts["steps_analysed"], facts["first_step"], facts["last_step"]) == (5, 2, 1, 3)
    assert facts["layers_recorded"] == 2
    assert facts["layers"] == [{"name": "fc1", "kind": "Linear", "rows": 3, "columns": 4}]
    assert facts["left_out"] == [{"name": "fc1.bias", "reason": "a bias is no row"}]
    assert facts["metadata"] == {"seed": 4}
    assert facts["report_wdyn"] == wdyn.__version__
    json.dumps(facts)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("wdyn analyze /home/someone/a.h5 -o out/a.html", "wdyn analyze a.h5 -o out/a.html"),
        ("wdyn analyze '/home/some one/a b.h5'", "wdyn analyze 'a b.h5'"),
        ("wdyn analyze --output=/home/someone/a.html", "wdyn analyze --output=a.html"),
        ("wdyn 'unbalanced /home/x", "wdyn ''\"'\"'unbalanced' x"),
        ("", ""),
    ],
)
def test_no_absolute_path_is_passed_on(run_file: Path, command: str, shown: str) -> None:
    with wdyn.open_run(run_file) as run:
        assert provenance(run, run, command=command, seed=0)["command"] == shown
