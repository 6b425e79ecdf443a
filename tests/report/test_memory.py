"""An analysis holds a block of steps at a time, so that its memory does not grow with the run."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import wdyn
from tests.make_run import make_run
from wdyn.analyses import _neurons, load, names
from wdyn.analyses._spec import Analysis
from wdyn.report import jobs
from wdyn.report.sections import make_section
from wdyn.store.run import Run

STEPS, SHAPE = 1600, (20, 300)
RUN_BYTES = STEPS * 4 * 20 * 300  # 38 MB, in 50 blocks
# Work arrays and the directions of 30 steps come to 1 to 10 MB, however long the run.
MOST_BYTES = RUN_BYTES * 0.4

FROM_WEIGHTS = [
    name
    for name in names()
    if load(name).takes == "run" and load(name).needs <= {"layers"} and name != "umap"  # reads as `pca` does
]


@pytest.fixture(autouse=True)
def small_work_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_neurons, "WORK_NUMBERS", 2**16)  # as small beside this run as the real ones beside a real run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    start, way = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    steps = {step: {"fc.weight": start + np.float32(step / STEPS) * way} for step in range(STEPS)}
    path: Path = make_run(tmp_path_factory.mktemp("memory") / "long.h5", steps)
    with wdyn.open_run(path) as opened:
        yield opened


def peak(analysis: Analysis, run: Run) -> int:
    """Most bytes that Python and numpy hold at once for one analysis."""
    make_section("warm", analysis, run.select(steps=[0, 1]))  # what is imported stays, and is not meant
    tracemalloc.start()
    try:
        section = make_section("measured", analysis, run)
        assert section.status == "ok", section.reason
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", FROM_WEIGHTS)
def test_memory_stays_far_below_the_size_of_the_run(name: str, run: Run) -> None:
    assert peak(load(name), run) < MOST_BYTES


def whole(run: Run) -> int:
    """What no analysis may do."""
    return len(np.concatenate([block for _, block in run.blocks("fc")]))


def one_block_kept_too_long(run: Run) -> int:
    """The least that a careless loop does: two blocks at once."""
    return sum(len(a) + len(b) for (_, a), (_, b) in pairwise(run.blocks("fc")))


def test_a_run_read_as_a_whole_would_be_noticed(run: Run) -> None:
    careless = Analysis("Careless", whole, lambda result: [], reading="")
    assert peak(careless, run) > 2 * MOST_BYTES
    fine = Analysis("Fine", one_block_kept_too_long, lambda result: [], reading="")
    assert peak(fine, run) < MOST_BYTES


def test_what_all_processes_keep_together_fits_beside_the_work() -> None:
    assert jobs.KEPT_BYTES <= 2**29  # a page of a 20 GB run took below 2 GB with it, see benchmarks/bench_memory.py
