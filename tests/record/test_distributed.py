"""Two processes train one model: the first records, the other says and writes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed

from tests.record.frames import read
from tests.record.training import small, train
from wdyn.errors import MisuseError
from wdyn.record.distributed import from_first_rank
from wdyn.record.recorder import Recorder

SRC = Path(__file__).parents[2] / "src"
SCRIPT = """
import sys
import torch
from torch import distributed, nn
sys.path.insert(0, {src!r})
from wdyn.record import packing
packing.pack = lambda path: None
from wdyn.record.recorder import Recorder
rank = int(sys.argv[1])
distributed.init_process_group("gloo", init_method="file://" + {meet!r}, rank=rank, world_size=2)
torch.manual_seed(0)
model = nn.parallel.DistributedDataParallel(nn.Linear(4, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with Recorder(model, {path!r}) as rec:
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.full((3, 4), 1.0 + rank)).square().sum().backward()
        optimizer.step()
        rec.log(loss=rank)
print(rec.path, rec.step_count)
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_of_two_processes_the_first_records(tmp_path):
    path = tmp_path / "a.h5"
    script = SCRIPT.format(src=str(SRC), meet=str(tmp_path / "meet"), path=str(path))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-W", "error:::wdyn", "-c", script]
    both = [
        subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, text=True, env=environment) for rank in (0, 1)
    ]
    said = [process.communicate(timeout=600)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said == [[str(path), "5"], [str(path), "0"]]
    found = read(path)
    assert found.order == list(range(6))
    assert found.metrics == [(step, {"loss": 0.0}) for step in range(1, 6)]
    assert found.notes[-1][1]["what"] == "closed"


@pytest.fixture
def second_rank(monkeypatch):
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)


@pytest.mark.parametrize("path", ["taken.h5", None])
def test_another_rank_records_nothing_and_raises_nothing(tmp_path, monkeypatch, second_rank, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.h5").write_bytes(b"the first rank's")
    model = small()
    with Recorder(model, path, sample=(torch.zeros(1), torch.zeros(1))) as rec:
        train(model, 2)
        rec.step()
        rec.log(loss=1.0)
    rec.close()
    assert rec.step_count == 0
    assert rec.path.is_absolute()
    assert rec.path.parent == (tmp_path if path else tmp_path / "checkpoints")
    assert os.listdir(tmp_path) == ["taken.h5"]


def test_misuse_is_said_on_every_rank(tmp_path, second_rank):
    with pytest.raises(MisuseError, match="function of the step"):
        Recorder(small(), tmp_path / "a.h5", schedule=3)


def test_the_others_are_told_whatever_the_first_process_fails_with(monkeypatch):
    told = []
    monkeypatch.setattr(distributed, "broadcast_object_list", lambda said, src: told.extend(said))

    def act():
        raise PermissionError("not yours")

    with pytest.raises(PermissionError, match="not yours"):
        from_first_rank(act)
    assert told == [None, "not yours"]
