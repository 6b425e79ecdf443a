"""Any number of processes gives the same report, and none of them outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wdyn
from tests.make_run import make_run
from wdyn.analyses import load
from wdyn.analyses._spec import Analysis, Result
from wdyn.errors import MisuseError
from wdyn.report import jobs as jobs_module
from wdyn.report.build import build_report
from wdyn.report.jobs import compute_sections

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_file(tmp_path: Path, rng: np.random.Generator) -> Path:
    steps = {
        step: {"fc1.weight": rng.normal(size=(30, 20)).astype("f4"), "a[1].weight": np.eye(5, 30, dtype="f4")}
        for step in range(0, 80, 2)
    }
    return make_run(tmp_path / "a.h5", steps)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "jobs", "only"),
    [("html", 2, ()), ("json", 2, ()), ("html", 40, ("frame_potential", "norms", "similarity"))],  # more than there are
)
def test_the_same_bytes_with_any_number_of_processes(
    run_file: Path, tmp_path: Path, kind: Any, jobs: int, only: tuple[str, ...]
) -> None:
    one, several = (
        build_report(run_file, kind=kind, quick=True, only=only, jobs=count, out=tmp_path / f"{count}").read_bytes()
        for count in (1, jobs)
    )
    assert one == several


@pytest.mark.slow
def test_each_process_analyses_the_selected_layers_and_steps_and_each_end_is_told(run_file: Path) -> None:
    told: list[float] = []
    chosen = {name: load(name) for name in ("norms", "frame_potential")}
    with wdyn.open_run(run_file) as whole:
        run = whole.select(layers="a?1?", steps=slice(10, 40, 3))
        sections = compute_sections(run, chosen, jobs=2, progress=lambda _, fraction: told.append(fraction))
    assert [section.name for section in sections] == ["norms", "frame_potential"]
    for section in sections:
        assert section.result.layers == ("a[1]",)
        assert section.result.steps.tolist() == [10, 16, 22, 28, 34]
    assert told == [0, 1 / 3, 2 / 3, 2 / 3]
    assert not [each for each in Path("/proc").glob("[0-9]*/stat") if _is_worker_of_ours(each.parent)]


def test_no_process_at_all_is_misuse(run_file: Path) -> None:
    with wdyn.open_run(run_file) as run, pytest.raises(MisuseError, match="at least 1"):
        compute_sections(run, {}, jobs=0)


def test_linear_algebra_in_this_process_takes_one_thread(run_file: Path) -> None:
    from threadpoolctl import threadpool_info

    def compute(run: Any) -> Result:
        threads.extend(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")
        return Result(run.name, run.steps, tuple(run.layers))

    threads: list[int] = []
    with wdyn.open_run(run_file) as run:
        compute_sections(run, {"a": Analysis("A", compute, charts=lambda result: [], reading="R.")})
    assert threads
    assert set(threads) == {1}


@pytest.mark.slow
def test_a_killed_process_is_told_in_one_sentence(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "_section", _die)
    chosen = {name: load(name) for name in ("norms", "frame_potential")}
    with wdyn.open_run(run_file) as run, pytest.raises(MisuseError, match="one of 2 processes was killed"):
        compute_sections(run, chosen, jobs=2)


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


ENDLESS = """
import time
from wdyn.analyses._spec import Analysis

def compute(run):
    open("started", "a").write("x")
    time.sleep(600)

ANALYSIS = Analysis("Endless", compute, charts=lambda result: [], reading="It never ends.")
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("whole_group", [True, False], ids=["as a terminal does", "only the command"])
def test_an_interrupt_leaves_no_process_and_no_file(run_file: Path, tmp_path: Path, whole_group: bool) -> None:
    folder = tmp_path / "endless-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: endless\nVersion: 1\n")
    (folder / "entry_points.txt").write_text(
        "[wdyn.analyses]\nendless = endless:ANALYSIS\nforever = endless:ANALYSIS\n"
    )
    (tmp_path / "endless.py").write_text(ENDLESS)
    words = ["analyze", str(run_file), "--jobs", "2", "--only", "endless", "--only", "forever"]
    command = subprocess.Popen(
        [sys.executable, "-c", "from wdyn_cli.main import main; main()", *words],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": f"{ROOT}/src:{ROOT}/cli:{tmp_path}"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        _wait(lambda: (tmp_path / "started").exists() and len((tmp_path / "started").read_text()) == 2)
        (os.killpg if whole_group else os.kill)(command.pid, signal.SIGINT)
        out, errors = command.communicate(timeout=300)
        assert command.returncode == 130
        assert out == ""
        assert errors.splitlines()[-1].startswith("interrupted")
        assert "Traceback" not in errors
        _wait(lambda: not _session(command.pid))
    finally:
        for process in _session(command.pid):
            os.kill(process, signal.SIGKILL)
    assert not (tmp_path / "reports").exists()


def _is_worker_of_ours(process: Path) -> bool:
    try:
        parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        return parent == os.getpid() and "LokyProcess" in (process / "cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _wait(condition: Any, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def _session(leader: int) -> list[int]:
    """Living processes of a session; field 6 of stat, counted after the name, which may hold anything."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found
