from __future__ import annotations

import os

import pytest

from wdyn.errors import DamagedError
from wdyn.journal.append import SegmentWriter, segment_path
from wdyn.journal.frame import HEADER_SIZE, Kind
from wdyn.journal.scan import read_schema, scan, segments
from wdyn.journal.schema import Schema, TensorSpec

PAYLOADS = [b"a" * 100, b"b" * 70, b"", b"c" * 30]


@pytest.fixture
def segment(tmp_path):
    """Four frames, closed."""
    writer = SegmentWriter(segment_path(tmp_path, 0), 5)
    for step, payload in enumerate(PAYLOADS):
        writer.append(Kind.STEP, payload, step=step, time=1.0)
    writer.close()
    writer.close()
    return writer.path


def test_what_was_appended_is_found(segment):
    frames = scan(segment)
    assert [frame.read() for frame in frames] == PAYLOADS
    assert [frame.header.step for frame in frames] == [0, 1, 2, 3]
    assert [frame.header.index for frame in frames] == [0, 1, 2, 3]
    assert segment.stat().st_size == sum(map(len, PAYLOADS)) + 4 * HEADER_SIZE


def test_a_cut_anywhere_costs_only_what_it_hits(segment):
    whole = segment.read_bytes()
    ends = [sum(map(len, PAYLOADS[: k + 1])) + (k + 1) * HEADER_SIZE for k in range(4)]
    for size in range(len(whole) + 1):
        segment.write_bytes(whole[:size])
        assert len(scan(segment)) == sum(end <= size for end in ends)


def test_damage_in_the_last_payload_drops_it_and_in_another_is_told_when_read(segment):
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    data[HEADER_SIZE + 10] ^= 1
    segment.write_bytes(data)
    frames = scan(segment)
    assert [frame.header.step for frame in frames] == [0, 1, 2]
    with pytest.raises(DamagedError, match="step 0 at byte 0"):
        frames[0].read()
    assert frames[1].read() == PAYLOADS[1]


def test_frames_of_another_schema_are_not_read(segment, tmp_path):
    other = SegmentWriter(tmp_path / "other", 6)
    other.append(Kind.STEP, b"d", step=4, time=1.0)
    other.close()
    segment.write_bytes(segment.read_bytes() + (tmp_path / "other").read_bytes())
    assert len(scan(segment)) == 4


def test_a_segment_is_never_overwritten(segment):
    before = segment.read_bytes()
    with pytest.raises(FileExistsError):
        SegmentWriter(segment, 5)
    assert segment.read_bytes() == before


def test_a_write_cut_short_by_the_system_is_continued(tmp_path, monkeypatch):
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: writev(fd, [b"".join(bytes(p) for p in parts)[:limit]]))
    writer = SegmentWriter(tmp_path / "s", 5)
    for limit in (1, HEADER_SIZE - 1, HEADER_SIZE, HEADER_SIZE + 3, 1000):
        writer.append(Kind.STEP, b"payload", step=limit, time=0.0)
    writer.close()
    assert [frame.read() for frame in scan(tmp_path / "s")] == [b"payload"] * 5


@pytest.mark.parametrize("cutting_works", [True, False])
def test_a_failed_write_leaves_whole_frames(tmp_path, monkeypatch, cutting_works):
    writev, ftruncate = os.writev, os.ftruncate

    def fail(fd, parts):
        writev(fd, [bytes(parts[0])[:20]])
        raise OSError(28, "No space left on device")

    def no_cut(fd, size):
        raise OSError(5, "Input/output error")

    writer = SegmentWriter(tmp_path / "s", 5)
    writer.append(Kind.STEP, b"first", step=0, time=0.0)
    monkeypatch.setattr(os, "writev", fail)
    if not cutting_works:
        monkeypatch.setattr(os, "ftruncate", no_cut)
    with pytest.raises(OSError, match="No space" if cutting_works else "Input/output"):
        writer.append(Kind.STEP, b"second", step=1, time=0.0)
    monkeypatch.setattr(os, "writev", writev)
    if not cutting_works:
        with pytest.raises(OSError, match="Input/output"):  # nothing is written behind the torn frame
            writer.append(Kind.STEP, b"third", step=2, time=0.0)
    monkeypatch.setattr(os, "ftruncate", ftruncate)
    writer.append(Kind.STEP, b"fourth", step=3, time=0.0)
    writer.close()
    assert [frame.read() for frame in scan(tmp_path / "s")] == [b"first", b"fourth"]
    assert [frame.header.index for frame in scan(tmp_path / "s")] == [0, 1]


def test_segments_in_order_and_the_schema_in_front(tmp_path):
    schema = Schema((TensorSpec("w", "weight", "float32", (1,)),), {"a": 1})
    for number in (10, 2, 0):
        writer = SegmentWriter(segment_path(tmp_path, number), 5)
        writer.append(Kind.SCHEMA, schema.to_json(), step=0, time=0.0)
        writer.close()
    (tmp_path / "lock").touch()
    assert [path.name for path in segments(tmp_path)] == [f"seg-{n:06d}.wdj" for n in (0, 2, 10)]
    assert read_schema(scan(segment_path(tmp_path, 2))) == schema
    assert read_schema([]) is None
    assert segments(tmp_path / "nowhere") == []
