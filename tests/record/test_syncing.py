"""A slow disk's syncs hold nobody up, and nothing is closed before it is synced."""

from __future__ import annotations

import threading
import time

from tests.record.frames import read
from tests.record.training import small, train
from wdyn.journal.append import SegmentWriter
from wdyn.record import journal as journal_of_a_run
from wdyn.record.recorder import Recorder
from wdyn.record.syncing import MOST_WAITING, Syncer


def test_writing_goes_on_while_a_segment_is_synced(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_of_a_run, "SEGMENT_SIZE", 3_000)
    go_on, waiting, sync = threading.Event(), [], SegmentWriter.sync

    def slow(self):
        if not go_on.is_set():
            waiting.append(self.path.name)
            assert go_on.wait(30)
        sync(self)

    monkeypatch.setattr(SegmentWriter, "sync", slow)
    model = small()
    with Recorder(model, tmp_path / "a.h5") as rec:
        train(model, 15)  # into the second segment
        due = time.monotonic() + 600
        while rec._tape.camera.pool.in_use > 1 or not waiting:  # one buffer is the Recorder's until training begins
            assert time.monotonic() < due
            time.sleep(0.001)
        assert waiting == ["seg-000000.wdj"]
        assert read(tmp_path / "a.h5").order == list(range(16))
        go_on.set()
    assert read(tmp_path / "a.h5").notes[-1][1]["what"] == "closed"


def test_no_thread_outlives_a_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_of_a_run, "SEGMENT_SIZE", 3_000)  # so that segments are synced
    before = set(threading.enumerate())
    model = small()
    with Recorder(model, tmp_path / "a.h5"):
        train(model, 15)
        due = time.monotonic() + 600  # the writer may be behind
        while not {"wdyn-writer", "wdyn-syncer"} <= {thread.name for thread in set(threading.enumerate()) - before}:
            assert time.monotonic() < due
            time.sleep(0.001)
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
    assert set(threading.enumerate()) <= before


def test_a_disk_far_behind_is_waited_for():
    go_on, done = threading.Event(), []
    syncer = Syncer(done.append)
    for number in range(MOST_WAITING + 1):  # one at work, the others waiting
        syncer.hand_over(lambda number=number: (go_on.wait(30), done.append(number)))
    late = threading.Thread(target=lambda: syncer.hand_over(lambda: done.append("late")))
    late.start()
    late.join(0.2)
    assert late.is_alive()
    go_on.set()
    late.join(30)
    syncer.wait()
    assert done == [*range(MOST_WAITING + 1), "late"]


def test_what_the_disk_refuses_is_told_and_the_next_is_tried():
    def refused():
        raise OSError(5, "Input/output error")

    told, done = [], []
    syncer = Syncer(told.append)
    syncer.hand_over(refused)
    syncer.hand_over(lambda: done.append(True))
    syncer.wait()
    assert [str(each) for each in told] == ["[Errno 5] Input/output error"]
    assert done == [True]


def test_where_no_thread_can_be_started_it_is_done_at_once(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = []
    syncer = Syncer(done.append)
    syncer.hand_over(lambda: done.append(True))
    syncer.wait()
    assert done == [True]
