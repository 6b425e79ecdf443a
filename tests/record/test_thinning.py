"""A record of bounded size: evenly spread over the run, whatever its length, and never above its bound for long."""

# ruff: noqa: SIM117 - a warning may come at any moment of a training, its end included
from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

from tests.record.known import STEP_BYTES, Follow, Known, wrong_rows
from tests.record.test_resume import Training, assert_holds, killed
from tests.record.training import small
from wdyn.errors import MisuseError, RunFileError
from wdyn.journal import thin
from wdyn.journal.scan import segments
from wdyn.places import parts_folder
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import every, log_spaced
from wdyn.record.thinning import Thinning, steps_that_fit
from wdyn.store.reader import open_run

STEP = 4 * (4 * 3 + 3 + 3 * 2 + 2)  # bytes of `small`


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch):
    """Thousands of syncs took a third of the time; what each of them is for, test_crash_points.py shows."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda _: None, raising=False)


def bytes_of(path):
    return sum(each.stat().st_size for each in segments(parts_folder(path)))


@pytest.mark.parametrize("length", [1, 8, 9, 16, 17, 100, 1000, 4097])
@pytest.mark.parametrize("most", [8, 9, 31])
def test_kept_steps_are_every_stride_th_and_between_half_of_what_fits_and_all(length, most):
    thinning, kept = Thinning(most), []
    for step in range(length):
        if thinning.admits():
            kept.append(step)
            if (thinned := thinning.keep(step)) is not None:
                assert thinned.count == len(kept)
                kept = [each for each in kept if each in thinned.keep]
    assert kept == list(range(0, length, thinning.stride))
    assert len(kept) <= most
    assert thinning.stride == 1 or len(kept) >= most // 2


@pytest.mark.parametrize("steps", [5, 60, 333])
def test_a_bounded_run_holds_evenly_spread_steps_and_the_last(tmp_path, steps):
    path, training, bound = tmp_path / "a.h5", Training(), 40 * STEP
    with Recorder(training.model, path, max_bytes=bound) as rec:
        training.go(steps)
        rec.log(loss=1.0)
    most = steps_that_fit(bound, STEP)
    stride = next(stride for stride in (1, 2, 4, 8, 16) if steps // stride + 1 <= most)
    assert_holds(path, training.seen, sorted({*range(0, steps + 1, stride), steps}))
    with open_run(path) as run:
        strides = [note["stride"] for note in run.notes if note["what"] == "thinned"]
        assert strides == [2**n for n in range(1, 5) if 2**n <= stride]
        assert not [note for note in run.notes if note["what"] in ("damaged", "gap", "skipped")]
        assert run.metrics["loss"].steps.tolist() == [steps]


def test_the_bytes_of_the_steps_stay_within_the_bound(tmp_path):
    model = torch.nn.Linear(100, 50)
    size = 4 * 5050
    path, training, bound = tmp_path / "a.h5", Training(model, momentum=0.0), 30 * size
    sizes = []
    with Recorder(model, path, max_bytes=bound, program=False) as rec:
        for step in range(200):
            torch.manual_seed(step)
            training.optimizer.zero_grad()
            model(torch.randn(5, 100)).square().mean().backward()
            training.optimizer.step()
            while rec._tape.writer._queue.qsize():
                pass
            sizes.append(bytes_of(path))
    small_frames = 20_000  # a schema per segment, notes
    assert max(sizes) <= bound + small_frames
    assert min(sizes[100:]) >= bound // 3


def test_the_schedule_is_thinned_and_not_the_training(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    with Recorder(training.model, path, max_bytes=11 * STEP, schedule=log_spaced(10)):
        training.go(150)
    kept = [step for step in range(151) if log_spaced(10)(step)]
    with open_run(path) as run:
        steps = run.steps.tolist()
    stride = next(stride for stride in (1, 2, 4, 8) if len(kept[::stride]) <= steps_that_fit(11 * STEP, STEP))
    assert steps == sorted({*kept[::stride], kept[-1]})


def test_masks_hold_whichever_steps_stay(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    masks = {}
    with Recorder(training.model, path, max_bytes=20 * STEP):
        for _ in range(6):
            prune.random_unstructured(training.model[0], "weight", 1)
            training.go(11)
            masks[training.step] = training.model[0].weight_mask.numpy() != 0
    with open_run(path) as run:
        for step in run.steps.tolist():
            if step:
                held = masks[-(-step // 11) * 11]
                np.testing.assert_array_equal(run.masks(step)["0.weight"], held)


def test_a_bounded_run_that_is_resumed_stays_even(tmp_path):
    path, training, bound = tmp_path / "a.h5", Training(), 20 * STEP
    rec = Recorder(training.model, path, max_bytes=bound)
    training.go(50)
    killed(rec)
    with open_run(path) as run:
        there = run.steps.tolist()
    training.back_to(there[-1])
    with Recorder(training.model, path, max_bytes=bound, resume=True):
        training.go(70)
    with open_run(path) as run:
        steps = run.steps.tolist()
    assert set(np.diff(steps[:-1])) == {8}
    assert_holds(path, training.seen, steps)


@pytest.mark.parametrize("back", [0, 5, 17])
@pytest.mark.parametrize("died_after", [0, 1, 2])
def test_a_recording_that_died_while_it_thinned_is_even_again_once_resumed(tmp_path, monkeypatch, died_after, back):
    path, bound, thinned = tmp_path / "a.h5", 40 * STEP_BYTES, []
    most = steps_that_fit(bound, STEP_BYTES)

    def thin_some(segment, *, keep):
        thinned.append(segment)
        if len(thinned) <= died_after:
            thin.thin_segment(segment, keep=keep)

    def go(start, steps):
        model = Known(start)
        optimizer = Follow(model)
        rec = Recorder(model, path, max_bytes=bound, resume=True)
        assert rec.step_count == start
        for _ in range(steps):
            optimizer.step()
        killed(rec)
        with open_run(path) as run:
            assert wrong_rows(run) == 0
            return run.steps.tolist(), [note["stride"] for note in run.notes if note["what"] == "thinned"]

    monkeypatch.setattr("wdyn.record.journal.thin_segment", thin_some)
    monkeypatch.setattr("wdyn.record.opening.SEGMENT_SIZE", 1)  # a segment for each step
    steps, strides = go(0, most + 3)
    assert strides == [2]
    monkeypatch.undo()
    starts = []
    for at in (-1 - back, -1, -1):
        starts.append(steps[at])
        steps, strides = go(steps[at], 60)
        assert set(range(0, steps[-1] + 1, strides[-1])) <= set(steps)
        assert len(set(steps) - set(starts)) <= most  # where it was resumed, a step may stand between the others


def test_a_disk_that_refuses_to_thin_costs_nothing_that_was_recorded(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wdyn.record.journal.thin_segment", full)
    path, training = tmp_path / "a.h5", Training()
    with pytest.warns(UserWarning, match=r"thinning failed .*No space"):
        with Recorder(training.model, path, max_bytes=11 * STEP):
            training.go(12)
    with open_run(path) as run:
        assert run.steps.tolist() == [*range(11), 12]


def test_thinning_without_memory_does_not_end_the_recording(tmp_path, monkeypatch):
    def too_much(*_, **__):
        raise MemoryError("too much")

    monkeypatch.setattr("wdyn.record.journal.thin_segment", too_much)
    path, training = tmp_path / "a.h5", Training()
    with pytest.warns(UserWarning, match=r"thinning failed .*too much"):
        with Recorder(training.model, path, max_bytes=11 * STEP):
            training.go(12)
    assert_holds(path, training.seen, [*range(11), 12])


@pytest.mark.parametrize("at", ["SegmentWriter.append", "SegmentWriter.close", "os.replace"])
def test_thinning_that_breaks_off_leaves_the_segment(tmp_path, monkeypatch, at):
    path, training = tmp_path / "a.h5", Training()
    rec = Recorder(training.model, path)
    training.go(5)
    killed(rec)
    segment = segments(parts_folder(path))[0]
    before = segment.read_bytes()

    def broken(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(f"wdyn.journal.thin.{at}", broken)
    with pytest.raises(OSError, match="Input/output"):
        thin.thin_segment(segment, keep={0, 2})
    monkeypatch.undo()
    assert segment.read_bytes() == before
    assert not list(segment.parent.glob(f"*{thin.SUFFIX}"))
    thin.thin_segment(segment, keep={0, 2})
    assert_holds(path, training.seen, [0, 2])


def test_a_run_opened_before_it_was_thinned_says_so(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    with Recorder(training.model, path):
        training.go(5)
    with open_run(path) as run:
        thin.thin_segment(segments(parts_folder(path))[0], keep={0, 2})
        with pytest.raises(RunFileError, match=r"thinned .*Open the run again"):
            run.state(4)


def test_a_run_opened_before_it_was_thinned_twice_says_so(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    with Recorder(training.model, path):
        training.go(9)
    run = open_run(path)
    run.neurons("0", 2)  # checked once, and not again
    run.close()
    segment = segments(parts_folder(path))[0]
    for every_so_many in (2, 4):  # the second may take the number of the file that the first has deleted
        thin.thin_segment(segment, keep=range(0, 10, every_so_many))
    with pytest.raises(RunFileError, match=r"thinned .*Open the run again"):
        run.neurons("0", 2)


@pytest.mark.parametrize("bound", [0, -5, 8 * STEP, "1 GB", 1.5])
def test_a_bound_that_cannot_work_is_refused(tmp_path, bound):
    with pytest.raises(MisuseError, match="max_bytes"):
        Recorder(small(), tmp_path / "a.h5", max_bytes=bound)
    assert not list(tmp_path.iterdir())


def test_the_least_bound_named_works(tmp_path):
    with pytest.raises(MisuseError, match=r"Give at least (\d+)") as caught:
        Recorder(small(), tmp_path / "a.h5", max_bytes=1)
    least = int(str(caught.value).split("at least ")[1].split(",")[0])
    training = Training()
    with Recorder(training.model, tmp_path / "a.h5", max_bytes=least, schedule=every(3)):
        training.go(60)
