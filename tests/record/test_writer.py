# ruff: noqa: PT031, SIM117 - a warning may come at any moment of a training, its end included
"""What reaches the disk: all of it where the disk allows, and a word on what it refused."""

from __future__ import annotations

import os
import re
import signal
import threading
import time

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

from tests.record.frames import read
from tests.record.training import raw, small, train, update
from wdyn.journal.append import SegmentWriter
from wdyn.journal.frame import Kind, decode
from wdyn.journal.scan import read_schema, scan, segments
from wdyn.journal.schema import Schema, TensorSpec
from wdyn.places import parts_folder
from wdyn.record import journal as journal_of_a_run
from wdyn.record import writer
from wdyn.record.journal import Journal
from wdyn.record.missing import Missing
from wdyn.record.recorder import Recorder

SCHEMA = Schema((TensorSpec("w", "weight", "float32", (2,)),), {})


class Disk:
    """A disk that refuses frames of some kinds and steps, after half of the bytes."""

    def __init__(self, monkeypatch):
        self.refuse = lambda kind, step: False
        self.write = os.writev
        monkeypatch.setattr(os, "writev", self.writev)
        monkeypatch.setattr(journal_of_a_run, "FIRST_PAUSE", 0.0)
        monkeypatch.setattr(journal_of_a_run, "LONGEST_PAUSE", 0.0)

    def writev(self, descriptor, parts):
        header = decode(parts[0])
        if self.refuse(header.kind, header.step):
            os.write(descriptor, bytes(parts[1])[: len(parts[1]) // 2])
            raise OSError(28, "No space left on device")
        return self.write(descriptor, parts)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def test_a_full_disk_costs_only_the_steps_it_refused(tmp_path, disk):
    disk.refuse = lambda kind, step: kind is Kind.STEP and (3 <= step <= 5 or step == 8)
    model = small()
    with pytest.warns(UserWarning, match=r"tries again|are missing") as caught:
        with Recorder(model, tmp_path / "a.h5") as rec:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            seen = [raw(model)]
            for _ in range(10):
                update(model, optimizer)
                seen.append(raw(model))
                while rec._tape.writer._queue.qsize():  # so that the trouble is known before the next step
                    time.sleep(0.001)
                time.sleep(0.005)
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 1, 2, 6, 7, 9, 10]
    assert all(found.steps[k] == seen[k] for k in found.order)
    gaps = [note["steps"] for _, note in found.notes if note["what"] == "gap"]
    assert gaps == [[3, 5], [8, 8]]
    assert "No space left" in found.notes[0][1]["reason"]
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == 2
    assert "3 steps from 3 to 5 (gap" in texts[1]
    assert "step 8 (gap" in texts[1]


def test_a_disk_that_stays_full(tmp_path, disk):
    disk.refuse = lambda kind, step: kind is not Kind.SCHEMA and step > 1
    model = small()
    with pytest.warns(UserWarning, match="tries again|missing") as caught, Recorder(model, tmp_path / "a.h5") as rec:
        train(model, 5)
        rec.log(loss=1.0)
    assert re.search(r"are missing: 4 steps from 2 to 5 \(gap: .*\); what 1 calls of log", str(caught[-1].message))
    assert read(tmp_path / "a.h5").order == [0, 1]


def test_the_disk_is_left_alone_for_a_while(tmp_path, monkeypatch, disk):
    monkeypatch.setattr(journal_of_a_run, "FIRST_PAUSE", 5.0)
    monkeypatch.setattr(journal_of_a_run, "LONGEST_PAUSE", 12.0)
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    journal = Journal(tmp_path, SCHEMA)
    disk.refuse = lambda kind, step: True

    def take(step):
        return journal.write(Kind.STEP, bytes(8), step=step, time_=0.0)

    assert not take(1)
    now[0] += 4.9
    disk.refuse = lambda kind, step: False
    assert not take(2)  # still silent
    now[0] += 0.2
    disk.refuse = lambda kind, step: True
    assert not take(3)  # tried, and silent for twice as long
    now[0] += 9.9
    disk.refuse = lambda kind, step: False
    assert not take(4)
    now[0] += 0.2
    assert take(5)
    assert journal.missing == [Missing("gap", "[Errno 28] No space left on device", 1, 4, 4)]
    journal.close(5)
    kinds = [frame.header.kind for frame in scan(segments(tmp_path)[0])]
    assert kinds == [Kind.SCHEMA, Kind.STEP, Kind.NOTE, Kind.NOTE]


def test_a_step_is_not_written_without_its_masks(tmp_path, disk):
    refused = []
    disk.refuse = lambda kind, step: kind is Kind.MASKS and not refused and not refused.append(step)
    model = small()
    with pytest.warns(UserWarning, match="tries again|missing"), Recorder(model, tmp_path / "a.h5"):
        train(model, 2)
        prune.random_unstructured(model[0], "weight", amount=3)
        train(model, 2)
    found = read(tmp_path / "a.h5")
    assert refused == [3]
    assert found.order == [0, 1, 2, 4]
    assert list(found.masks) == [4]


def test_segments_rotate_and_each_can_be_read_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_of_a_run, "SEGMENT_SIZE", 4_000)
    model = small()
    with Recorder(model, tmp_path / "a.h5"):
        seen = train(model, 60)
    paths = segments(parts_folder(tmp_path / "a.h5"))
    assert len(paths) > 2
    assert [path.name for path in paths] == [f"seg-{i:06d}.wdj" for i in range(len(paths))]
    for path in paths:
        frames = scan(path)
        assert read_schema(frames) == read(tmp_path / "a.h5").schema
        assert path.stat().st_size < 4_000 + 1_000
    found = read(tmp_path / "a.h5")
    assert [found.steps[k] for k in range(61)] == seen


def test_each_segment_says_which_masks_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_of_a_run, "SEGMENT_SIZE", 2_000)
    model = small()
    prunings = {0: None, 20: (model[0], 5), 45: (model[2], 2)}
    with Recorder(model, tmp_path / "a.h5") as rec:
        for step in range(60):
            if prunings.get(step):
                prune.random_unstructured(prunings[step][0], "weight", amount=prunings[step][1])
            if step == 55:
                prune.remove(model[0], "weight")
                prune.remove(model[2], "weight")
            train(model, 1)
            rec.log(loss=1.0)
    said, alone = {}, {}  # what a reader of all segments knows of each step, and one of its own segment only
    paths = segments(parts_folder(tmp_path / "a.h5"))
    masks = b""
    assert len(paths) > 5
    for path in paths:
        own = b""
        frames = scan(path)
        for at, frame in enumerate(frames):
            if frame.header.kind is Kind.MASKS:
                masks = own = frame.read()
                following = next(each for each in frames[at:] if each.header.kind is Kind.STEP)
                assert frame.header.step == following.header.step
            elif frame.header.kind is Kind.STEP:
                said[frame.header.step], alone[frame.header.step] = masks, own
        if said[min(each.header.step for each in frames if each.header.kind is Kind.STEP)]:
            assert frames[1].header.kind is Kind.MASKS
    assert alone == said
    assert [len({said[k] for k in steps}) for steps in (range(21), range(21, 46), range(46, 56))] == [1, 1, 1]
    assert len(set(said.values())) == 4


def test_a_segment_whose_masks_were_refused_gets_them_with_the_next_step(tmp_path, monkeypatch, disk):
    monkeypatch.setattr(journal_of_a_run, "SEGMENT_SIZE", 2_000)
    journal = Journal(tmp_path, SCHEMA)
    journal.write(Kind.MASKS, b"now", step=0, time_=0.0)
    refused = []
    disk.refuse = lambda kind, step: kind is Kind.MASKS and not refused and not refused.append(step)
    for step in range(40):
        journal.write(Kind.STEP, bytes(8), step=step, time_=0.0)
    journal.close(39)
    frames = [frame for frame in scan(segments(tmp_path)[1]) if frame.header.kind is not Kind.NOTE]
    assert [frame.header.kind for frame in frames[:3]] == [Kind.SCHEMA, Kind.MASKS, Kind.STEP]
    assert [frame.header.step for frame in frames[1:3]] == [refused[0] + 1] * 2
    assert frames[1].read() == b"now"


@pytest.mark.parametrize("late", [True, False])
def test_a_sample_that_the_disk_refuses_costs_no_step_and_is_tried_again(tmp_path, monkeypatch, disk, late):
    monkeypatch.setattr(journal_of_a_run, "FIRST_PAUSE", 3600.0)
    refused = []
    disk.refuse = lambda kind, step: kind is Kind.SAMPLE and not (late and refused) and not refused.append(step)
    model, sample = small(), (torch.randn(6, 4), torch.arange(6))
    with pytest.warns(UserWarning, match="write|missing") as caught:
        with Recorder(model, tmp_path / "a.h5", sample=sample):
            train(model, 2)
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 1, 2]
    texts = [str(warning.message) for warning in caught]
    if late:
        assert "writing sample failed" in texts[0]
        np.testing.assert_array_equal(found.sample["inputs"], sample[0].numpy())
        assert not any("are missing" in text for text in texts)
    else:
        assert found.sample is None
        assert texts[-1].endswith("these are missing: the sample.")


def test_lost_notes_and_scalars_are_counted_and_cost_no_step(tmp_path, monkeypatch, disk):
    monkeypatch.setattr(journal_of_a_run, "FIRST_PAUSE", 3600.0)
    disk.refuse = lambda kind, step: kind in (Kind.METRICS, Kind.NOTE)
    model = small()
    with pytest.warns(UserWarning, match="write|missing") as caught, Recorder(model, tmp_path / "a.h5") as rec:
        for _ in range(3):
            train(model, 1)
            rec.log(loss=1.0)
    assert read(tmp_path / "a.h5").order == [0, 1, 2, 3]
    text = "these are missing: what 3 calls of log() gave; 3 notes on the recording."  # of optimizer, program and end
    assert str(caught[-1].message).endswith(text)


def test_the_note_of_a_gap_that_is_never_written_is_counted_once(tmp_path, disk):
    disk.refuse = lambda kind, step: kind is Kind.NOTE or (kind is Kind.STEP and step == 1)
    journal = Journal(tmp_path, SCHEMA)
    for step in range(5):
        journal.write(Kind.STEP, bytes(8), step=step, time_=0.0)
    journal.close(4)
    assert journal.lost_notes == 2  # the gap's and the end's


def test_steps_missing_for_different_reasons_are_told_apart():
    row = Missing("gap", "out of memory", 1, 1)
    assert row.extend(Missing("gap", "out of memory", 2, 2))
    assert not row.extend(Missing("gap", "no space", 3, 3))
    assert not row.extend(Missing("skipped", "out of memory", 3, 3))
    assert row == Missing("gap", "out of memory", 1, 2, 2)


def test_scalars_do_not_pile_up_while_the_disk_is_stuck(tmp_path, monkeypatch):
    gate = threading.Event()
    append = SegmentWriter.append

    def stuck(self, kind, *args, **kwargs):
        if kind is Kind.STEP:
            gate.wait(30)
        append(self, kind, *args, **kwargs)

    monkeypatch.setattr(SegmentWriter, "append", stuck)
    monkeypatch.setattr(writer, "MOST_WAITING", 50)
    with pytest.warns(UserWarning, match=r"are missing: what 4\d calls of log\(\) gave"):
        with Recorder(small(), tmp_path / "a.h5") as rec:
            rec.step()
            for i in range(90):
                rec.log(loss=float(i))
            assert rec._tape.writer._queue.qsize() <= 50
            gate.set()
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 1]
    assert [values["loss"] for _, values in found.metrics] == [float(i) for i in range(len(found.metrics))]


def test_skip_never_waits_and_says_what_it_skipped(tmp_path, monkeypatch):
    gate = threading.Event()
    append = SegmentWriter.append

    def slow(self, kind, *args, **kwargs):
        if kind is Kind.STEP:
            gate.wait(30)
        append(self, kind, *args, **kwargs)

    monkeypatch.setattr(SegmentWriter, "append", slow)
    monkeypatch.setattr("wdyn.record.snapshot.SPARE_MEMORY", 0)  # two buffers
    model = small()
    with pytest.warns(UserWarning, match=r"missing: 6 steps from 3 to 8 \(skipped"):
        with Recorder(model, tmp_path / "a.h5", when_behind="skip") as rec:
            before = threading.Timer(0.2, gate.set)  # the first step waits for a buffer: step 0 must be kept
            before.start()
            seen = train(model, 1)
            before.join()
            while len(rec._tape.camera.pool._free) < 2:
                time.sleep(0.001)
            gate.clear()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            rec._tape.camera.pool.take(wait=True, pinned=False)
            for _ in range(7):
                update(model, optimizer)
                seen.append(raw(model))
            gate.set()
            while not rec._tape.camera.pool._free:
                time.sleep(0.001)
            update(model, optimizer)
            seen.append(raw(model))
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 1, 2, 9]
    assert [found.steps[k] for k in found.order] == [seen[k] for k in found.order]
    assert next(note for _, note in found.notes) == {
        "what": "skipped", "reason": "the disk was slower than the training", "steps": [3, 8],
    }  # fmt: skip


def test_wait_loses_nothing_with_a_slow_disk(tmp_path, monkeypatch):
    append = SegmentWriter.append

    def slow(self, *args, **kwargs):
        time.sleep(0.01)
        append(self, *args, **kwargs)

    monkeypatch.setattr(SegmentWriter, "append", slow)
    monkeypatch.setattr("wdyn.record.snapshot.SPARE_MEMORY", 0)
    model = small()
    with Recorder(model, tmp_path / "a.h5"):
        seen = train(model, 15)
    found = read(tmp_path / "a.h5")
    assert [found.steps[k] for k in range(16)] == seen


def test_an_unforeseen_error_in_the_thread_does_not_stop_training(tmp_path, monkeypatch):
    append = SegmentWriter.append

    def broken(self, kind, payload, *, step, time):
        if kind is Kind.STEP and 2 <= step <= 3:
            raise RuntimeError("a bug")
        append(self, kind, payload, step=step, time=time)

    monkeypatch.setattr(SegmentWriter, "append", broken)
    monkeypatch.setattr(journal_of_a_run, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr("wdyn.record.snapshot.SPARE_MEMORY", 0)
    model = small()
    with pytest.warns(UserWarning, match="a bug"), Recorder(model, tmp_path / "a.h5"):
        train(model, 6)
    assert read(tmp_path / "a.h5").order == [0, 1, 4, 5, 6]


def test_an_error_while_copying_is_a_gap(tmp_path, monkeypatch):
    copy = torch._foreach_copy_
    calls = []

    def failing(*args, **kwargs):
        calls.append(1)
        if len(calls) == 5:  # three before training, then steps 1 and 2
            raise RuntimeError("out of memory")
        return copy(*args, **kwargs)

    monkeypatch.setattr(torch, "_foreach_copy_", failing)
    model = small()
    with pytest.warns(UserWarning, match="out of memory"), Recorder(model, tmp_path / "a.h5"):
        train(model, 3)
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 1, 3]
    assert found.notes[0][1]["steps"] == [2, 2]


def test_written_steps_reach_the_disk_every_30_seconds(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(SegmentWriter, "sync", lambda self: synced.append(self.frames))
    monkeypatch.setattr(journal_of_a_run, "SYNC_EVERY", 0.05)
    model = small()
    with Recorder(model, tmp_path / "a.h5"):
        train(model, 3)
        due = time.monotonic() + 600
        while not synced or synced[-1] < 5:  # the schema and steps 0 to 3, with nothing written after them
            assert time.monotonic() < due
            time.sleep(0.005)


def test_a_close_that_was_interrupted_waits_the_next_time(tmp_path, monkeypatch):
    path, model, going = tmp_path / "a.h5", small(), threading.Event()
    append = SegmentWriter.append

    def slow(*args, **options):
        if threading.current_thread() is not threading.main_thread():
            going.wait()
        append(*args, **options)

    rec = Recorder(model, path)
    monkeypatch.setattr(SegmentWriter, "append", slow)
    train(model, 4)

    def close_interrupted():
        threading.Timer(0.2, signal.pthread_kill, [threading.get_ident(), signal.SIGINT]).start()
        rec.close()

    with pytest.raises(KeyboardInterrupt):
        close_interrupted()
    threading.Timer(0.2, going.set).start()
    rec.close()
    assert read(path).order == [0, 1, 2, 3, 4]
