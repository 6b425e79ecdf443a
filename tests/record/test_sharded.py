"""A model whose tensors are spread over two processes is recorded whole, by the first, with the plain one's names."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from wdyn.record.recorder import Recorder
from wdyn.store.reader import open_run

SRC = str(Path(__file__).parents[2] / "src")
SCRIPT = (
    f"SRC = {SRC!r}"
    + """
import hashlib, json, sys
import torch
from torch import distributed, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
sys.path.insert(0, SRC)
from wdyn.record import packing
packing.pack = lambda path: None
from wdyn.errors import WdynError
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import every

rank, folder = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method="file://" + folder + "/meet", rank=rank, world_size=2)


def new():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    for each in (model[0], model[3], model):
        fully_shard(each)
    return model, torch.optim.Adam(model.parameters(), lr=0.1), []


def look(model, seen):
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    seen.append({name: hashlib.sha256(t.contiguous().numpy().tobytes()).hexdigest() for name, t in state.items()})


def train(model, optimizer, seen, steps):
    for step in range(steps):
        torch.manual_seed(10 * step + rank)
        optimizer.zero_grad()
        model(torch.randn(8, 6)).square().sum().backward()
        optimizer.step()
        look(model, seen)


def plain(path, model, optimizer, seen):
    train(model, optimizer, seen, 6)


def record(path, model, optimizer, seen):
    with Recorder(model, path) as rec:
        train(model, optimizer, seen, 6)
        rec.log(loss=rank)


def resume(path, model, optimizer, seen):
    with Recorder(model, path, schedule=every(2)):
        train(model, optimizer, seen, 4)
    with Recorder(model, path, schedule=every(2), resume=True, max_bytes=4000) as rec:
        said = str(rec.step_count)
        train(model, optimizer, seen, 2)
    return said


def twice(path, model, optimizer, seen):
    try:
        Recorder(model, path)
        Recorder(model, path)
    except WdynError as error:
        return str(error)


for task in (plain, record, resume, twice):
    model, optimizer, seen = new()
    look(model, seen)
    print(json.dumps([task(f"{folder}/{task.__name__}.h5", model, optimizer, seen), seen]))
distributed.destroy_process_group()
"""
)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Task to what each of two processes said and saw; one start for all, since loading takes the time."""
    folder = tmp_path_factory.mktemp("sharded")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-W", "error:::wdyn", "-c", SCRIPT]
    both = [
        subprocess.Popen([*command, str(rank), str(folder)], stdout=subprocess.PIPE, text=True, env=environment)
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=600)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    tasks = ("plain", "record", "resume", "twice")
    return folder, {task: [json.loads(lines[k]) for lines in said] for k, task in enumerate(tasks)}


def assert_holds(path, seen, steps):
    with open_run(path) as run:
        assert run.steps.tolist() == steps
        for step in steps:
            state = run.state(step)
            assert {name: hashlib.sha256(a.tobytes()).hexdigest() for name, a in state.items()} == seen[step]


@pytest.mark.slow
def test_whole_tensors_under_plain_names_and_training_unchanged(tmp_path, answers, journal_only):
    folder, said = answers
    plain, recorded, path = said["plain"], said["record"], folder / "record.h5"
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
def test_all_processes_resume_together(answers):
    folder, said = answers
    assert [step for step, _ in said["resume"]] == ["4", "4"]
    assert_holds(folder / "resume.h5", said["resume"][0][1], [0, 2, 4, 6])


@pytest.mark.slow
def test_a_taken_path_fails_in_all_processes(answers):
    first, second = (error for error, _ in answers[1]["twice"])
    assert "is being written by process" in first
    assert "the first process could not begin to record: " in second
