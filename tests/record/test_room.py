"""What a disk has left is said early, once, and only where it matters."""

# ruff: noqa: PT031, SIM117 - a warning may come at any moment of a training, its end included
from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from tests.record.test_resume import Training
from wdyn.record import room as rooms
from wdyn.record.recorder import Recorder
from wdyn.record.room import Room

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def free(monkeypatch):
    """How many bytes the disk has left, as a list of one that a test changes."""
    left = [10**12]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, left[0]))
    return left


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(rooms.time, "monotonic", lambda: now[0])
    return now


def test_steps_left_count_the_run_file_that_is_still_to_be_packed(tmp_path, free):
    room = Room(tmp_path, 3000)
    free[0] = 5_000_000
    assert room.steps_left() == 1000  # 3,000 in the journal and 2,000 in the file
    room.count(300)
    free[0] = 5_000_000 - 900_000
    assert room.steps_left() == 700


def test_plenty_is_not_worth_a_word(tmp_path, free, clock):
    room = Room(tmp_path, 1_000_000)
    assert room.shortage() is None
    room.count(1000)
    clock[0] = 100.0
    assert room.shortage() is None


def test_few_steps_are_said_at_once(tmp_path, free, clock):
    free[0] = 100_000_000
    said = Room(tmp_path, 1_000_000).shortage()
    assert said.startswith("the disk has room for 60 more steps of 1 MB, the run file included. ")


def test_a_disk_that_will_be_full_within_half_an_hour_is_said_with_the_time(tmp_path, free, clock):
    room = Room(tmp_path, 1_000_000)
    room.count(6000)
    clock[0] = 60.0  # 100 steps a second
    free[0] = int((4_000 + 100 * 1200 * 5 / 3) * 1_000_000)
    assert "room for 120,000 more steps" in room.shortage()
    assert "about 20 min at the pace so far" in room.shortage()
    free[0] *= 2
    assert room.shortage() is None


def test_a_bound_larger_than_the_disk_is_said(tmp_path, free, clock):
    free[0] = 10**9
    assert Room(tmp_path, 10**6, max_bytes=5 * 10**8).shortage() is None
    assert "less than max_bytes=700,000,000 allows" in Room(tmp_path, 10**6, max_bytes=7 * 10**8).shortage()


def test_a_disk_that_cannot_be_asked_is_no_matter(tmp_path, monkeypatch):
    assert Room(tmp_path / "gone", 1000).shortage() is None


def test_the_recorder_says_it_once_and_records_on(tmp_path, free):
    free[0] = 5000
    training = Training()
    with pytest.warns(UserWarning, match=r"a\.h5: little room .*room for \d+ more steps of 92 bytes") as caught:
        with Recorder(training.model, tmp_path / "a.h5"):
            training.go(5)
    assert len(caught) == 1


def test_the_recorder_looks_again_whenever_the_disk_is_synced(tmp_path, free, monkeypatch):
    monkeypatch.setattr("wdyn.record.journal.SYNC_EVERY", 0.0)
    training = Training()
    with pytest.warns(UserWarning, match="little room"):
        with Recorder(training.model, tmp_path / "a.h5") as rec:
            training.go(1)
            free[0] = 5000
            for _ in range(100):
                training.go(1)
                while rec._tape.writer._queue.qsize():
                    pass
