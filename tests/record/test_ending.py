# ruff: noqa: SIM117 - a warning may come at any moment of a training, its end included
"""How a recording ends: closed, packed, with an exception, with the process, or not in a forked child."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.record.conftest import really_pack
from tests.record.frames import read
from tests.record.training import small, train
from wdyn.journal.frame import Kind
from wdyn.journal.lock import live_holder
from wdyn.places import parts_folder
from wdyn.record import packing
from wdyn.record.recorder import Recorder

SRC = Path(__file__).parents[2] / "src"


def test_closing_twice_and_using_it_afterwards(tmp_path, journal_only):
    model = small()
    rec = Recorder(model, tmp_path / "a.h5")
    train(model, 2)
    rec.close()
    rec.close()
    train(model, 1)
    rec.step()
    rec.log(loss=1.0)
    assert rec.step_count == 2
    assert journal_only == [tmp_path / "a.h5"]
    assert read(tmp_path / "a.h5").order == [0, 1, 2]


def test_an_exception_in_the_block_closes_and_passes(tmp_path):
    with pytest.raises(KeyError), Recorder(small(), tmp_path / "a.h5"):
        raise KeyError("the user's own")
    assert read(tmp_path / "a.h5").notes[-1][1]["what"] == "closed"


def test_warnings_made_errors_do_not_reach_the_loop(tmp_path, recwarn, capsys):
    import warnings

    model = small()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Recorder(model, tmp_path / "a.h5"):
            train(model, 1)
            model[0].weight = nn.Parameter(torch.zeros(3, 4))
            train(model, 1)
    assert "recording ended" in capsys.readouterr().err


def test_a_failed_packing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "pack", lambda path: "exit status 1, no room")
    model = small()
    with pytest.warns(UserWarning, match="packing failed: exit status 1, no room. What was recorded stands in"):
        with Recorder(model, tmp_path / "a.h5"):
            train(model, 1)


def test_pack_says_what_the_process_said(tmp_path):
    problem = really_pack(tmp_path / "nothing.h5")
    assert problem is not None
    assert "no journal nothing.h5.parts to pack" in problem


def test_the_whole_way_into_a_run_file(tmp_path, packing_on):
    pytest.importorskip("wdyn.store.pack")
    h5py = pytest.importorskip("h5py")
    model = small()
    with Recorder(model, tmp_path / "a.h5") as rec:
        seen = train(model, 40)
        rec.log(loss=0.5)
    assert not parts_folder(tmp_path / "a.h5").exists()
    with h5py.File(tmp_path / "a.h5") as file:
        for name in seen[0]:
            assert [value.tobytes() for value in file[f"weights/{name}"][:]] == [step[name] for step in seen]
        assert file["steps"][:].tolist() == list(range(41))


SCRIPT = """
import os, sys
import torch
from torch import nn
sys.path.insert(0, {src!r})
from wdyn.record import packing
packing.pack = lambda path: None
from wdyn.record.recorder import Recorder
torch.manual_seed(0)
model = nn.Linear(300, 200)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
Recorder(model, {path!r})
def update():
    model(torch.randn(2, 300)).square().sum().backward()
    optimizer.step()
"""


def start(path: Path, body: str) -> subprocess.Popen[str]:
    script = SCRIPT.format(src=str(SRC), path=str(path)) + body
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.slow
def test_killed_while_recording(tmp_path):
    process = start(tmp_path / "a.h5", "while True: update()")
    folder, due = parts_folder(tmp_path / "a.h5"), time.monotonic() + 600
    while not folder.exists() or sum(p.stat().st_size for p in folder.iterdir()) < 5_000_000:
        assert time.monotonic() < due
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    found = read(tmp_path / "a.h5")
    assert found.order == list(range(len(found.order)))
    assert len(found.order) > 10
    assert (folder / "lock").exists()
    assert live_holder(folder) is None


@pytest.mark.slow
def test_interpreter_exit_closes_and_h5py_is_never_loaded(tmp_path):
    process = start(tmp_path / "a.h5", "for _ in range(5): update()\nprint('h5py' in sys.modules)")
    assert process.communicate()[0].strip() == "False"
    assert process.returncode == 0
    found = read(tmp_path / "a.h5")
    assert found.order == list(range(6))
    assert found.notes[-1][1]["what"] == "closed"
    assert not (parts_folder(tmp_path / "a.h5") / "lock").exists()


@pytest.mark.slow
def test_a_forked_child_records_nothing(tmp_path):
    body = """
for _ in range(3): update()
import warnings; warnings.simplefilter("ignore")
child = os.fork()
update()
if child == 0:
    import gc
    sys.exit([each.step_count for each in gc.get_objects() if isinstance(each, Recorder)] != [3])
print(os.waitpid(child, 0)[1])
update()
"""
    process = start(tmp_path / "a.h5", body)
    assert process.communicate()[0].strip() == "0"
    assert read(tmp_path / "a.h5").order == list(range(6))


def test_the_first_frames(tmp_path, exporting_on):
    model = small()
    with Recorder(model, tmp_path / "a.h5", sample=(torch.zeros(1, 4), torch.zeros(1))):
        train(model, 1)
    kinds = [Kind.SCHEMA, Kind.SAMPLE, Kind.STEP, Kind.NOTE, Kind.STEP, Kind.PROGRAM, Kind.NOTE]
    assert read(tmp_path / "a.h5").kinds == kinds
    lock = parts_folder(tmp_path / "a.h5") / "lock"
    assert not lock.exists()
    assert json.loads(read(tmp_path / "a.h5").schema.to_json())["meta"]["layers"]
