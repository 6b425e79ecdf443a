import json
import shutil
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

import wdyn
from tests.make_run import make_run
from tests.store.forging import everything
from wdyn.errors import DamagedError, RunFileError
from wdyn.journal.frame import MOST_PROGRAM
from wdyn.store.chunks import binding, checksum
from wdyn.store.describe import describe


@pytest.fixture
def path(tmp_path, walk):
    return make_run(
        tmp_path / "a.h5",
        walk({"fc1.weight": (3, 4)}, steps=range(35)),
        metrics={"loss": {0: 1.0}},
        masks={3: {"fc1.weight": np.eye(3, 4) > 0}},
        sample=(np.ones(2), np.ones(2)),
        program={"inputs": [], "nodes": [["relu", "aten.relu.default", [], {}, ""]]},
    )


def refused(path, match):
    with pytest.raises(RunFileError, match=match) as caught:
        wdyn.open_run(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text


def test_not_a_file_and_not_hdf5(tmp_path):
    for folder in (tmp_path, Path(), Path("/")):
        refused(folder, "a folder, not a run file")
    for name, content, text in [("zero", b"", "empty"), ("text", b"hello, hello", "not an HDF5 file")]:
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, text)


def test_hdf5_that_is_not_ours(tmp_path):
    with h5py.File(tmp_path / "keras.h5", "w") as file:
        file["model_weights/dense/kernel"] = np.ones((2, 3))
    refused(tmp_path / "keras.h5", "an HDF5 file, but not a run that wdyn wrote")
    with h5py.File(tmp_path / "meta.h5", "w") as file:
        file["meta"] = np.frombuffer(b'{"hello": 1}', np.uint8)
    refused(tmp_path / "meta.h5", "not a run that wdyn wrote")


def test_a_newer_format_says_how_to_upgrade(path):
    with h5py.File(path, "a") as file:
        meta = json.loads(file["meta"][...].tobytes()) | {"format": 3}
        del file["meta"]
        file["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        file["something new"] = np.ones(2)
    refused(path, "file format 3, but this wdyn reads 1. Upgrade with: pip install -U wdyn")


def test_a_file_cut_short_anywhere_is_refused(path, tmp_path):
    data = path.read_bytes()
    short = tmp_path / "short.h5"
    for percent in range(1, 100):
        short.write_bytes(data[: len(data) * percent // 100])
        refused(short, "cut short|not an HDF5 file")


def test_an_empty_run_says_so(path):
    with h5py.File(path, "a") as file:
        for name in ("steps", "time"):
            dtype = file[name].dtype
            del file[name]
            file.create_dataset(name, (0,), dtype)
    refused(path, "has another shape or type than its checksums|empty run")


def add_soft_link(file):
    file["weights/other"] = h5py.SoftLink("/weights/fc1.weight")


def add_external_link(file):
    file["weights/other"] = h5py.ExternalLink("/etc/passwd", "/")


def add_text(file):
    file["note"] = "text"


def add_references(file):
    file.create_dataset("ref", (1,), h5py.ref_dtype)


def add_compound(file):
    file["pair"] = np.zeros(2, [("a", "i4"), ("b", "f4")])


def add_external_storage(file):
    file.create_dataset("raw", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def add_virtual(file):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("virtual", layout)


def add_other_filter(file):
    file.create_dataset("lzf", data=np.ones(100), compression="lzf", chunks=(50,))


def add_deep_group(file):
    file.create_group("a/b/c/d")


def add_cycle(file):
    file["weights/loop"] = file["weights"]


def add_dataset(file):
    file["weights/more"] = np.ones(3)


def add_members(file):
    file["metrics/x/more"] = np.ones(3)


def add_big_endian(file):
    file["big"] = np.ones(3, ">f4")


def drop_weights(file):
    del file["weights/fc1.weight"]


def change_shape(file):
    del file["weights/fc1.weight"]
    file["weights/fc1.weight"] = np.ones((35, 4, 3), np.float32)


def drop_checksums(file):
    del file["checksums"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (add_soft_link, "is a link to somewhere else"), (add_external_link, "is a link to somewhere else"),
        (add_text, "neither integers nor floats"), (add_references, "neither integers nor floats"),
        (add_compound, "neither integers nor floats"), (add_external_storage, "is stored outside of the file"),
        (add_virtual, "is stored outside of the file"), (add_other_filter, "another filter than shuffle and gzip"),
        (add_big_endian, "is big-endian"), (add_deep_group, "in a group too deep"), (add_cycle, "in a group too deep"),
        (add_dataset, "'weights/more' has no checksum"), (drop_weights, "'weights/fc1.weight' is missing"),
        (change_shape, "another shape or type than its checksums"), (drop_checksums, "'checksums/index' is missing"),
        (add_members, "'metrics/x/more' has no checksum"),
    ],
)  # fmt: skip
def test_whatever_format_md_does_not_allow_is_refused(path, change, what):
    with h5py.File(path, "a") as file:
        change(file)
    refused(path, f"{what}.*, which no run that wdyn wrote has. Nothing was read from it.$")


def test_a_damaged_table_of_checksums_is_no_table(path):
    with h5py.File(path, "a") as file:
        file["checksums/crc32"][-1] ^= 1
    refused(path, "its table of checksums is damaged")


def forge(path, change):
    """`forge_sums` that leaves the checksums of values alone."""
    forge_sums(path, lambda file, index, sums: change(file, index))


def forge_sums(path, change):
    """Let wdyn itself write a table of checksums over a changed file, as somebody with a purpose could."""
    with h5py.File(path, "a") as file:
        index = json.loads(file["checksums/index"][...].tobytes())
        sums = file["checksums/crc32"][...]
        change(file, index, sums)
        text = np.frombuffer(json.dumps(index).encode(), np.uint8)
        del file["checksums/index"]
        file["checksums/index"] = text
        file["checksums/crc32"][...] = sums
        file["checksums/self"][0] = zlib.crc32(sums.tobytes(), zlib.crc32(text.tobytes()))


def test_a_tensor_that_is_not_among_the_facts_is_refused(path):
    def change(file, index):
        file.move("weights/fc1.weight", "weights/fc2.weight")
        next(each for each in index if each["path"] == "weights/fc1.weight")["path"] = "weights/fc2.weight"

    forge(path, change)
    refused(path, "'weights/fc2.weight' has a name, shape or type")


def test_a_count_of_checksums_that_is_not_the_count_of_chunks_is_refused(path):
    forge(path, lambda file, index: index[-1].update(count=7))
    refused(path, "another number of checksums than of chunks")


def replace_program(path, values, **options):
    """Put another dataset in the place of the program, with checksums that match."""

    def change(file, index, sums):
        del file["program"]
        file.create_dataset("program", data=values, **options)
        entry = next(each for each in index if each["path"] == "program")
        entry |= {"dtype": values.dtype.str, "shape": list(values.shape), "chunks": options.get("chunks")}
        bound = binding("program", values.dtype, values.shape)
        sums[entry["first"]] = checksum(bound, (0,) * values.ndim, values)

    forge_sums(path, change)


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (np.zeros((2, 2), np.uint8), {}),
        (np.zeros(2, np.int32), {}),
        (np.zeros(8, np.uint8), {"chunks": (8,), "shuffle": True, "compression": "gzip"}),
        (np.zeros(MOST_PROGRAM + 1, np.uint8), {}),
    ],
)
def test_a_program_that_is_no_row_of_bytes_or_too_long_is_refused(path, values, options):
    replace_program(path, values, **options)
    refused(path, "'program' has a name, shape or type")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"[1, 2]", "a list, no object"),
        (b'{"inputs": [], "nodes": ', "Expecting value"),
        (b'{"inputs": [], "nodes": [NaN]}', "NaN is no JSON"),
        (b'{"inputs": [], "nodes": ' + b"[" * 70 + b"]" * 70 + b"}", "more than 64 lists in each other"),
        (b'{"inputs": [], "nodes": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "lists in lists without end"),
        (b'{"inputs": [], "nodes": [' + b"[]," * (1 << 20) + b"[]]}", "more than 1,048,576 lists"),
        (b'{"inputs": [], "nodes": {}}', "without inputs and nodes"),
        (b'{"inputs": [{"dtype": "float32"}], "nodes": []}', "without inputs and nodes"),
        (b'{"inputs": [3], "nodes": []}', "without inputs and nodes"),
        (b"\xff", "'utf-8' codec can't decode"),
        (b"", "Expecting value"),
    ],
)
def test_a_program_that_wdyn_would_not_write_is_none_and_costs_nothing_else(path, text, why):
    replace_program(path, np.frombuffer(text, np.uint8))
    with wdyn.open_run(path) as run:
        assert run.program is None
        assert run.no_program.startswith(f"it is not what wdyn would write ({why}")
        assert run.state(34)
        assert describe(run)["program"] is None


def test_a_damaged_program_costs_nothing_else(path):
    with h5py.File(path, "a") as file:
        file["program"][3] ^= 1
    with wdyn.open_run(path) as run:
        assert run.program is None
        assert run.no_program == "it does not match its checksum"
        assert run.state(34)


def test_attributes_of_others_do_no_harm(path):
    before = everything(path)
    with h5py.File(path, "a") as file:
        file.attrs["note"] = "seen"
    assert everything(path) == before


def test_a_changed_value_is_damage(path):
    with h5py.File(path, "a") as file:
        file["weights/fc1.weight"][33, 1, 1] += 1
    with wdyn.open_run(path) as run:
        assert run.state(31)
        with pytest.raises(DamagedError, match=r"weights/fc1.weight is damaged at steps 32 to 34\. .*wdyn verify"):
            run.state(33)


def test_swapped_chunks_are_damage(path):
    """Right bytes in the wrong place have a right checksum only if the checksum knows no place."""
    with h5py.File(path, "a") as file:
        dataset = file["weights/fc1.weight"].id
        first, second = (dataset.read_direct_chunk((at, 0, 0))[1] for at in (0, 32))
        dataset.write_direct_chunk((0, 0, 0), second)
        dataset.write_direct_chunk((32, 0, 0), first)
    with wdyn.open_run(path) as run, pytest.raises(DamagedError):
        run.state(0)


@pytest.mark.parametrize("name", ["steps", "time", "metrics/loss/value", "masks/fc1.weight/bits"])
def test_damage_in_small_things_is_found_at_opening(path, name):
    with h5py.File(path, "a") as file:
        file[name][0] = 1 if file[name].dtype != np.uint8 else file[name][0] ^ 1
        if name == "steps":
            file[name][0] = -5
        if name == "metrics/loss/value":
            file[name][0] = 1.5
    refused(path, f"{name} does not match its checksum")


def test_damaged_facts_are_damage_and_not_a_strangers(path):
    with h5py.File(path, "a") as file:
        file["meta"][0] ^= 1
    refused(path, "meta does not match its checksum")


def test_a_copy_is_as_good(path, tmp_path):
    shutil.copy(path, tmp_path / "b.h5")
    assert everything(tmp_path / "b.h5") == everything(path)
