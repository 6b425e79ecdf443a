"""Forked children, DataLoader workers and threads beside a Recorder: nothing hangs, and no byte of the run changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.record.frames import read

pytestmark = pytest.mark.slow
SRC = Path(__file__).parents[2] / "src"
HEAD = """
import gc, hashlib, os, random, signal, sys, threading, time
from pathlib import Path
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from wdyn.places import parts_folder
from wdyn.record import packing
from wdyn.record.recorder import Recorder

class Data(Dataset):
    def __len__(self):
        return 32
    def __getitem__(self, k):
        return torch.full((300,), float(k))

def update(x=None):
    optimizer.zero_grad()
    model(torch.randn(4, 300) if x is None else x).square().sum().backward()
    optimizer.step()

def finished(children, seconds=240):
    "Exit statuses, in the order of the children; -9 of those that hang."
    statuses, due = [], time.monotonic() + seconds
    for child in children:
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid or time.monotonic() > due:
                break
            time.sleep(0.005)
        if not pid:
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
        statuses.append(os.waitstatus_to_exitcode(status))
    return statuses

if __name__ == "__main__":
    torch.manual_seed(0)
    random.seed(0)
    model = nn.Linear(300, 200)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    path = Path(sys.argv[1])
    gc.freeze()  # else a child that ends in order touches, and so copies, all that torch has made: seconds
"""


def run(folder: Path, body: str, *, timeout: float = 600) -> list[str]:
    """What a script printed, in a process of its own; spawned workers need it as a file."""
    script = folder / "script.py"
    script.write_text(HEAD + "".join(f"    {line}\n" for line in body.strip().splitlines()))
    done = subprocess.run(
        [sys.executable, "-W", "error:::wdyn", str(script), str(folder / "a.h5")], check=False, capture_output=True,
        text=True, timeout=timeout, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SRC)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr == ""
    return done.stdout.splitlines()


def whole(folder: Path, updates: int) -> None:
    """All steps are there, in order, and nothing is said to be missing."""
    found = read(folder / "a.h5")
    assert found.order == list(range(updates + 1))
    assert [note["what"] for _, note in found.notes] == ["closed"]


CHILDREN = """
packing.pack = lambda path: None

def state():
    "The journal, once the thread has written all."
    size = -1
    while size != (size := sum(each.stat().st_size for each in parts_folder(path).iterdir())):
        time.sleep(0.1)
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in parts_folder(path).iterdir()}

def collected():
    import atexit
    global rec
    atexit.unregister(rec.close)
    del rec
    gc.collect()

def recorded_by_itself():
    with Recorder(model, path.with_name("child.h5"), program=False) as own:
        update()
    os._exit(own.step_count != 1)

def left_by_the_block():
    with rec:
        update()

WAYS = {
    "sys.exit": lambda: sys.exit(0),
    "os._exit": lambda: os._exit(0),
    "end": lambda: None,
    "exception": lambda: exec("raise KeyboardInterrupt"),
    "close": lambda: rec.close(),
    "block": left_by_the_block,
    "log and step": lambda: (rec.log(loss=1.0), rec.step()),
    "collected": collected,
    "own Recorder": recorded_by_itself,
}
rec = Recorder(model, path, program=False)
for _ in range(3):
    update()
for name, way in WAYS.items():
    before = state()
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        sys.stderr = None  # one of them ends with a traceback
        update()
        time.sleep(0.05)
        way()
        sys.exit(0)
    print(name, *finished([child]), state() == before)
    update()
rec.close()
"""


def test_no_way_in_which_a_child_ends_changes_a_byte(tmp_path: Path) -> None:
    said = run(tmp_path, CHILDREN)
    assert len(said) == 9
    assert [line.rpartition(" ")[2] for line in said] == ["True"] * 9
    ended = {line.rsplit(" ", 2)[0]: line.rsplit(" ", 2)[1] for line in said}
    assert {name: status for name, status in ended.items() if status != "0"}.keys() == {"exception"}
    whole(tmp_path, 12)
    assert read(tmp_path / "child.h5").order == [0, 1]


LATE = """
rec = Recorder(model, path, program=False)
children = []
for way in (sys.exit, os._exit, lambda _: None):
    for _ in range(3):
        update()
    if (child := os.fork()) == 0:
        while not path.with_name("go").exists():
            time.sleep(0.02)
        update()
        way(0)
        sys.exit(0)
    children.append(child)
rec.close()
before = path.read_bytes()
path.with_name("go").touch()
print(*finished(children), path.read_bytes() == before, parts_folder(path).exists(), "h5py" in sys.modules)
"""


def test_children_that_outlive_the_recording_change_nothing_of_the_run_file(tmp_path: Path) -> None:
    import wdyn

    assert run(tmp_path, LATE) == ["0 0 0 True False False"]
    with wdyn.open_run(tmp_path / "a.h5") as recorded:
        assert recorded.condition == "finished"
        assert recorded.steps.tolist() == list(range(10))


WORKERS = """
packing.pack = lambda path: None
rec = Recorder(model, path, program=False)
for context, persistent, epochs in (("fork", True, 50), ("fork", False, 10), ("spawn", True, 2)):
    loader = DataLoader(
        Data(), batch_size=4, num_workers=2, persistent_workers=persistent, multiprocessing_context=context
    )
    for _ in range(epochs):
        for x in loader:
            update(x)
    del loader
    gc.collect()
    print(context, persistent, rec.step_count)
rec.close()
"""


def test_workers_forked_and_spawned_persistent_and_not(tmp_path: Path) -> None:
    assert run(tmp_path, WORKERS) == ["fork True 400", "fork False 480", "spawn True 496"]
    whole(tmp_path, 496)


FORKS = """
packing.pack = lambda path: None
from wdyn.journal.append import SegmentWriter
append, busy = SegmentWriter.append, 0

def slow(self, *args, **options):
    global busy
    busy += 1
    append(self, *args, **options)
    time.sleep(0.01)  # so that nearly every fork meets the thread inside
    busy -= 1

SegmentWriter.append = slow
rec = Recorder(model, path, program=False)
statuses, met, updates = [], 0, 0
for k in range(50):
    for _ in range(random.randrange(1, 8)):
        update()
        updates += 1
    time.sleep(random.random() / 1000)
    met += busy
    if (child := os.fork()) == 0:
        for _ in range(3):
            update()
            rec.log(loss=0.5)
        if k % 5 == 0:
            sys.exit(0)
        os._exit(0)
    statuses += finished([child])
print(set(statuses), len(statuses), met > 25)
rec.close()
print(updates, rec.step_count)
"""


def test_forks_while_the_thread_is_writing_leave_no_child_waiting(tmp_path: Path) -> None:
    forks, counts = run(tmp_path, FORKS)
    assert forks == "{0} 50 True"
    updates, counted = map(int, counts.split())
    assert updates == counted
    whole(tmp_path, updates)


READER = """
import h5py
import numpy as np
packing.pack = lambda path: None
with h5py.File(path.with_name("other.h5"), "w") as file:
    file["data"] = np.arange(200_000.0)
reads, longest, stop = 0, 0.0, threading.Event()

def work():
    global reads, longest
    while not stop.is_set():
        began = time.monotonic()
        with h5py.File(path.with_name("other.h5")) as file:
            assert file["data"][:][-1] == 199_999
        longest = max(longest, time.monotonic() - began)
        reads += 1

rec = Recorder(model, path, program=False)
thread = threading.Thread(target=work)
thread.start()
for _ in range(300):
    update()
at_end = reads
rec.close()
stop.set()
thread.join(10)
print(at_end > 20, longest < 2, thread.is_alive())
"""


def test_a_thread_that_reads_hdf5_is_not_stalled_and_every_step_is_recorded(tmp_path: Path) -> None:
    assert run(tmp_path, READER) == ["True True False"]
    whole(tmp_path, 300)
