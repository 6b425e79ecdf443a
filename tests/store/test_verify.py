import h5py
import numpy as np
import pytest

from tests.make_run import make_run, write_journal
from wdyn.errors import RunFileError
from wdyn.journal.frame import Kind
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
    assert (found.condition, found.chunks) == ("interrupted", 6)
    assert found.damaged == (Damage("seg-000000.wdj", (2, 2)),)


def test_what_is_not_a_run_is_an_error(tmp_path):
    with pytest.raises(RunFileError, match="no such run"):
        verify(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        (Kind.SCHEMA, Damage("seg-000000.wdj, schema", None)),
        (Kind.SAMPLE, Damage("seg-000000.wdj, sample", None)),
        (Kind.PROGRAM, Damage("seg-000000.wdj, program", None)),
        (Kind.METRICS, Damage("seg-000000.wdj, metrics", (1, 1))),
        (Kind.NOTE, Damage("seg-000000.wdj, note", (1, 1))),
        (Kind.MASKS, Damage("seg-000000.wdj, masks", (1, 1))),
    ],
)
def test_every_kind_of_frame_of_a_journal_is_checked(tmp_path, walk, kind, damage):
    path = write_journal(
        tmp_path / "a.h5", walk({"w": (3,)}, steps=range(4)), sample=(np.ones(3), np.ones(3)),
        metrics={"loss": {1: 0.5}}, masks={1: {"w": np.array([True, False, True])}},
        program={"inputs": [], "nodes": []},
        notes=[(1, {"what": "skipped", "reason": "slow"}), (3, {"what": "closed", "reason": "close()"})],
        steps_per_segment=3,
    )  # fmt: skip
    assert verify(path).good
    number = 1 if kind is Kind.NOTE else 0  # a schema that is damaged in one segment is read from the other
    segment = parts_folder(path) / f"seg-00000{number}.wdj"
    data = bytearray(segment.read_bytes())
    data[next(each for each in scan(segment) if each.header.kind is kind).offset + 5] ^= 1
    segment.write_bytes(data)
    found = verify(path).damaged
    assert Damage(damage.dataset.replace("seg-000000", segment.stem), damage.steps) in found
    assert (Damage("steps that a hole makes unknown", (1, 3)) in found) == (kind is Kind.MASKS)


def test_a_hole_is_damage(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (100,)}, steps=range(5)))
    segment = parts_folder(path) / "seg-000000.wdj"
    frame = scan(segment)[3]
    data = bytearray(segment.read_bytes())
    data[frame.offset - 30] ^= 1
    segment.write_bytes(data)
    where = f"bytes {frame.offset - 52} to {frame.offset + 400}"
    assert verify(path).damaged == (Damage(f"seg-000000.wdj lost 1 frame at {where}", (2, 2)),)
