"""Chunks and starts of files that wdyn would not write."""

import os
import struct
import time
import zlib

import h5py
import pytest

import wdyn
from tests.store.forging import FILTERS, OWN, SECONDS, check_refused, datasets
from tests.store.hdf5_blocks import blocks, sealed
from wdyn.errors import DamagedError
from wdyn.store.verify import verify

# chunks


def test_a_bomb_is_not_inflated_further_than_a_chunk_is_large(full_run):
    bomb = zlib.compress(bytes(1 << 28), 1)
    with h5py.File(full_run, "a") as file:
        file["weights/fc1.weight"].id.write_direct_chunk((32, 0, 0), bomb)
    check_refused(full_run, "'weights/fc1.weight' has a chunk that is longer than its values")


def test_a_bomb_that_fits_costs_its_chunk_alone(full_run):
    small = zlib.compress(bytes(1 << 20), 9)  # a chunk has 1,536 bytes
    with h5py.File(full_run, "a") as file:
        file["weights/fc1.weight"].id.write_direct_chunk((32, 0, 0), small)
    check_lost(full_run, 32, 63)


def test_a_chunk_that_skips_a_filter_or_is_missing_is_damage(full_run):
    with h5py.File(full_run, "a") as file:
        values = file["weights/fc1.weight"][32:64].tobytes()
        file["weights/fc1.weight"].id.write_direct_chunk((32, 0, 0), zlib.compress(values), filter_mask=1)
    check_lost(full_run, 32, 63)
    with h5py.File(full_run, "a") as file:
        values = file["weights/fc1.weight"][...]
        options = {"chunks": file["weights/fc1.weight"].chunks, **FILTERS}
        del file["weights/fc1.weight"]
        file.create_dataset("weights/fc1.weight", values.shape, "<f4", fillvalue=1.0, **options)[:32] = values[:32]
    check_lost(full_run, 32, 69)


def check_lost(path, first, last):
    started = time.monotonic()
    with wdyn.open_run(path) as run:
        run.state(first - 1)
        for step in (first, last):
            with pytest.raises(DamagedError, match=r"weights/fc1\.weight is damaged at steps"):
                run.state(step)
    assert time.monotonic() - started < SECONDS
    assert {each.dataset for each in verify(path).damaged} == {"weights/fc1.weight"}


def test_tensors_that_lie_in_the_same_bytes_are_refused(full_run):
    with h5py.File(full_run) as file:
        first, second = (file[f"metrics/{name}/value"].id.get_offset() for name in ("loss", "lose"))
    data = bytearray(full_run.read_bytes())
    block = next((start, end) for start, end in blocks(bytes(data)) if struct.pack("<Q", second) in data[start:end])
    at = data.index(struct.pack("<Q", second), block[0])
    data[at : at + 8] = struct.pack("<Q", first)
    full_run.write_bytes(sealed(data, block))
    check_refused(full_run, "lies where other values lie")


# the start of the file


def test_a_user_block_is_refused(full_run):
    full_run.write_bytes(bytes(512) + full_run.read_bytes())
    check_refused(full_run, "not an HDF5 file")


@pytest.mark.parametrize("version", ["earliest", "v108"])
def test_an_old_superblock_is_refused(full_run, version):
    with h5py.File(full_run) as old, h5py.File(full_run.with_name("b.h5"), "w", libver=(version, "v108")) as new:
        for name in (*datasets(old), *OWN):
            options = {} if old[name].chunks is None else {"chunks": old[name].chunks, **FILTERS}
            new.create_dataset(name, data=old[name][...], **options)
    assert full_run.with_name("b.h5").read_bytes()[8] < 3
    check_refused(full_run.with_name("b.h5"), "an HDF5 file, but not a run that wdyn wrote")


def test_a_pipe_and_a_device_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    check_refused(tmp_path / "pipe.h5", "no ordinary file")
    (tmp_path / "null.h5").symlink_to("/dev/null")
    check_refused(tmp_path / "null.h5", "no ordinary file")
