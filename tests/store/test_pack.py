import json
import os
import shutil
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

import wdyn
from tests.make_run import make_run, write_journal
from wdyn.errors import DamagedError, RunExistsError, RunFileError
from wdyn.journal.frame import Kind
from wdyn.journal.scan import scan
from wdyn.places import parts_folder
from wdyn.store import pack as packing
from wdyn.store.pack import main, pack

DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8"]


def assert_holds(path, arrays):
    """Plain h5py, which knows nothing of wdyn, reads the very bits that were recorded."""
    with h5py.File(path) as file:
        assert file["steps"][...].tolist() == list(arrays)
        for name in next(iter(arrays.values())):
            truth = np.stack([at[name] for at in arrays.values()])
            stored = file[f"weights/{name}"][...]
            assert stored.dtype == truth.dtype
            assert stored.shape == truth.shape
            assert stored.tobytes() == truth.tobytes()


def flip(path, at, bit=1):
    data = bytearray(path.read_bytes())
    data[at] ^= bit
    path.write_bytes(data)


def test_plain_h5py_reads_every_bit(tmp_path, arrays):
    path = make_run(tmp_path / "a.h5", arrays)
    assert_holds(path, arrays)
    assert [each.name for each in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_keeps_its_bits(tmp_path, rng, dtype):
    steps = {s: {"w": np.frombuffer(rng.bytes(8 * 24), dtype)} for s in range(3)}  # NaN payloads, denormals, infinities
    assert_holds(make_run(tmp_path / "a.h5", steps), steps)


def test_bfloat16_is_widened_to_float32(tmp_path, walk):
    steps = walk({"w": (5, 40)})
    path = make_run(tmp_path / "a.h5", steps, bfloat16=["w"])
    # a bfloat16 is the upper half of a float32
    cut = {s: {"w": (a["w"].view("u4") & np.uint32(0xFFFF0000)).view("f4")} for s, a in steps.items()}
    assert_holds(path, cut)
    with wdyn.open_run(path) as run:
        assert run.parameters["w"].dtype == "bfloat16"


@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 65])
def test_any_number_of_steps(tmp_path, walk, count):
    steps = walk({"w": (3, 5)}, steps=range(count))
    assert_holds(make_run(tmp_path / "a.h5", steps), steps)


def test_a_tensor_wider_than_one_read_of_the_journal(tmp_path, walk, monkeypatch):
    monkeypatch.setattr("wdyn.store.write._SLAB_BYTES", 40_000)  # 32 steps of 2,500 values take 320,000
    steps = walk({"w": (9, 300)}, steps=range(40))
    assert_holds(make_run(tmp_path / "a.h5", steps), steps)


def test_segments_are_joined_and_the_last_frame_of_a_step_wins(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3, 4)}, steps=range(7)), steps_per_segment=3)
    later = write_journal(tmp_path / "b.h5", walk({"w": (3, 4)}, steps=[6, 7]))
    shutil.copy(parts_folder(later) / "seg-000000.wdj", parts_folder(path) / "seg-000003.wdj")
    with wdyn.open_run(later) as run:
        truth = run.state(6)["w"]
    pack(path)
    with wdyn.open_run(path) as run:
        assert run.steps.tolist() == list(range(8))
        np.testing.assert_array_equal(run.state(6)["w"], truth)


@pytest.mark.skipif(shutil.which("h5ls") is None, reason="needs h5ls (Debian package hdf5-tools)")
def test_h5ls_reads_it_without_a_plugin(tmp_path, walk):
    path = make_run(tmp_path / "a.h5", walk({"fc1.weight": (3, 4)}))
    listing = subprocess.run(["h5ls", "-r", "-d", str(path)], capture_output=True, text=True, check=True).stdout
    assert "/weights/fc1.weight      Dataset {3, 3, 4}" in listing
    assert "unable to" not in listing.lower()


def test_the_superblock_is_version_3_and_nothing_carries_a_time(tmp_path, arrays):
    path = make_run(tmp_path / "a.h5", arrays, metrics={"loss": {0: 0.5}})
    assert path.read_bytes()[8] == 3  # the byte behind the signature
    with h5py.File(path) as file:
        assert file.id.get_create_plist().get_userblock() == 0
        times = []
        file.visititems(lambda _, item: times.append(h5py.h5o.get_info(item.id).mtime))
    assert len(times) > 10
    assert set(times) == {0}


def test_the_same_journal_gives_the_same_bytes(tmp_path, arrays):
    first, second = (make_run(tmp_path / f"{name}.h5", arrays, metrics={"loss": {0: 0.5}}) for name in "ab")
    assert chunk_sizes(first) == chunk_sizes(second)  # says which, where deflate took another way
    assert first.read_bytes() == second.read_bytes()


def chunk_sizes(path):
    """Each chunk of the weights to its bytes in the file."""
    with h5py.File(path) as file:
        ids = {name: each.id for name, each in file["weights"].items() if each.chunks}
        infos = ((name, each.get_chunk_info(k)) for name, each in ids.items() for k in range(each.get_num_chunks()))
        return {(name, info.chunk_offset): info.size for name, info in infos}


def test_small_weights_take_less_room_than_their_bytes(tmp_path, walk):
    path = make_run(tmp_path / "a.h5", walk({"w": (50, 784)}, steps=range(64)))
    # changes of 1e-3 leave the sign, exponent and upper mantissa of most weights alone: 1.25 of 4 bytes at the least
    assert path.stat().st_size < 0.75 * 64 * 50 * 784 * 4


def test_it_runs_as_a_silent_process(tmp_path, arrays):
    path = write_journal(tmp_path / "a.h5", arrays)
    done = subprocess.run([sys.executable, "-m", "wdyn.store.pack", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert_holds(path, arrays)


def test_main_says_one_sentence_and_returns_1(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "nice", lambda _: 0)
    assert main([str(tmp_path / "a.h5")]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'a.h5'}: no journal a.h5.parts to pack.\n"
    assert main([]) == 1


def test_a_live_recorder_is_not_disturbed(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}), live=True)
    with pytest.raises(RunFileError, match=f"process {os.getpid()} is still recording"):
        pack(path)
    assert not path.exists()


def test_an_empty_journal_is_refused_and_stays(tmp_path):
    path = write_journal(tmp_path / "a.h5", {}, layers=[])
    with pytest.raises(RunFileError, match=r"a\.h5: an empty run, no step was recorded"):
        pack(path)
    assert parts_folder(path).is_dir()


def test_packing_twice_does_nothing(tmp_path, arrays):
    path = make_run(tmp_path / "a.h5", arrays)
    before = path.read_bytes()
    pack(path)
    assert path.read_bytes() == before


def test_a_packer_that_died_before_deleting_the_journal_is_finished(tmp_path, arrays):
    path = make_run(tmp_path / "a.h5", arrays)
    write_journal(path, arrays)
    pack(path)
    assert not parts_folder(path).exists()
    assert_holds(path, arrays)


def test_a_journal_beside_another_runs_file_is_not_deleted(tmp_path, arrays, walk):
    path = make_run(tmp_path / "a.h5", arrays)
    write_journal(path, walk({"w": (3,)}))
    with pytest.raises(DamagedError, match="does not hold what its journal holds"):
        pack(path)
    assert parts_folder(path).is_dir()
    assert_holds(path, arrays)


def test_a_killed_packer_is_repeated_and_swept_up_after(tmp_path, arrays):
    path = write_journal(tmp_path / "a.h5", arrays)
    died = subprocess.Popen([sys.executable, "-c", ""])
    died.wait()
    (tmp_path / f"a.h5.tmp-{died.pid}").write_bytes(b"half")
    (tmp_path / "a.h5.tmp-1").write_bytes(b"of a process that runs")
    pack(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.h5", "a.h5.tmp-1"]


def test_a_packer_killed_at_work_leaves_a_run_that_opens(tmp_path, walk):
    steps = walk({"w": (400, 400)}, steps=range(64))
    path = write_journal(tmp_path / "a.h5", steps)
    packer = subprocess.Popen([sys.executable, "-m", "wdyn.store.pack", str(path)])
    while packer.poll() is None and not list(tmp_path.glob("a.h5.tmp-*")):
        time.sleep(0.001)
    packer.kill()
    packer.wait()
    with wdyn.open_run(path) as run:
        np.testing.assert_array_equal(run.state(63)["w"], steps[63]["w"])
    pack(path)
    assert_holds(path, steps)


def test_a_damaged_step_is_left_out_and_noted(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (100,)}, steps=range(5)))
    segment = parts_folder(path) / "seg-000000.wdj"
    flip(segment, segment.stat().st_size - 2 * (52 + 400) - 10)  # inside the third frame from the end
    pack(path)
    with wdyn.open_run(path) as run:
        assert run.steps.tolist() == [0, 1, 3, 4]
        assert [(note["what"], note["steps"]) for note in run.notes] == [("damaged", [2, 2])]


def test_a_file_that_differs_from_the_journal_never_gets_its_name(tmp_path, arrays, monkeypatch):
    path = write_journal(tmp_path / "a.h5", arrays)
    honest = packing.write_run

    def wrong(temporary, source):
        read = source.read
        source.read = lambda name, *where: read(name, *where) + np.float32(name == "fc1.bias")
        honest(temporary, source)

    monkeypatch.setattr(packing, "write_run", wrong)
    with pytest.raises(DamagedError, match="does not hold what its journal holds"):
        pack(path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.h5.parts"]


def test_a_full_disk_leaves_the_journal(tmp_path, arrays, monkeypatch):
    path = write_journal(tmp_path / "a.h5", arrays)

    def full(temporary, source):
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packing, "write_run", full)
    with pytest.raises(
        RunFileError, match=r"could not be packed: No space left on device\. The journal a\.h5\.parts stands\.$"
    ):
        pack(path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.h5.parts"]


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, arrays, monkeypatch):
    path = write_journal(tmp_path / "a.h5", arrays)
    honest = packing.write_run

    def slow(temporary, source):
        honest(temporary, source)
        path.write_bytes(b"somebody's")

    monkeypatch.setattr(packing, "write_run", slow)
    with pytest.raises(RunExistsError, match=r"appeared while .* Neither was touched"):
        pack(path)
    assert path.read_bytes() == b"somebody's"


def test_facts_notes_and_small_things_are_kept(tmp_path, walk, rng):
    steps = walk({"fc1.weight": (3, 4), "bn.running_mean": (3,)})
    sample = rng.normal(size=(5, 4)).astype(np.float16), np.array([True, False, True, True, False])
    path = make_run(
        tmp_path / "a.h5", steps, buffers=["bn.running_mean"], metrics={"val/loss": {1: 0.25, 2: float("nan")}},
        sample=sample, metadata={"seed": 3}, notes=[(2, {"what": "closed", "reason": "close()"})],
    )  # fmt: skip
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["metrics/val%2Floss/step"], [1, 2])
        np.testing.assert_array_equal(file["metrics/val%2Floss/value"], [0.25, np.nan])
        np.testing.assert_array_equal(file["buffers/bn.running_mean"], [a["bn.running_mean"] for a in steps.values()])
        np.testing.assert_array_equal(file["sample/inputs"], sample[0])
        np.testing.assert_array_equal(file["sample/targets"], sample[1].astype(np.uint8))
        meta = json.loads(file["meta"][...].tobytes())
    assert meta["metadata"] == {"seed": 3}
    assert meta["notes"] == [{"what": "closed", "reason": "close()", "step": 2}]
    assert meta["format"] == 1


def flip_first(path, kind, *, header=False):
    """Flip a bit of the first frame of a kind."""
    segment = parts_folder(path) / "seg-000000.wdj"
    frame = next(each for each in scan(segment) if each.header.kind is kind)
    flip(segment, frame.offset + (-20 if header else 5))


def test_a_damaged_sample_is_left_out_and_the_journal_kept(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (5,)}), sample=(np.ones(3), np.ones(3)))
    flip_first(path, Kind.SAMPLE)
    pack(path)
    with wdyn.open_run(path) as run:
        assert run.sample is None
        assert run.steps.tolist() == [0, 1, 2]
        assert [note["reason"].partition(":")[0] for note in run.notes] == ["sample lost"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.h5", "a.h5.parts.damaged"]


def test_a_journal_with_a_hole_is_kept_and_the_steps_in_doubt_left_out(tmp_path, walk):
    masks = {0: {"w": np.array([True, False, True])}, 2: {"w": np.array([True, False, False])}}
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}, steps=range(6)), masks=masks, steps_per_segment=2)
    (parts_folder(path) / "seg-000001.wdj").unlink()
    pack(path)
    with wdyn.open_run(path) as run:
        assert run.steps.tolist() == [0, 1]
        assert run.notes[0]["steps"] == [2, 3]
        assert run.notes[1]["steps"] == [4, 5]
    assert (tmp_path / "a.h5.parts.damaged" / "seg-000002.wdj").exists()
    pack(path)  # finds nothing left to do
    with wdyn.open_run(path) as run:
        assert run.steps.tolist() == [0, 1]


def test_a_journal_half_deleted_is_no_journal_and_swept_up(tmp_path, arrays, monkeypatch):
    path = write_journal(tmp_path / "a.h5", arrays, steps_per_segment=10)

    def killed(folder, **_):
        if folder.exists():
            (folder / "seg-000001.wdj").unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        pack(path)
    monkeypatch.undo()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.h5", "a.h5.parts.packed"]
    pack(path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.h5"]
    assert_holds(path, arrays)


def test_a_lock_of_another_machine_names_it_and_how_to_go_on(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}))
    lock = parts_folder(path) / "lock"
    lock.write_text(json.dumps({"pid": 7, "host": "elsewhere", "boot_id": None, "started": None}))
    with pytest.raises(RunFileError, match=rf"{lock} says that process 7 of elsewhere .* delete {lock}"):
        pack(path)


def test_what_libhdf5_says_of_a_full_disk_becomes_one_sentence(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (300, 300)}, steps=range(40)))
    # a limit on the size of files makes the very calls fail that fail on a full disk
    limited = "import resource, sys; from wdyn.store.pack import main; resource.setrlimit(resource.RLIMIT_FSIZE, "
    limited += "(100_000, 100_000)); sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", limited, str(path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"{path}: could not be packed: File too large. The journal a.h5.parts stands.\n"
    assert [each.name for each in tmp_path.iterdir()] == ["a.h5.parts"]
