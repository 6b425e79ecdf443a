from __future__ import annotations

import os

import pytest

from wdyn.errors import DamagedError
from wdyn.journal import scan as scanning
from wdyn.journal.append import SegmentWriter, segment_path
from wdyn.journal.frame import HEADER_SIZE, Kind
from wdyn.journal.scan import Hole, read_schema, scan, segments, survey
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


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_bad_header_costs_one_frame_and_leaves_a_hole(segment):
    frames = scan(segment)
    flip(segment, frames[1].offset - 30)
    assert scan(segment) == [
        frames[0],
        Hole(segment, frames[1].offset - HEADER_SIZE, frames[2].offset - HEADER_SIZE, 1, 1),
        *frames[2:],
    ]


def test_the_next_header_is_found_across_blocks(segment, monkeypatch):
    frames = scan(segment)
    flip(segment, frames[0].offset - 30)
    for block in range(1, 200, 3):
        monkeypatch.setattr(scanning, "_BLOCK", block)
        assert scan(segment)[1:] == frames[1:]


def test_frames_cut_out_are_a_hole_by_their_index(segment):
    frames, data = scan(segment), segment.read_bytes()
    at = [frame.offset - HEADER_SIZE for frame in frames]
    segment.write_bytes(data[: at[1]] + data[at[3] :])
    assert scan(segment)[1] == Hole(segment, at[1], at[1], 1, 2)


def test_only_the_newest_segment_of_a_run_not_closed_may_be_torn(segment):
    frames, size = scan(segment), segment.stat().st_size
    flip(segment, size - 1)
    assert scan(segment) == frames[:3]
    assert scan(segment, newest=False) == frames  # so that reading it says that it is damaged
    with pytest.raises(DamagedError):
        frames[3].read()
    segment.write_bytes(segment.read_bytes()[:-1])
    assert scan(segment) == frames[:3]
    start = frames[3].offset - HEADER_SIZE
    assert scan(segment, newest=False) == [*frames[:3], Hole(segment, start, size - 1, 3, None)]


def test_a_closed_run_has_no_torn_end(tmp_path):
    writer = SegmentWriter(segment_path(tmp_path, 0), 5)
    writer.append(Kind.NOTE, b'{"what": "closed"}', step=0, time=1.0)
    writer.close()
    end = writer.size
    writer.path.write_bytes(writer.path.read_bytes() + b"rest")
    assert scan(writer.path)[1:] == [Hole(writer.path, end, end + 4, 1, None)]


def test_a_missing_segment_is_a_hole(tmp_path):
    for number in (0, 2):
        writer = SegmentWriter(segment_path(tmp_path, number), 5)
        writer.append(Kind.STEP, b"a", step=number, time=1.0)
        writer.close()
    first, hole, last = survey(tmp_path)
    assert (first.header.step, last.header.step) == (0, 2)
    assert str(hole) == "seg-000001.wdj is missing or unreadable"


def test_a_frame_longer_than_one_call_of_the_system_reads(segment, monkeypatch):
    pread = os.pread  # of 2 GiB and more, the system gives 2,147,479,552 bytes
    monkeypatch.setattr(os, "pread", lambda fd, size, at: pread(fd, min(size, HEADER_SIZE), at))
    assert [frame.read() for frame in scan(segment)] == PAYLOADS
    monkeypatch.setattr(scanning, "_BLOCK", 7)
    assert scan(segment)[-1].header.step == 3


def test_the_schema_is_read_from_the_first_segment_that_has_it_whole(tmp_path):
    schema = Schema((TensorSpec("w", "weight", "float32", (1,)),), {"a": 1})
    for number in (0, 1):
        writer = SegmentWriter(segment_path(tmp_path, number), 5)
        writer.append(Kind.SCHEMA, schema.to_json(), step=0, time=0.0)
        writer.append(Kind.STEP, b"1234", step=number, time=0.0)
        writer.close()
    flip(segment_path(tmp_path, 0), HEADER_SIZE + 3)
    assert read_schema(survey(tmp_path)) == schema
    flip(segment_path(tmp_path, 1), HEADER_SIZE + 3)
    with pytest.raises(DamagedError, match=r"damaged in each segment, so nothing can be read\.$"):
        read_schema(survey(tmp_path))


def test_closing_cuts_off_what_a_failed_write_left(tmp_path, monkeypatch):
    writer = SegmentWriter(tmp_path / "s", 5)
    writer.append(Kind.STEP, b"first", step=0, time=0.0)
    ftruncate, writev = os.ftruncate, os.writev

    def half(fd, parts):
        writev(fd, [bytes(parts[0])[:20]])
        raise OSError(5, "Input/output error")

    def no_cut(fd, size):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "writev", half)
    monkeypatch.setattr(os, "ftruncate", no_cut)
    with pytest.raises(OSError, match="Input/output"):
        writer.append(Kind.STEP, b"second", step=1, time=0.0)
    monkeypatch.setattr(os, "ftruncate", ftruncate)
    writer.close()
    assert (tmp_path / "s").stat().st_size == HEADER_SIZE + len(b"first")
