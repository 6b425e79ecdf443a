"""One flipped bit anywhere: what is read is what was recorded or an error, and `verify` names what was hit."""

import json
import shutil
from contextlib import suppress

import h5py
import numpy as np
import pytest

import wdyn
from tests.make_run import make_run, write_journal
from tests.torture import times
from wdyn.errors import DamagedError, WdynError
from wdyn.journal.scan import Frame, survey
from wdyn.places import parts_folder
from wdyn.store.pack import pack
from wdyn.store.verify import Damage, verify

CLOSED = {"what": "closed", "reason": "close()"}
AT_OPENING = ("meta", "steps", "time", "masks/", "metrics/")  # read whenever a run is opened


def pieces(path):
    """Each value that can be had from a run, by what it is; nothing for what is lost."""
    found = {}
    with suppress(WdynError), wdyn.open_run(path, keep=1 << 28) as run:
        found |= {
            ("fact", key): json.dumps(value) for key, value in run.meta.items() if key not in ("notes", "tensors")
        }
        found |= {("tensor", name): spec for name, spec in run.parameters.items()}
        found |= {("time", step): time for step, time in zip(run.steps.tolist(), run.times.tolist(), strict=True)}
        for name, metric in run.metrics.items():
            for step, value in zip(metric.steps.tolist(), metric.values.tolist(), strict=True):
                found["metric", name, step] = value
        with suppress(WdynError):
            found |= {("sample", k): part.tobytes() for k, part in enumerate(run.sample or ())}
        if run.program is not None:
            found["program",] = json.dumps(dict(run.program))
        for name in run.parameters:
            found |= values_of(run, name)
        for step in run.steps.tolist():
            with suppress(WdynError):  # a mask that holds nothing back is none
                found |= {("mask", step, name): m.tobytes() for name, m in run.masks(step).items() if not m.all()}
    return found


def values_of(run, name):
    """A tensor at each step at which it is not lost; in one go, if it can be had."""
    with suppress(WdynError):
        every = [values for _, block in run.history(name) for values in block]
        return {("value", step, name): each.tobytes() for step, each in zip(run.steps.tolist(), every, strict=True)}
    found = {}
    for step in run.steps.tolist():
        with suppress(WdynError):
            found["value", step, name] = run.state(step, [name])[name].tobytes()
    return found


def found_by_verify(path):
    """What `verify` names, or what it says where the run cannot even be opened."""
    try:
        return list(map(str, verify(path).damaged))
    except WdynError as error:
        return [str(error)]


def check(path, truth):
    """No value is wrong; where one is missing, `verify` says so. Returns what it said."""
    found, damaged = pieces(path), found_by_verify(path)
    assert {key: value for key, value in found.items() if truth.get(key) != value} == {}
    assert damaged or found == truth
    return damaged


def flipped(path, places):
    """A file with one bit after the other changed; it is whole again at the end."""
    whole = path.read_bytes()
    for at, bit in places:
        data = bytearray(whole)
        data[at] ^= 1 << bit
        path.write_bytes(data)
        yield at
    path.write_bytes(whole)


def random_bits(path, count, rng):
    return zip(rng.integers(0, path.stat().st_size, count).tolist(), rng.integers(0, 8, count).tolist(), strict=True)


def every_byte(path, stride=1):
    return ((at, at % 8) for at in range(0, path.stat().st_size, stride))


def owners(path):
    """Byte of the file to the dataset that it holds a value of, with the steps of the chunk."""
    found = {}
    with h5py.File(path) as file:
        steps = file["steps"][...]

        def add(name, item):
            if not isinstance(item, h5py.Dataset):
                return
            if item.chunks is None:
                start = item.id.get_offset() or 0
                found.update(dict.fromkeys(range(start, start + item.nbytes), (name, None)))
            else:
                for k in range(item.id.get_num_chunks()):
                    chunk = item.id.get_chunk_info(k)
                    first = chunk.chunk_offset[0]
                    last = min(first + item.chunks[0], len(steps)) - 1
                    span = range(chunk.byte_offset, chunk.byte_offset + chunk.size)
                    found.update(dict.fromkeys(span, (name, (int(steps[first]), int(steps[last])))))

        file.visititems(add)
    return found


def check_named(damaged, owner):
    """`verify` said which dataset was hit, and at which steps."""
    if owner is None:
        return  # structure, or bytes that nobody reads
    name, steps = owner
    if name.startswith("checksums/"):
        assert "its table of checksums is damaged" in damaged[0]
    elif name.startswith(AT_OPENING):
        assert f"{name} does not match its checksum" in damaged[0] or (name == "meta" and damaged)
    else:  # deflate fills up bytes with bits that mean nothing
        assert damaged == [str(Damage(name, steps))] or (steps is not None and not damaged)


@pytest.fixture
def small(tmp_path, walk):
    return {"arrays_by_step": walk({"w": (2,)}, steps=(0, 3)), "notes": [(3, CLOSED)]}


def large_run(walk, rng):
    """70 steps in 6 segments with everything that a run can have."""
    shapes = {"fc1.weight": (6, 300), "fc1.bias": (6,), "bn.running_mean": (6,)}
    masks = {step: {"fc1.weight": rng.random((6, 300)) < 0.5} for step in (10, 20, 45)}
    return {
        "arrays_by_step": walk(shapes, steps=range(70)), "masks": masks, "buffers": ["bn.running_mean"],
        "metrics": {"loss": {step: rng.random() for step in range(70)}, "accuracy": {0: 0.1, 69: 0.9}},
        "sample": (rng.normal(size=(20, 7)), rng.integers(0, 9, 20)), "metadata": {"seed": 3},
        "program": {"inputs": [], "nodes": [["relu", "aten.relu.default", [], {}, ""]] * 9},
        "notes": [(30, {"what": "skipped", "reason": "slow", "steps": [71, 72]}), (69, CLOSED)],
        "steps_per_segment": 12,
    }  # fmt: skip


def test_every_byte_of_a_small_file(tmp_path, small):
    path = make_run(tmp_path / "a.h5", **small)
    truth, owner = pieces(path), owners(path)
    assert len(truth) > 15
    for at in flipped(path, every_byte(path, times(7, 1))):
        check_named(check(path, truth), owner.get(at))


def test_random_bits_of_a_large_file(tmp_path, walk, rng):
    path = make_run(tmp_path / "a.h5", **large_run(walk, rng))
    truth, owner = pieces(path), owners(path)
    for at in flipped(path, random_bits(path, times(100, 2000), rng)):
        check_named(check(path, truth), owner.get(at))


def check_journal_named(damaged, path, at):
    """The segment is named; a frame whose payload was hit by its kind and, if it is of one, its step."""
    if not damaged:  # a torn end, the last note, was never recorded
        return
    assert any(path.name in each for each in damaged)
    for frame in survey(path.parent):
        if isinstance(frame, Frame) and frame.path == path and 0 <= at - frame.offset < frame.header.length:
            kind = frame.header.kind.name.lower()
            where = path.name if kind == "step" else f"{path.name}, {kind}"
            steps = None if kind in ("schema", "sample", "program") else (frame.header.step, frame.header.step)
            assert str(Damage(where, steps)) in damaged


def test_every_byte_of_a_small_journal(tmp_path, small):
    path = write_journal(tmp_path / "a.h5", **small)
    truth, segment = pieces(path), parts_folder(path) / "seg-000000.wdj"
    for at in flipped(segment, every_byte(segment)):
        damaged = check(path, truth)
        if any("seg-000000" in each for each in damaged):
            check_journal_named(damaged, segment, at)
        elif damaged:  # the only schema; a torn end, the last note, was never recorded
            assert "a recording" in damaged[0] or "nothing can be read" in damaged[0]


def test_random_bits_of_a_large_journal_before_and_after_packing(tmp_path, walk, rng):
    path = write_journal(tmp_path / "a.h5", **large_run(walk, rng))
    truth, folder = pieces(path), parts_folder(path)
    segments, kept = sorted(folder.glob("seg-*")), tmp_path / "kept"
    shutil.copytree(folder, kept)
    for k, number in enumerate(rng.integers(0, len(segments), times(100, 2000)).tolist()):
        for at in flipped(segments[number], random_bits(segments[number], 1, rng)):
            check_journal_named(check(path, truth), segments[number], at)
            if k % 5 == 0:
                check_packed(path)
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(kept, folder)


def check_packed(path):
    """A packed journal gives what it gave before, without the times and masks of steps whose weights are lost."""
    before = pieces(path)
    pack(path)
    after = pieces(path)
    assert after.items() <= before.items()
    assert {key for key in before if key[0] == "value"} <= after.keys()
    for left in path.parent.glob("a.h5*"):
        left.unlink() if left.is_file() else shutil.rmtree(left)


@pytest.mark.parametrize("cut", [1, 7, 100, 4000])
def test_a_file_that_is_cut_while_it_is_open_gives_no_wrong_value(tmp_path, walk, rng, cut):
    path = make_run(tmp_path / "a.h5", **large_run(walk, rng))
    truth = pieces(path)
    with wdyn.open_run(path) as run:
        with path.open("rb+") as file:
            file.truncate(path.stat().st_size // cut - 1)
        for step in run.steps.tolist():
            for name in run.parameters:
                with suppress(DamagedError):
                    assert run.state(step, [name])[name].tobytes() == truth["value", step, name]


def test_an_attribute_may_change(tmp_path, small):
    path = make_run(tmp_path / "a.h5", **small)
    with h5py.File(path, "a") as file:
        file.attrs["note"] = np.arange(100)
    truth = pieces(path)
    with h5py.File(path, "a") as file:
        file.attrs["note"] = np.arange(100)[::-1]
    assert pieces(path) == truth
