"""`wdyn check` as a person calls it; what it is made of is tested in tests/record/test_checking.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wdyn.record import checking
from wdyn.record.difference import Difference
from wdyn.record.proof import Proof, Recorded, Times
from wdyn_cli.main import main

SCRIPT = """
import argparse, os, sys
import torch
from torch import nn
from torch.utils.data import DataLoader
from wdyn import Recorder
from beside import RATE

class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, k):
        return torch.full((4,), float(k)) + torch.randn(4)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    assert (options.lr, options.steps) == (RATE, 7), options
    os.chdir("/")
    torch.manual_seed(options.steps)
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Linear(3, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    rec = Recorder(model, program=False)
    print("not to be seen")
    for x in DataLoader(Data(), batch_size=4, shuffle=True, num_workers=1, multiprocessing_context="spawn"):
        loss = model(x).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rec.log(loss=loss)
    sys.exit(0)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "beside.py").write_text("RATE = 0.1\n")
    return tmp_path


def call(script: str, *words: object) -> Result:
    Path("scripts", "train.py").write_text(script)
    return CliRunner().invoke(main, ["check", *map(str, words)])


def there(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in str(path))


@pytest.mark.slow
def test_a_script_with_arguments_workers_and_a_module_beside_it(folder: Path) -> None:
    done = call(SCRIPT, "--steps", "6", "--json", "scripts/train.py", "--lr", "0.1", "--steps", "7")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["identical"], told["updates"], told["difference"]) == (True, 6, None)
    assert (told["steps_recorded"], told["bytes_per_step"]) == (13, 4 * (4 * 3 + 3 + 3 * 2 + 2))
    assert told["ratio"] == pytest.approx(told["seconds_with"] / told["seconds_without"])
    assert told["seconds_with"] > 0
    assert done.stderr.splitlines() == [f"{how} ..." for how in checking.RUNS]
    assert there(folder) == ["scripts", "scripts/beside.py", "scripts/train.py", "temporary"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("print('trains nothing')", "scripts/train.py makes no Recorder, so there is nothing to compare. Add one line"),
        (
            "from torch import nn\nfrom wdyn import Recorder\nRecorder(nn.Linear(2, 2))",
            "makes a Recorder, but no torch optimizer updates its model. A loop without one calls rec.step() after",
        ),
    ],
)
def test_a_script_that_cannot_be_checked(folder: Path, script: str, sentence: str) -> None:
    done = call(script, "scripts/train.py")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert sentence in done.stderr.splitlines()[-1]
    assert "trains nothing" not in done.stderr


@pytest.mark.slow
def test_what_a_script_says_is_seen_where_it_fails(folder: Path) -> None:
    done = call("for k in range(50): print('line', k)\nraise ValueError('no such data')", "scripts/train.py")
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert "line 49" in lines
    assert "line 10" not in lines
    assert lines[-1] == (
        "Error: scripts/train.py fails without recording, before its first update, with exit status 1: "
        "ValueError: no such data. It must run on its own: python scripts/train.py"
    )


@pytest.mark.parametrize(
    ("repeatable", "text"), [(True, "This is a fault of wdyn: please report it."), (False, "nothing can be proven")]
)
def test_what_is_not_proven_is_status_1(folder: Path, monkeypatch, repeatable: bool, text: str) -> None:
    found = Difference("at update 1", 1, {"weights": ("a",)})
    proof = Proof("train.py", 50, repeatable, found, Times((None, None), None), Recorded(0, 0, None))
    monkeypatch.setattr(checking, "check_script", lambda *_, **__: proof)
    done = call("", "scripts/train.py")
    assert done.exit_code == 1
    assert text in done.stdout
    assert json.loads(call("", "--json", "scripts/train.py").stdout)["repeatable"] is repeatable


@pytest.mark.parametrize("words", [[], ["none.py"], ["scripts"], ["--lr", "0.1", "scripts/train.py"], ["--steps", "0"]])
def test_wrong_usage(folder: Path, words: list[str]) -> None:
    assert call("", *words).exit_code == 2


@pytest.mark.slow
def test_an_interrupt_leaves_no_process_and_no_file_behind(folder: Path) -> None:
    Path("scripts", "train.py").write_text(
        "import os, time\nopen('pid', 'w').write(str(os.getpid()))\nos.rename('pid', 'number')\ntime.sleep(600)"
    )
    command = [sys.executable, "-c", "from wdyn_cli.main import main; main()", "check", "scripts/train.py"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    due = time.monotonic() + 300
    while not Path("number").exists():
        assert time.monotonic() < due
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert "interrupted" in process.communicate(timeout=300)[1]
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("number").read_text()), 0)
    assert there(folder) == ["number", "scripts", "scripts/beside.py", "scripts/train.py", "temporary"]
