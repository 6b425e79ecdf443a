"""A crash after any operation, within any write, or by a power cut: what is left is right, whole and goes on."""

from __future__ import annotations

import shutil
import struct
import zlib

import numpy as np
import pytest

from tests.record.disk_model import DEAD, DiskModel, Folder
from tests.record.known import STEP_BYTES, Follow, Known, readable_steps
from tests.record.traced_disk import Operation, traced
from tests.torture import tell, times
from wdyn.errors import RunFileError
from wdyn.record import journal, packing
from wdyn.record.recorder import Recorder
from wdyn.store.pack import pack
from wdyn.store.reader import open_run
from wdyn.store.unpack import unpack

STEPS, PARTS = 24, "a.h5.parts"
BOUNDED = {"max_bytes": 20 * STEP_BYTES}


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    monkeypatch.setattr(journal, "SEGMENT_SIZE", 5000)
    monkeypatch.setattr(journal, "SYNC_EVERY", 0.0)  # after every frame
    monkeypatch.setattr(packing, "unpack", lambda path: unpack(path))


def train(folder, *, start=0, steps=STEPS, resume=False, **options):
    """Record steps `start` to `steps`, with pruning masks that change."""
    model = Known(start, masked=True)
    optimizer = Follow(model)
    with Recorder(model, folder / "a.h5", program=False, resume=resume, **options) as rec:
        assert rec.step_count == start
        for step in range(start + 1, steps + 1):
            optimizer.step()
            rec.log(loss=step * 0.5)


def interrupted(folder):
    """A journal whose last frame is torn."""
    train(folder)
    last = sorted((folder / PARTS).glob("seg-*"))[-1]
    with last.open("r+b") as file:
        file.truncate(last.stat().st_size - 300)
    (folder / PARTS / "lock").write_text(f'{{"pid": {DEAD}}}')


def packed(folder):
    train(folder)
    pack(folder / "a.h5")


SCENARIOS = {
    "recording": (lambda folder: None, train),
    "thinning": (lambda folder: None, lambda folder: train(folder, **BOUNDED)),
    "resuming": (interrupted, lambda folder: train(folder, start=15, steps=20, resume=True)),
    "packing": (train, lambda folder: pack(folder / "a.h5")),
    "unpacking": (packed, lambda folder: train(folder, start=STEPS, steps=STEPS + 3, resume=True)),
}


@pytest.fixture(params=SCENARIOS)
def trace(request, tmp_path):
    """The folder before something is done, and the operations that do it."""
    make, act = SCENARIOS[request.param]
    start, work = tmp_path / "start", tmp_path / "work"
    start.mkdir()
    make(start)
    shutil.copytree(start, work)
    with traced(work) as disk:
        act(work)
    return request.param, start, disk.operations


def steps_in_force(contents):
    """Steps in order whose frames are whole, each with the time of its frame: a second road to what must be found.

    Nothing of wdyn reads here. A step that a resumed recording wrote again has another time.

    Args:
        contents: bytes of the segments.
    """
    found: dict[int, float] = {}
    for data in contents:
        at = 0
        while at + 52 <= len(data):
            magic, kind, _, step, when, length, checksum, _, own = struct.unpack_from("<8sIIqdQIII", data, at)
            payload = data[at + 52 : at + 52 + length]
            if magic != b"wdynFRM1" or zlib.crc32(data[at : at + 48]) != own or len(payload) < length:
                break
            if zlib.crc32(payload, zlib.crc32(data[at : at + 40])) != checksum:
                break
            if kind == 2:
                found = {**{each: then for each, then in found.items() if each < step}, step: when}
            at += 52 + length
    return found


def segments_of(model, *, kept):
    """What the segments of a model hold, or what the disk was made to keep of it."""
    folder = model.root.now.get(PARTS)
    if not isinstance(folder, Folder):
        return []
    return [bytes(n.kept if kept else n.now) for name, n in sorted(folder.now.items()) if name.endswith(".wdj")]


def steps_of(image):
    """The steps that can be read, none where there is no run yet; and how many are wrong."""
    try:
        return readable_steps(image / "a.h5", masked=True)
    except RunFileError:
        return [], 0


def assert_goes_on(image, there, rng):
    """A recording goes on from a step that is there, and the whole is packed."""
    start = int(rng.choice(there[-3:])) if there else 0
    train(image, start=start, steps=start + 2, resume=True)
    pack(image / "a.h5")
    steps, wrong = readable_steps(image / "a.h5", masked=True)
    assert wrong == 0
    assert [step for step in steps if step <= start] == [step for step in there or [0] if step <= start]
    assert steps[-2:] == [start + 1, start + 2]
    assert sorted(each.name for each in image.iterdir()) == ["a.h5"]


def torn(operation, rng, count):
    """A write that stopped in the middle: at its ends, within the header, between header and payload, anywhere."""
    size = len(operation.data)
    cuts = {1, 20, 51, 52, 53, size // 2, size - 1, *rng.integers(1, max(size, 2), 2).tolist()}
    for cut in sorted(each for each in cuts if 0 < each < size)[:: max(1, len(cuts) // count)]:
        yield Operation("write", operation.path, at=operation.at, data=operation.data[:cut])


@pytest.mark.slow
def test_any_crash_leaves_what_was_whole_and_the_run_goes_on(tmp_path, trace):
    name, start, operations = trace
    rng, images, goes_on = np.random.default_rng(3), 0, times(10, 4)
    model = DiskModel(start)
    for operation in [None, *operations]:
        pieces = [] if operation is None or operation.what != "write" else list(torn(operation, rng, times(2, 6)))
        for piece in [*pieces, operation]:
            if piece is not None:
                model.apply(piece)
            if times(rng.random() < 0.2, True):
                images += 1
                image = tmp_path / f"image{images}"
                model.write(image)
                expected = expected_in(image, model)
                assert steps_of(image) == (expected, 0)
                if images % goes_on == 0:
                    assert_goes_on(image, expected, rng)
                shutil.rmtree(image)
    tell(f"{name}: {images} crash points of {len(operations)} operations: 0 unreadable, 0 wrong rows, 0 lost steps")


def expected_in(image, model):
    """The steps that the image must have: those of its run file while there is one, else of its segments."""
    if (image / "a.h5").exists():
        return list(range(STEPS + 1))
    return list(steps_in_force(segments_of(model, kept=False)))


def promised_by(kept, now):
    """The steps that no power cut may take: those on the disk that nothing written since has replaced.

    The first version of step 0 is in doubt as long as no step behind it is on the disk: what was lost there may have
    been its second, which is written when training begins.
    """
    return {step for step, when in kept.items() if now.get(step) == when and (step or len(kept) > 1)}


@pytest.mark.slow
def test_a_power_cut_loses_nothing_that_was_synced_and_nothing_wrong_is_taken_for_good(tmp_path, trace):
    name, start, operations = trace
    rng, images, lost_steps = np.random.default_rng(4), times(12, 200), 0
    whole = readable_steps(start / "a.h5")[0] if name in ("packing", "unpacking") else None
    moments = np.sort(rng.integers(0, len(operations) + 1, images))
    model, done = DiskModel(start), 0
    for number, moment in enumerate(moments.tolist()):
        for operation in operations[done:moment]:
            model.apply(operation)
        done = moment
        image = tmp_path / f"image{number}"
        model.write(image, rng)
        kept, now = (steps_in_force(segments_of(model, kept=kept)) for kept in (True, False))
        promised = promised_by(kept, now) if whole is None else set(whole)
        steps, wrong = steps_of(image)
        assert wrong == 0, image
        assert promised <= set(steps)
        lost_steps += len(set(now) - set(steps)) if whole is None else 0
        assert_survivors_go_on(image, steps, rng)
        shutil.rmtree(image)
    tell(f"{name}: {images} power cuts: 0 synced steps lost ({lost_steps} others), 0 wrong rows")


def assert_survivors_go_on(image, there, rng):
    """A recording goes on, be it from a step of which only the header survived, and the whole is packed."""
    known = there
    if there:
        with open_run(image / "a.h5") as run:
            known = run.steps.tolist()
    start = int(rng.choice(known[-3:])) if known else 0
    train(image, start=start, steps=start + 2, resume=True)
    pack(image / "a.h5")
    steps, wrong = readable_steps(image / "a.h5", masked=True)
    assert wrong == 0
    assert {step for step in there if step <= start} | {start + 1, start + 2} <= set(steps)


def test_a_step_whose_values_a_power_cut_took_is_found_by_its_checksum_and_written_again(tmp_path):
    interrupted(tmp_path)
    weight = np.arange(12, dtype=np.float32) + 15 * 256
    for path in (tmp_path / PARTS).glob("seg-*"):
        path.write_bytes(path.read_bytes().replace(weight.tobytes(), bytes(weight.nbytes)))
    assert 15 not in steps_of(tmp_path)[0]
    train(tmp_path, start=15, steps=17, resume=True)
    assert steps_of(tmp_path) == (list(range(18)), 0)
