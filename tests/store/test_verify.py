import h5py
import numpy as np
import pytest

from tests.make_run import make_run, write_journal
from wdyn.errors import RunFileError
from wdyn.journal.scan import scan
from wdyn.places import parts_folder
from wdyn.store.verify import Damage, verify


def test_a_whole_file_is_good_and_every_chunk_was_counted(tmp_path, arrays):
    seen = []
    found = verify(make_run(tmp_path / "a.h5", arrays), progress=seen.append)
    assert found.good
    assert found.condition == "finished"
    with h5py.File(tmp_path / "a.h5") as file:
        assert found.chunks == len(file["checksums/crc32"])
        datasets = []
        file.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
    assert found.datasets == len(datasets) - 3  # the three that hold the checksums
    assert seen[-1] == 1
    assert seen == sorted(seen)


def test_damage_is_named_by_dataset_and_steps(tmp_path, arrays):
    path = make_run(tmp_path / "a.h5", arrays, sample=(np.ones(3), np.ones(3)))
    with h5py.File(path, "a") as file:
        file["weights/wide.weight"][33, 0, 0] += 1
        file["weights/wide.weight"][34, 2, 2000] += 1
        file["weights/fc1.bias"][0, 0] += 1
        file["sample/targets"][1] = 0
    found = verify(path)
    steps = list(arrays)
    assert not found.good
    assert set(found.damaged) == {
        Damage("sample/targets", None),
        Damage("weights/fc1.bias", (steps[0], steps[31])),
        Damage("weights/wide.weight", (steps[32], steps[40])),
    }


def test_a_journal_is_checked_step_by_step(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (100,)}, steps=range(5)))
    assert verify(path).good
    segment = parts_folder(path) / "seg-000000.wdj"
    data = bytearray(segment.read_bytes())
    data[scan(segment)[3].offset + 5] ^= 1
    segment.write_bytes(data)
    found = verify(path)
    assert (found.condition, found.chunks) == ("interrupted", 5)
    assert found.damaged == (Damage("seg-000000.wdj", (2, 2)),)


def test_what_is_not_a_run_is_an_error(tmp_path):
    with pytest.raises(RunFileError, match="no such run"):
        verify(tmp_path / "a.h5")
