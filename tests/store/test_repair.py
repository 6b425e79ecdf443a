"""All that is undamaged comes back in a new file, each kind of damage costs what it must, and the old run stands."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress

import h5py
import numpy as np
import pytest

import wdyn
from tests.make_run import make_run, write_journal
from tests.store.test_damage import flipped, large_run, pieces, random_bits
from tests.torture import times
from wdyn.errors import DamagedError, RunExistsError, RunFileError
from wdyn.journal.frame import Kind
from wdyn.journal.scan import Frame, survey
from wdyn.places import parts_folder
from wdyn.store.pack import pack
from wdyn.store.repair import repair
from wdyn.store.verify import verify


@pytest.fixture
def options(walk, rng):
    return large_run(walk, rng)


@pytest.fixture
def path(tmp_path, options):
    return make_run(tmp_path / "a.h5", **options)


def flip(path, at, bit=3):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def place_of(path, name, chunk=0):
    """A byte in the midst of a dataset's values."""
    with h5py.File(path) as file:
        dataset = file[name]
        if dataset.chunks is None:
            return dataset.id.get_offset() + dataset.nbytes // 2
        stored = dataset.id.get_chunk_info(chunk)
        return stored.byte_offset + stored.size // 2


def repaired(path, truth, *, lost=()):
    """Repair, and see that all but what is named came back, value by value, in a file that is whole."""
    before = {each: each.read_bytes() for each in path.parent.iterdir() if each.is_file()}
    result = repair(path)
    assert {each: each.read_bytes() for each in before} == before
    found = pieces(result.written)
    missing = {key for key in truth if key not in found}
    assert {key: value for key, value in found.items() if truth[key] != value} == {}
    assert missing == set(lost)
    assert verify(result.written).good
    assert list(path.parent.glob("*.tmp-*")) == []
    return result


def steps_of(truth, first, last):
    return {key for key in truth if key[0] in ("value", "mask", "time") and first <= key[1] <= last}


def notes(result):
    with wdyn.open_run(result.written) as run:
        return [(note["reason"], note.get("steps")) for note in run.notes if note["what"] == "damaged"]


def test_a_whole_file_comes_back_whole_and_the_same_each_time(path):
    result = repaired(path, pieces(path))
    assert (result.steps, result.before, result.lost) == (70, 70, ())
    assert result.written.name == "a.repaired.h5"
    assert result.written.read_bytes() == path.read_bytes()
    assert str(result).endswith(f"70 of 70 steps of {path} saved, nothing was lost")


@pytest.mark.parametrize(("chunk", "first", "last"), [(0, 0, 31), (1, 0, 31), (2, 32, 63), (5, 64, 69)])
def test_a_damaged_chunk_costs_its_steps(path, chunk, first, last):
    truth = pieces(path)
    flip(path, place_of(path, "weights/fc1.weight", chunk))
    result = repaired(path, truth, lost=steps_of(truth, first, last))
    why = "weights/fc1.weight did not match the checksums in the file that was repaired"
    assert notes(result) == [(why, [first, last])]
    assert (result.steps, result.before) == (69 - last + first, 70)
    assert "64 to 69" in str(result) or last < 64


def test_damage_in_several_tensors_at_the_same_steps_is_one_note(path):
    truth = pieces(path)
    for name in ("weights/fc1.weight", "weights/fc1.bias", "buffers/bn.running_mean"):
        flip(path, place_of(path, name, 1 if "fc1.w" not in name else 3))
    result = repaired(path, truth, lost=steps_of(truth, 32, 63))
    assert [steps for _, steps in notes(result)] == [[32, 63]]
    assert notes(result)[0][0].startswith(
        "buffers/bn.running_mean and weights/fc1.bias and weights/fc1.weight did not match"
    )


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("metrics/loss/value", "metric"), ("metrics/loss/step", "metric"), ("sample/inputs", "sample"),
        ("sample/targets", "sample"), ("program", "program"), ("time", "time"),
    ],
)  # fmt: skip
def test_small_things_are_left_out_and_noted(path, name, lost):
    truth = pieces(path)
    flip(path, place_of(path, name))
    keys = {key for key in truth if key[0] == lost and (lost != "metric" or key[1] == "loss")}
    if lost == "time":
        truth = {key: value for key, value in truth.items() if key[0] != "time"}
        result = repair(path)
        found = pieces(result.written)
        assert {key: value for key, value in found.items() if key[0] != "time"} == truth
        assert all(np.isnan(value) for key, value in found.items() if key[0] == "time")
        assert verify(result.written).good
    else:
        result = repaired(path, truth, lost=keys)
    assert result.steps == 70
    assert len(notes(result)) == 1
    assert notes(result)[0][0].startswith(lost)
    with wdyn.open_run(result.written) as run:
        assert bool(run.no_program) == (lost == "program")


@pytest.mark.parametrize("part", ["bits", "since"])
def test_steps_whose_masks_are_lost_are_left_out(path, part):
    truth = pieces(path)
    flip(path, place_of(path, f"masks/fc1.weight/{part}"))
    if part == "since":
        with pytest.raises(DamagedError, match=r"a\.h5: no step of it is undamaged"):
            repair(path)
        return
    result = repaired(path, truth, lost=steps_of(truth, 10, 69))
    assert notes(result)[1][1] == [10, 69]


def test_one_flipped_checksum_costs_its_chunk(path):
    truth = pieces(path)
    with h5py.File(path) as file:
        index = json.loads(file["checksums/index"][...].tobytes())
        first = next(each["first"] for each in index if each["path"] == "weights/fc1.weight")
        at = file["checksums/crc32"].id.get_offset() + 4 * (first + 2)
    flip(path, at)
    with pytest.raises(DamagedError):
        wdyn.open_run(path)
    repaired(path, truth, lost=steps_of(truth, 32, 63))


def test_a_flipped_checksum_of_all_checksums_costs_nothing(path):
    flip(path, place_of(path, "checksums/self"))
    with pytest.raises(DamagedError):
        wdyn.open_run(path)
    truth_of = pieces(make_again(path))
    repaired(path, truth_of)


def make_again(path):
    """The file as it was before its last checksum was changed."""
    again = path.parent / "whole" / path.name
    again.parent.mkdir()
    shutil.copy(path, again)
    flip(again, place_of(path, "checksums/self"))
    return again


def test_a_flipped_byte_anywhere_in_the_index_costs_nothing(path, rng):
    truth = pieces(path)
    with h5py.File(path) as file:
        start, length = file["checksums/index"].id.get_offset(), file["checksums/index"].nbytes
    whole = path.read_bytes()
    for at in rng.integers(start, start + length, times(8, 200)).tolist():
        path.write_bytes(whole)
        flip(path, at, int(rng.integers(8)))
        repaired(path, truth).written.unlink()


@pytest.mark.parametrize("name", ["steps", "meta"])
def test_what_cannot_be_done_without_is_said(path, name):
    flip(path, place_of(path, name), 0)
    with pytest.raises(RunFileError) as caught:
        repair(path)
    assert not path.with_name("a.repaired.h5").exists()
    if isinstance(caught.value, DamagedError):
        assert f"{name} does not match its checksum" in str(caught.value)
        assert "use another copy" in caught.value.__notes__[0]


def test_a_broken_structure_is_said_with_the_journal_that_was_kept(tmp_path, options):
    path = write_journal(tmp_path / "a.h5", **options)
    step = next(each for each in survey(parts_folder(path)) if isinstance(each, Frame) and each.header.step == 20)
    flip(step.path, step.offset + 5)
    pack(path)
    kept = tmp_path / "a.h5.parts.damaged"
    assert kept.is_dir()
    truth, packed = pieces(path), path.read_bytes()
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DamagedError, match="cut short") as caught:
        repair(path)
    assert any(f"wdyn repair {kept}" in note for note in caught.value.__notes__)
    result = repair(kept)
    assert result.written == tmp_path / "a.repaired.h5"
    assert pieces(result.written) == truth


@pytest.mark.parametrize("kind", [Kind.STEP, Kind.METRICS, Kind.SAMPLE, Kind.PROGRAM, Kind.MASKS])
@pytest.mark.parametrize("header", [True, False])
def test_a_damaged_journal_gives_what_packing_it_would(tmp_path, options, kind, header):
    path = write_journal(tmp_path / "a.h5", **options)
    frames = [each for each in survey(parts_folder(path)) if isinstance(each, Frame) and each.header.kind is kind]
    flip(frames[len(frames) // 2].path, frames[len(frames) // 2].offset + (-20 if header else 5))
    before = {each: each.read_bytes() for each in parts_folder(path).iterdir()}
    result = repair(path)
    assert {each: each.read_bytes() for each in parts_folder(path).iterdir()} == before
    assert result.lost
    assert not path.exists()
    pack(path)
    assert path.read_bytes() == result.written.read_bytes()


def test_a_journal_without_a_whole_step_says_so(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (50,)}, steps=[3]), notes=[(3, {"what": "closed"})])
    frame = next(each for each in survey(parts_folder(path)) if each.header.kind is Kind.STEP)
    flip(frame.path, frame.offset)
    with pytest.raises(DamagedError, match=r"a\.h5: no step of its journal is undamaged"):
        repair(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.h5.parts"]


def test_a_broken_file_beside_its_journal_is_no_loss(path, options):
    truth = pieces(path)
    write_journal(path, **options)
    path.write_bytes(b"")
    repaired(path, truth)


def test_a_live_recording_and_a_run_that_is_not_there_are_refused(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}), live=True)
    with pytest.raises(RunFileError, match=r"a\.h5: is being recorded"):
        repair(path)
    for name in ("b.h5", "b.h5.parts", "b.h5.parts.damaged"):
        with pytest.raises(RunFileError, match=r"b\.h5: no such run"):
            repair(tmp_path / name)


@pytest.mark.parametrize("taken", ["file", "journal", "link", "itself"])
def test_nothing_is_overwritten(path, tmp_path, walk, taken):
    written = path if taken == "itself" else tmp_path / "new.h5"
    if taken == "file":
        written.write_bytes(b"somebody's")
    elif taken == "journal":
        write_journal(written, walk({"w": (3,)}))
    elif taken == "link":
        written.symlink_to("nowhere")
    before = path.read_bytes()
    with pytest.raises(RunExistsError, match=r"stands already, and nothing was touched\. Name another file with -o\."):
        repair(path, written)
    assert path.read_bytes() == before
    assert taken != "file" or written.read_bytes() == b"somebody's"


def test_a_full_disk_leaves_nothing_behind(path, monkeypatch):
    from wdyn.store import repair as repairing

    def full(temporary, source, **_):
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repairing, "write_run", full)
    with pytest.raises(RunFileError, match=r"repaired\.h5: could not be written: No space left on device\. .* stands"):
        repair(path)
    assert os.listdir(path.parent) == ["a.h5"]


def test_a_file_that_does_not_hold_what_was_saved_never_gets_its_name(path, monkeypatch):
    from wdyn.store import repair as repairing

    honest = repairing.write_run

    def wrong(temporary, source, **more):
        read = source.read
        source.read = lambda name, *where: read(name, *where) + np.float32(name == "fc1.bias")
        honest(temporary, source, **more)
        source.read = read

    monkeypatch.setattr(repairing, "write_run", wrong)
    with pytest.raises(DamagedError, match="does not hold what was written to it"):
        repair(path)
    assert os.listdir(path.parent) == ["a.h5"]


def test_progress_tells_each_stage_to_its_end(path):
    told = []
    repair(path, progress=lambda stage, done: told.append((stage, done)))
    for stage in ("looking for damage", "writing", "reading it back"):
        done = [fraction for each, fraction in told if each == stage]
        assert done == sorted(done)
        assert done[-1] == pytest.approx(1)


@pytest.mark.parametrize("make", [make_run, write_journal])
def test_random_damage_gives_true_values_or_one_sentence(tmp_path, options, rng, make):
    path = make(tmp_path / "a.h5", **options)
    truth, saved = pieces(path), []
    files = [path] if path.exists() else sorted(parts_folder(path).iterdir())
    for _ in range(times(10, 300)):
        file = files[rng.integers(len(files))]
        for _ in flipped(file, random_bits(file, 1, rng)):
            readable = pieces(path)
            with suppress(RunFileError):
                result = repair(path)
                found = pieces(result.written)
                assert {key: value for key, value in found.items() if truth[key] != value} == {}
                assert {key for key in found if key[0] == "value"} >= {
                    ("value", step, name)
                    for kind, step, *rest in (key for key in readable if key[0] == "value")
                    for name in rest
                    if all(("value", step, each) in readable for each in options["arrays_by_step"][0])
                }
                saved.append(verify(result.written).good)
                result.written.unlink()
    assert all(saved)
    assert len(saved) > times(10, 300) / 2


def test_the_command(path):
    flip(path, place_of(path, "weights/fc1.weight", 5))
    code = "from wdyn_cli.main import main; main()"
    command = [sys.executable, "-c", code, "repair", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{path.with_name('a.repaired.h5')}: 64 of 70 steps of {path} saved. Lost:",
        "Damaged at steps 64 to 69: weights/fc1.weight did not match the checksums in the file that was repaired",
    ]
    again = subprocess.run(command, capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.endswith("stands already, and nothing was touched. Name another file with -o.\n")
    done = subprocess.run([*command, "-o", str(path.with_name("b.h5")), "--json"], capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert (told["written"], told["steps"]) == ("b.h5", {"saved": 64, "before": 70})
    assert [note["steps"] for note in told["lost"]] == [[64, 69]]
