"""A recording or packing process that dies, at any moment and in any way, costs at most what waited to be written."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import numpy as np
import pytest

from tests.record.children import CLOSED, CLOSING, MADE, Progress
from tests.record.known import STEP_BYTES, readable_steps, wrong_rows
from tests.torture import tell, times
from wdyn.errors import RunFileError
from wdyn.journal.lock import live_holder
from wdyn.journal.scan import segments
from wdyn.places import parts_folder
from wdyn.store.pack import pack
from wdyn.store.reader import open_run

MOMENTS = ("any", "making", "steps", "steps", "thinning", "closing", "packing", "unpacking")


class Kill:
    """One process that records, killed at one moment, and what must be there afterwards."""

    def __init__(self, zygote, path, rng):
        self.zygote, self.path, self.rng = zygote, path, rng
        self.progress, self.stride = Progress(path.with_name("progress")), 1

    def start(self, moment, *, start, **options):
        """Let a child go on with the run from step `start`, and kill it."""
        self.progress.clear()
        steps = start + int(self.rng.integers(40, 400))
        pid = self.zygote.fork(
            "train", run=str(self.path), progress=str(self.path.with_name("progress")),
            steps=steps, start=start, resume=True, **options,
        )  # fmt: skip
        self._await(moment, start)
        time.sleep(self.rng.exponential(0.001 if moment == "thinning" else 0.004))
        os.kill(pid, signal.SIGKILL)
        status = self.zygote.wait(pid)
        self.stride = max(self.stride, self.progress.stride)  # not known anew before the first update
        return status

    def _await(self, moment, start):
        """Return at about the moment, or when the child is past it."""
        phase, step = {"any": (0, 0), "making": (1, 0), "closing": (CLOSING, 0)}.get(moment, (MADE, 0))
        if moment in ("steps", "thinning"):
            step = start + int(self.rng.integers(1, 60))
        until = time.monotonic() + 600
        while self.progress.phase < phase or (self.progress.phase < CLOSING and self.progress.step < step):
            assert time.monotonic() < until
        if moment == "any":
            time.sleep(self.rng.uniform(0, 0.1))
        if moment == "packing":  # another process: it goes on when this one is killed
            while self.progress.phase < CLOSING:
                time.sleep(0.001)
            time.sleep(self.rng.uniform(0, 0.15))


def settled(path):
    """Wait for a packing process that goes on by itself."""
    until = time.monotonic() + 600
    while parts_folder(path).exists() and live_holder(parts_folder(path)) is not None:
        assert time.monotonic() < until
        time.sleep(0.01)


def left(path):
    """The steps that a kill left, after seeing that each is right; None where nothing was recorded yet."""
    if not path.exists() and not segments(parts_folder(path)):
        return None
    try:
        steps, wrong = readable_steps(path)
    except RunFileError as error:
        if "holds not even the start" in str(error) or "no step was recorded" in str(error):
            return None
        raise
    assert wrong == 0
    return steps


def assert_no_step_lost(steps, before, progress, stride):
    """All steps are there but those that waited, in a row up to the last that was written."""
    if steps is None:
        assert before is None
        assert progress.waiting + 2 >= progress.step
        return 0
    last = steps[-1]
    # one frame is being written; the steps between the strides wait in memory, or were never kept
    assert last >= progress.step - (progress.waiting + 1) - stride + 1 or last >= (before or [0])[-1]
    if stride > 1:  # a thinning that was handed over may be at work
        assert not set(range(0, last + 1, 2 * stride)) - set(steps)
    else:
        assert steps == list(range(last + 1))
    assert steps == sorted(set(steps))
    return max(progress.step - last, 0)


@pytest.mark.slow
def test_a_killed_recording_loses_at_most_what_waits_and_can_be_resumed(tmp_path, zygote):
    rng, counts, most = np.random.default_rng(1), Counter(), 0
    kills = times(8, 200)
    for number in range(kills):
        if number % 8 == 0:
            folder = tmp_path / f"run{number}"
            folder.mkdir()
            kill, steps = Kill(zygote, folder / "a.h5", rng), None
            bound = None if number % 16 else 60 * STEP_BYTES
        moment = MOMENTS[(number + number // 8) % 8]
        status = kill.start(moment, start=(steps or [0])[-1], max_bytes=bound, pack="here", pause=rng.choice([0, 2e-4]))
        before, steps = steps, left(kill.path)
        counts[f"{moment}, {'killed' if status < 0 else 'was done'}"] += 1
        if kill.progress.phase >= MADE:
            most = max(most, assert_no_step_lost(steps, before, kill.progress, kill.stride))
        assert status in (-signal.SIGKILL, 0)
        if number % 8 == 7 or number == kills - 1:
            assert_goes_on_to_the_end(kill, steps, bound)
    tell(f"{kills} kills of a recording: 0 unreadable, 0 wrong rows, 0 gaps, at most {most} steps lost, which waited")


def assert_goes_on_to_the_end(kill, steps, bound):
    start = (steps or [0])[-1]
    arguments = {"run": str(kill.path), "progress": str(kill.path.with_name("progress")), "pack": "here"}
    assert kill.zygote.run("train", **arguments, start=start, steps=start + 50, resume=True, max_bytes=bound) == 0
    with open_run(kill.path) as run:
        assert run.condition == "finished"
        assert wrong_rows(run) == 0
        assert run.steps[-1] == start + 50
        assert bound is not None or run.steps.tolist() == list(range(start + 51))
        assert not [note for note in run.notes if note["what"] in ("damaged", "gap")]
    assert sorted(os.listdir(kill.path.parent)) == ["a.h5", "progress"]


@pytest.mark.slow
def test_a_killed_packing_leaves_the_run_readable_and_is_done_again(tmp_path, zygote):
    rng, kills, done = np.random.default_rng(2), times(4, 100), 0
    for number in range(kills):
        path = tmp_path / f"run{number}" / "a.h5"
        path.parent.mkdir()
        progress = Progress(path.with_name("progress"))
        arguments = {"run": str(path), "progress": str(path.with_name("progress"))}
        assert zygote.run("train", **arguments, steps=200, end="_exit") == 3
        whole, wrong = readable_steps(path)
        progress.clear()
        pid = zygote.fork("pack", **arguments)
        while not progress.phase:
            pass
        time.sleep(rng.uniform(0, 0.08))
        os.kill(pid, signal.SIGKILL)
        zygote.wait(pid)
        assert readable_steps(path) == (whole, wrong) == (whole, 0)
        done += progress.phase == CLOSED
        pack(path)
        assert readable_steps(path) == (whole, 0)
        assert sorted(os.listdir(path.parent)) == ["a.h5", "progress"]
    tell(f"{kills} kills of a packing process ({done} of them too late): 0 unreadable, 0 wrong rows, 0 lost steps")


@pytest.mark.parametrize(
    ("end", "status"),
    [("SIGTERM", -signal.SIGTERM), ("SIGHUP", -signal.SIGHUP), ("SIGINT", -signal.SIGINT), ("SIGABRT", -signal.SIGABRT),
     ("raise", 1), ("_exit", 3), ("abort", -signal.SIGABRT)],
)  # fmt: skip
@pytest.mark.slow
def test_other_ways_to_die_lose_no_more(tmp_path, zygote, end, status):
    path, progress = tmp_path / "a.h5", Progress(tmp_path / "progress")
    signalled = end.startswith("SIG")
    steps = 1_000_000 if signalled else 300
    arguments = {"run": str(path), "progress": str(tmp_path / "progress"), "pack": "here"}
    pid = zygote.fork("train", **arguments, steps=steps, end=end)
    if signalled:
        while progress.step < 100:
            pass
        os.kill(pid, getattr(signal, end))
    assert zygote.wait(pid) == status
    steps = left(path)
    lost = assert_no_step_lost(steps, None, progress, 1)
    if end in ("raise", "SIGINT"):  # the interpreter ends in order, and closes the Recorder
        assert lost == 0
        with open_run(path) as run:
            assert run.condition == "finished"
        assert path.exists()
    assert zygote.run("train", **arguments, start=steps[-1], steps=steps[-1] + 20, resume=True) == 0
    assert left(path) == list(range(steps[-1] + 21))
