"""A search that was stopped, in whatever way, goes on and ends as one that was not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.tickets.lottery_kit import (
    content,
    small,
    training,
)  # fmt: skip
from wdyn.errors import RunExistsError
from wdyn.tickets import find_ticket, open_search
from wdyn.tickets.optimizer_state import load_state

pytestmark = pytest.mark.usefixtures("packed_here")


ROOT = Path(__file__).parents[2]


SCRIPT = """
import os, random, signal, sys, time, torch
sys.path.insert(0, {root!r})
torch.set_num_threads(1)
from tests.tickets.lottery_kit import training, with_norm
from wdyn.tickets import find_ticket

def search(folder, kill_after=None):
    begin, pid = time.monotonic(), os.fork()
    if pid == 0:
        options = dict(rounds=2, rewind_to=5, optimizer_state="rewound")
        find_ticket(with_norm, training(30, (1, 3, 3)), folder=folder, **options)
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    assert kill_after is not None or status == 0
    return time.monotonic() - begin

random.seed(0)
took = search("whole")
for _ in range({kills}):
    search("killed", random.uniform(0, 1) * took / 2)
search("killed")
"""


def test_a_search_that_was_interrupted_goes_on_and_repeats_nothing(tmp_path):
    made = []

    def train(model, recorder):
        made.append(1)
        training()(model, recorder)
        if len(made) == 3:
            raise KeyboardInterrupt

    find_ticket(small, training(), folder=tmp_path / "whole", rounds=3)
    with pytest.raises(KeyboardInterrupt):
        find_ticket(small, train, folder=tmp_path / "cut", rounds=3)
    there = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cut").iterdir()}
    assert there.keys() == {"round-00.h5", "round-01.h5", "search.json"}
    told = []
    search = find_ticket(small, train, folder=tmp_path / "cut", rounds=3, progress=lambda *each: told.append(each))
    assert len(made) == 5
    assert told[0] == ("round 0 of 3", 0.0)
    assert told[-1] == ("round 3 of 3", 1.0)
    assert all((tmp_path / "cut" / name).stat().st_mtime_ns == at for name, at in there.items())
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert open_search(tmp_path / "cut") == search
    assert find_ticket(small, train, folder=tmp_path / "cut", rounds=3) == search
    assert len(made) == 5


@pytest.mark.slow
def test_a_search_killed_at_random_ends_as_an_undisturbed_one(tmp_path):
    script = SCRIPT.format(root=str(ROOT), kills=os.environ.get("WDYN_KILLS", "2"))
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    names = {folder: sorted(path.name for path in (tmp_path / folder).iterdir()) for folder in ("whole", "killed")}
    assert names["killed"] == names["whole"]
    states = [load_state(tmp_path / folder / "round-00-optimizer.npz") for folder in names]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][n][k], states[1][n][k]) for n in states[0] for k in states[0][n])


def test_what_a_dead_process_left_is_taken_away_and_nothing_else(tmp_path):
    left = tmp_path / ".unfinished" / "0123" / "round-00.h5.parts"
    left.mkdir(parents=True)
    (left / "seg-000000.wdj").write_bytes(b"half")
    (tmp_path / ".unfinished" / "lock").write_text(
        json.dumps({"pid": 2**22 + 1, "host": os.uname().nodename, "boot_id": None, "started": None})
    )
    (tmp_path / "notes.txt").write_text("mine")
    find_ticket(small, training(), folder=tmp_path, rounds=1)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "search.json", "round-00.h5", "round-01.h5"}


def test_two_searches_in_one_folder_are_refused(tmp_path):
    def train(model, recorder):
        with pytest.raises(RunExistsError, match=f"process {os.getpid()} on"):
            find_ticket(small, training(), folder=tmp_path)
        training()(model, recorder)

    find_ticket(small, train, folder=tmp_path, rounds=1)
