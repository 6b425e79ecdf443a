"""The program of a run: from the journal into the file, and what is said where there is none."""

from __future__ import annotations

import json

import h5py
import pytest

import wdyn
from tests.make_run import write_journal
from wdyn.errors import DamagedError, MisuseError
from wdyn.journal.frame import HEADER_SIZE, Kind
from wdyn.journal.scan import scan
from wdyn.places import parts_folder
from wdyn.store import pack as packing
from wdyn.store import programs
from wdyn.store.describe import as_text, describe
from wdyn.store.pack import pack

PROGRAM = {
    "format": 1,
    "inputs": [{"node": "x", "dtype": "float32", "shape": [None, 4]}, {"node": "n", "dtype": "int64", "shape": []}],
    "nodes": [["linear", "aten.linear.default", [{"node": "x"}], {}, "fc1"], ["relu", "aten.relu.default", [], {}, ""]],
    "output": {"node": "relu"},
}
CLOSED = {"what": "closed", "reason": "the recording was closed"}


def before_and_after_packing(path):
    """The run from its journal, then from its file."""
    with wdyn.open_run(path) as run:
        yield run
    pack(path)
    with wdyn.open_run(path) as run:
        yield run


def test_a_program_comes_back_from_journal_and_file(tmp_path, walk, monkeypatch):
    parsed, honest = [], programs.parse_program
    monkeypatch.setattr(programs, "parse_program", lambda text: parsed.append(text) or honest(text))
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}, steps=range(5)), program=PROGRAM, steps_per_segment=2)
    for run in before_and_after_packing(path):
        assert parsed == []
        part = run.select(steps=[2])
        assert run.program == part.program == run.program == PROGRAM
        assert run.no_program == part.no_program == ""
        assert len(parsed) == 1
        parsed.clear()
        with pytest.raises(TypeError):
            run.program["nodes"] = []
        assert not run.notes
        assert "program   runs again: 2 operations on float32 (any, 4) and int64 ()" in as_text(describe(run))
        assert json.loads(json.dumps(describe(run)))["program"]["operations"] == 2
    with h5py.File(path) as file:
        assert json.loads(file["program"][...].tobytes()) == PROGRAM


@pytest.mark.parametrize(
    ("notes", "why"),
    [
        ([(1, {"what": "no program", "reason": "it branches on its input"}), (2, CLOSED)], "it branches on its input"),
        ([(2, CLOSED)], "it was recorded before wdyn exported programs"),
        ([], "the recording was not closed, and had not exported the model so far"),
    ],
)
def test_without_a_program_the_run_says_why(tmp_path, walk, notes, why):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}), notes=notes)
    for run in before_and_after_packing(path):
        assert run.program is None
        assert run.no_program == why
        lines = as_text(describe(run)).splitlines()
        assert f"program   none: {why}" in lines
        assert sum(why in line for line in lines) == 1
        assert describe(run)["no_program"] == why


def damage(path, *, header):
    segment = parts_folder(path) / "seg-000000.wdj"
    frame = next(each for each in scan(segment) if each.header.kind is Kind.PROGRAM)
    data = bytearray(segment.read_bytes())
    data[frame.offset + (17 - HEADER_SIZE if header else 5)] ^= 1
    segment.write_bytes(data)


@pytest.mark.parametrize("header", [True, False])
def test_a_program_damaged_in_the_journal_is_a_note_and_no_lost_run(tmp_path, walk, header):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}, steps=range(1, 5)), program=PROGRAM, notes=[(4, CLOSED)])
    damage(path, header=header)
    for run in before_and_after_packing(path):
        assert run.steps.tolist() == [1, 2, 3, 4]
        assert all(run.state(step) for step in range(1, 5))
        assert run.program is None
        hole = "none is in what the damage left of the recording"
        assert run.no_program == (hole if header else "it was damaged in the journal")
        assert "damaged" in {note["what"] for note in run.notes}
    assert (tmp_path / "a.h5.parts.damaged").is_dir()


def test_a_file_without_its_journals_program_never_gets_its_name(tmp_path, walk, monkeypatch):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}), program=PROGRAM)
    honest = packing.write_run

    def forgetful(temporary, source):
        kept, source.program = source.program, programs.StoredProgram(lambda: None, [])
        honest(temporary, source)
        source.program = kept

    monkeypatch.setattr(packing, "write_run", forgetful)
    with pytest.raises(DamagedError, match="does not hold what its journal holds"):
        pack(path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.h5.parts"]


def test_a_closed_run_says_so(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}), program=PROGRAM)
    pack(path)
    run = wdyn.open_run(path)
    run.close()
    with pytest.raises(MisuseError, match="was closed"):
        _ = run.program
