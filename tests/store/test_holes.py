import itertools
import json

import numpy as np
import pytest

import wdyn
from tests.make_run import write_journal
from wdyn.errors import DamagedError, RunFileError
from wdyn.journal.append import SegmentWriter
from wdyn.journal.frame import HEADER_SIZE, Kind
from wdyn.journal.scan import Frame, scan, survey
from wdyn.places import parts_folder
from wdyn.store.pack import pack

FIRST = np.array([True, False] * 50)
SECOND = np.array([True, True, False, False] * 25)


def frames_of(path, kind):
    return [each for each in survey(parts_folder(path)) if isinstance(each, Frame) and each.header.kind is kind]


def flip(frame, *, header):
    data = bytearray(frame.path.read_bytes())
    data[frame.offset + (-HEADER_SIZE + 17 if header else 5)] ^= 1
    frame.path.write_bytes(data)


def readable(path):
    """Step to weights of what a run returns, after it was seen that the rest raises wherever one asks."""
    with wdyn.open_run(path) as run:
        found = {}
        for step in run.steps.tolist():
            try:
                found[step] = run.state(step)["w"]
            except DamagedError:
                continue
            run.masks(step)
        return found


def assert_only_truth(path, truth):
    """All that a run returns is what training used, before and after packing; returns the steps."""
    found = readable(path)
    for step, values in found.items():
        np.testing.assert_array_equal(values, truth[step])
    pack(path)
    packed = readable(path)
    assert packed.keys() == found.keys()
    for step, values in packed.items():
        np.testing.assert_array_equal(values, truth[step])
    return list(found)


def masked(steps, masks):
    """What the forward pass used."""
    current, truth = np.ones(100, bool), {}
    for step, arrays in steps.items():
        current = masks[step]["w"] if step in masks else current
        truth[step] = arrays["w"] * current
    return truth


@pytest.fixture
def pruned(tmp_path, walk):
    """Nine steps in three segments; masks from step 1 and others from step 4, none repeated."""
    steps, masks = walk({"w": (100,)}, steps=range(9)), {1: {"w": FIRST}, 4: {"w": SECOND}}
    path = write_journal(tmp_path / "a.h5", steps, masks=masks, steps_per_segment=3)
    return path, masked(steps, masks)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(("number", "left"), [(0, [0, 4, 5, 6, 7, 8]), (1, [0, 1, 2, 3])])
def test_lost_masks_make_steps_unknown_until_the_next_masks(pruned, number, left, header):
    path, truth = pruned
    flip(frames_of(path, Kind.MASKS)[number], header=header)
    assert assert_only_truth(path, truth) == left


@pytest.mark.parametrize("number", [0, 1])
def test_a_missing_segment_makes_steps_unknown_until_the_next_masks(pruned, number):
    path, truth = pruned
    frames_of(path, Kind.STEP)[3 * number].path.unlink()
    assert assert_only_truth(path, truth) == [[4, 5, 6, 7, 8], [0, 1, 2]][number]


def test_a_lost_step_frame_costs_that_step_only(pruned):
    path, truth = pruned
    flip(frames_of(path, Kind.STEP)[4], header=True)
    with wdyn.open_run(path) as run:
        assert [note["steps"] for note in run.notes] == [[4, 4]]
    assert assert_only_truth(path, truth) == [0, 1, 2, 3, 5, 6, 7, 8]


def test_the_only_masks_of_a_run_are_lost(tmp_path, walk):
    steps, masks = walk({"w": (100,)}, steps=range(5)), {2: {"w": FIRST}}
    path = write_journal(tmp_path / "a.h5", steps, masks=masks)
    flip(frames_of(path, Kind.MASKS)[0], header=True)
    with wdyn.open_run(path) as run, pytest.raises(DamagedError, match=r"lost 1 frame .*pruning masks of step 3\. Its"):
        run.masks(3)
    assert assert_only_truth(path, masked(steps, masks)) == [0, 1]


@pytest.mark.parametrize("kind", [Kind.STEP, Kind.METRICS])
def test_a_run_without_masks_loses_only_what_is_damaged(tmp_path, walk, kind):
    steps = walk({"w": (1000,)}, steps=range(6))
    path = write_journal(tmp_path / "a.h5", steps, metrics={"loss": dict.fromkeys(range(6), 0.5)})
    flip(frames_of(path, kind)[2], header=True)
    truth = {step: arrays["w"] for step, arrays in steps.items()}
    assert assert_only_truth(path, truth) == [step for step in range(6) if step != 2 or kind is not Kind.STEP]


def test_without_masks_anywhere_a_hole_ends_with_its_segment(tmp_path, walk):
    steps = walk({"w": (100,)}, steps=range(9))
    path = write_journal(tmp_path / "a.h5", steps, steps_per_segment=3)
    frames_of(path, Kind.STEP)[3].path.unlink()
    truth = {step: arrays["w"] for step, arrays in steps.items()}
    assert assert_only_truth(path, truth) == [0, 1, 2, 6, 7, 8]


def flip_two(path, kind, following):
    """Lose the second frame of a kind and the one behind it, which is of another."""
    frames = survey(parts_folder(path))
    first = frames_of(path, kind)[0 if kind is Kind.PROGRAM else 1]
    second = frames[frames.index(first) + 1]
    assert second.header.kind is following
    for frame in (first, second):
        flip(frame, header=True)


def test_masks_lost_together_with_a_program_of_any_size_make_steps_unknown(tmp_path, walk):
    steps, masks = walk({"w": (100,)}, steps=range(1, 7)), {2: {"w": FIRST}, 5: {"w": SECOND}}
    program = {"nodes": ["x" * 50_000]}
    path = write_journal(tmp_path / "a.h5", steps, masks=masks, program=program)
    flip_two(path, Kind.PROGRAM, Kind.MASKS)
    assert assert_only_truth(path, masked(steps, masks)) == [1, 5, 6]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"program": {"inputs": [], "nodes": []}}, [1, 3, 4, 5]),
        ({"notes": [(4, {"what": "no program", "reason": "switched off"})]}, [1, 3, 4, 5]),
        ({}, [1]),  # nobody knows what the hole held
    ],
)
def test_where_the_program_is_accounted_for_a_hole_is_as_small_as_it_looks(tmp_path, walk, options, left):
    steps = walk({"w": (10_000,)}, steps=range(1, 6))
    path = write_journal(tmp_path / "a.h5", steps, metrics={"loss": dict.fromkeys(steps, 0.5)}, **options)
    flip_two(path, Kind.STEP, Kind.METRICS)
    assert assert_only_truth(path, {step: arrays["w"] for step, arrays in steps.items()}) == left


def test_masks_repeated_at_each_segment_end_the_doubt(tmp_path, walk):
    steps = walk({"w": (100,)}, steps=range(9))
    masks = {1: {"w": FIRST}, 3: {"w": FIRST}, 6: {"w": FIRST}}  # as written right after the schema
    path = write_journal(tmp_path / "a.h5", steps, masks=masks)
    _split(path, scan(parts_folder(path) / "seg-000000.wdj"), at=(3, 6))
    assert [len(frames_of(path, kind)) for kind in (Kind.SCHEMA, Kind.MASKS)] == [3, 3]
    flip(frames_of(path, Kind.MASKS)[1], header=True)
    assert assert_only_truth(path, masked(steps, masks)) == [0, 1, 2, 6, 7, 8]


def _split(path, frames, at):
    """Begin a segment, with the schema in front, at the first frame of each of these steps."""
    content = [(each.header, each.read()) for each in frames]
    frames[0].path.unlink()
    schema, numbers, writer = content[0], itertools.count(), None
    for header, payload in content[1:]:
        if writer is None or header.step in at:
            at = [step for step in at if step != header.step]
            writer = SegmentWriter(parts_folder(path) / f"seg-{next(numbers):06d}.wdj", header.schema)
            writer.append(Kind.SCHEMA, schema[1], step=0, time=0.0)
        writer.append(header.kind, payload, step=header.step, time=header.time)


def test_a_lost_second_version_of_step_0_does_not_bring_back_the_first(tmp_path, walk):
    steps = walk({"w": (100,)}, steps=range(3))
    path = write_journal(tmp_path / "a.h5", steps)
    segment = parts_folder(path) / "seg-000000.wdj"
    content = [(each.header, each.read()) for each in scan(segment)]
    segment.unlink()
    writer = SegmentWriter(segment, content[0][0].schema)
    for header, payload in [*content[:2], content[1], *content[2:]]:
        writer.append(header.kind, payload, step=header.step, time=header.time)
    writer.close()
    assert list(readable(path)) == [0, 1, 2]
    flip(frames_of(path, Kind.STEP)[1], header=True)
    assert list(readable(path)) == [1, 2]


@pytest.mark.parametrize(("later", "left"), [(True, [1, 2]), (False, [0, 1, 2])])
def test_a_step_that_a_gap_replaced_is_missing(tmp_path, walk, later, left):
    """A note of a gap has the time of the step frame after which it could be written."""
    path = write_journal(tmp_path / "a.h5", walk({"w": (100,)}, steps=range(3)))
    segment = parts_folder(path) / "seg-000000.wdj"
    content = [(each.header, each.read()) for each in scan(segment)]
    segment.unlink()
    writer = SegmentWriter(segment, content[0][0].schema)
    gap = json.dumps({"what": "gap", "reason": "full disk", "steps": [0, 0]}).encode()
    for header, payload in content:
        writer.append(header.kind, payload, step=header.step, time=header.time)
        if header.kind is Kind.STEP and header.step == int(later):
            writer.append(Kind.NOTE, gap, step=0, time=header.time)
    writer.close()
    assert list(readable(path)) == left
    with wdyn.open_run(path) as run:
        assert [(note["what"], note["steps"]) for note in run.notes] == [("gap", [0, 0])]


def test_the_only_schema_damaged_says_that_nothing_can_be_read(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}))
    schema = frames_of(path, Kind.SCHEMA)[0]
    flip(schema, header=True)
    with pytest.raises(RunFileError, match="what tells its tensors apart, is lost"):
        wdyn.open_run(path)
    flip(schema, header=True)
    flip(schema, header=False)
    with pytest.raises(DamagedError, match="so nothing can be read"):
        wdyn.open_run(path)


def test_metrics_and_sample_are_read_only(tmp_path, walk):
    path = write_journal(
        tmp_path / "a.h5", walk({"w": (3,)}), metrics={"loss": {0: 1.0}}, sample=(np.ones(3), np.ones(3))
    )
    for _ in range(2):
        with wdyn.open_run(path) as run:
            for array in (*run.metrics["loss"], *run.sample):
                with pytest.raises(ValueError, match="read-only"):
                    array[0] = 7
        pack(path)


def test_a_journal_that_was_closed_is_finished(tmp_path, walk):
    notes = [(2, {"what": "closed", "reason": "the recording was closed"})]
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}), notes=notes)
    with wdyn.open_run(path) as run:
        assert run.condition == "finished"


def test_small_frames_are_read_with_one_descriptor(tmp_path, walk, monkeypatch):
    metrics = {"loss": dict.fromkeys(range(50), 0.5)}
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}, steps=range(50)), metrics=metrics)
    opened = []
    opening = type(path).open
    monkeypatch.setattr(
        type(path), "open", lambda self, *args, **more: (opened.append(self), opening(self, *args, **more))[1]
    )
    with wdyn.open_run(path) as run:
        assert len(run.metrics["loss"].steps) == 50
    assert len(opened) < 5
