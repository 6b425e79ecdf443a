"""A model whose tensors are spread over two processes is recorded whole, by the first, with the plain one's names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from wdyn.record.recorder import Recorder
from wdyn.store.reader import open_run

SRC = Path(__file__).parents[2] / "src"
SCRIPT = """
import hashlib, json, sys
import torch
from torch import distributed, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
sys.path.insert(0, {src!r})
from wdyn.record import packing
packing.pack = lambda path: None
from wdyn.errors import WdynError
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import every

rank, task = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method="file://" + {meet!r}, rank=rank, world_size=2)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
for each in (model[0], model[3], model):
    fully_shard(each)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
seen = []

def look():
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    seen.append({{name: hashlib.sha256(t.contiguous().numpy().tobytes()).hexdigest() for name, t in state.items()}})

def train(steps):
    for step in range(steps):
        torch.manual_seed(10 * step + rank)
        optimizer.zero_grad()
        model(torch.randn(8, 6)).square().sum().backward()
        optimizer.step()
        look()

look()
said = ""
if task == "plain":
    train(6)
elif task == "record":
    with Recorder(model, {path!r}) as rec:
        train(6)
        rec.log(loss=rank)
elif task == "resume":
    with Recorder(model, {path!r}, schedule=every(2)) as rec:
        train(4)
    with Recorder(model, {path!r}, schedule=every(2), resume=True, max_bytes=4000) as rec:
        said = str(rec.step_count)
        train(2)
elif task == "twice":
    try:
        Recorder(model, {path!r})
        Recorder(model, {path!r})
    except WdynError as error:
        said = str(error)
print(json.dumps([said, seen]))
distributed.destroy_process_group()
"""


@pytest.fixture
def run_two(tmp_path):
    def run(task):
        path = tmp_path / "a.h5"
        script = SCRIPT.format(src=str(SRC), meet=str(tmp_path / f"meet-{task}"), path=str(path))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        command = [sys.executable, "-W", "error:::wdyn", "-c", script]
        both = [
            subprocess.Popen([*command, str(rank), task], stdout=subprocess.PIPE, text=True, env=environment)
            for rank in (0, 1)
        ]
        answers = [process.communicate(timeout=90)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0]
        return path, [json.loads(answer) for answer in answers]

    return run


def assert_holds(path, seen, steps):
    import hashlib

    with open_run(path) as run:
        assert run.steps.tolist() == steps
        for step in steps:
            state = run.state(step)
            assert {name: hashlib.sha256(a.tobytes()).hexdigest() for name, a in state.items()} == seen[step]


@pytest.mark.slow
def test_whole_tensors_under_plain_names_and_training_unchanged(tmp_path, run_two, journal_only):
    _, plain = run_two("plain")
    path, recorded = run_two("record")
    assert plain[0][1] == recorded[0][1]
    assert_holds(path, recorded[0][1], list(range(7)))
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.BatchNorm1d(5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    Recorder(model, tmp_path / "plain.h5").close()
    with open_run(path) as run, open_run(tmp_path / "plain.h5") as alone:
        assert run.layers == alone.layers
        assert run.meta["model"] == alone.meta["model"] == "Sequential"
        assert {n: a.shape for n, a in run.state(0).items()} == {n: a.shape for n, a in alone.state(0).items()}
        assert run.metrics["loss"].values.tolist() == [0.0]
        assert "spread over several processes" in run.no_program


@pytest.mark.slow
def test_all_processes_resume_together(run_two):
    path, answers = run_two("resume")
    assert [said for said, _ in answers] == ["4", "4"]
    assert_holds(path, {step: answers[0][1][step] for step in range(7)}, [0, 2, 4, 6])


@pytest.mark.slow
def test_a_taken_path_fails_in_all_processes(run_two):
    _, answers = run_two("twice")
    assert "is being written by process" in answers[0][0]
    assert "the first process could not begin to record: " in answers[1][0]
