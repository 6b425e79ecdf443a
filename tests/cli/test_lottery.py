"""`wdyn lottery`: an experiment file in, tables out, again and again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.tickets.lottery_kit import pack_here
from wdyn import open_run
from wdyn.errors import MisuseError
from wdyn.intervals import mean_interval
from wdyn.tickets.controls import Comparison, Controls
from wdyn.tickets.lottery import Lottery, read_experiment, told, verdicts
from wdyn.tickets.search import Search
from wdyn_cli.main import main

EXPERIMENT = """
import torch
from pathlib import Path
from torch import nn
RATE = {"2": 0.1, "*": 0.5}
METADATA = {"dataset": "noise"}

def make_model():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

def make_data(path=None):
    return torch.ones(4, 6) * float(Path(path).read_text() if path else 1)

def make_sample(data):
    return data, torch.zeros(4)

def train(model, data, recorder, start=0):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(start, 5):
        loss = model(data + torch.randn(4, 6)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recorder.log(val_loss=loss, val_accuracy=1 - loss, other=step)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("wdyn.record.packing.pack", pack_here)
    Path("noise.py").write_text(EXPERIMENT)
    return Path("noise.py")


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["lottery", *map(str, words)])


def test_the_tables_say_what_was_found_and_the_same_command_repeats_nothing(file: Path) -> None:
    words = (file, "--rounds", 2, "--controls", 2, "--rewind-to", 2)
    done = call(*words)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["round", "density", "kept", "step", "other", "val_accuracy", "val_loss"]
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["0", "100.00%", "72", "5"], ["1", "63.89%", "46", "3"], ["2", "43.06%", "31", "3"],
    ]  # 48 and 24, at 0.5 and 0.1: 24 + 22, 12 + 19 # fmt: skip
    verdicts = [line for line in lines if line.startswith("val_accuracy: the ticket of round 2")]
    assert [re.search("than (.*):", line)[1] for line in verdicts] == [
        "reinitialised", "random mask", "shuffled", "dense",
    ]  # fmt: skip
    assert not any(line.startswith("val_loss: ") for line in lines)
    folder = Path("checkpoints/noise-lottery").absolute()
    assert lines[-1] == f"runs: {folder}"
    assert len(list(folder.glob("*.h5"))) == 3 + 10
    with open_run(folder / "round-02-shuffled-seed1.h5") as run:
        assert run.meta["metadata"]["dataset"] == "noise"
        assert run.sample is not None
        assert run.steps[-1] == 3
    when = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert call(*words).stdout == done.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == when


def test_without_controls_it_says_that_nothing_is_shown(file: Path) -> None:
    done = call(file, "--rounds", 1, "--folder", "here", "--rate", "0.25", "--rate", "0=0.5", "--seed", 3)
    assert done.exit_code == 0, done.output
    assert "Without them a ticket shows nothing: --controls 3" in done.stdout
    assert " 42 " in done.stdout.splitlines()[2]  # 24 of 48, 18 of 24
    with open_run("here/round-01.h5") as run:
        assert run.meta["metadata"]["ticket"]["seed"] == 3
    other = call(file, "--rounds", 1, "--folder", "here")
    assert other.exit_code == 1
    assert "begun with rate=" in other.stderr


def test_runs_that_diverged_are_not_counted_into_a_mean_in_silence(tmp_path: Path) -> None:
    values = (0.5, float("nan"), 0.7)
    kinds = [Comparison(1, "dense", "val_loss", values, mean_interval(values), None)]
    text = told(Lottery(Search(tmp_path, None, ()), Controls(tmp_path, (), tuple(kinds))))
    assert re.search(r"dense +val_loss +2 of 3 +0\.6 \[", text)


def test_metrics_that_tell_nothing_give_no_verdict_and_this_is_said(tmp_path: Path) -> None:
    kinds = [Comparison(1, "dense", "f1", (1.0,), mean_interval((1.0,)), None)]
    assert verdicts(Controls(tmp_path, (), tuple(kinds)))[0].startswith("No verdict: log an accuracy")
    assert verdicts(Controls(tmp_path, (), ()))[0].endswith("Logged: nothing that all runs of a kind have.")


def test_data_are_handed_over(file: Path) -> None:
    Path("seven.txt").write_text("7")
    assert read_experiment(file, Path("seven.txt")).sample[0][0, 0] == 7
    assert read_experiment(file).sample[0][0, 0] == 1


@pytest.mark.parametrize(
    ("text", "data", "said"),
    [
        ("def make_model(): pass", None, r"has no function make_data"),
        (EXPERIMENT.replace("path=None", "path"), None, r"make_data\(path\) needs a path. Give it: --data PATH"),
        (EXPERIMENT.replace("path=None", "").replace("if path", "if 0"), "noise.py", "takes no path, so --data"),
        ("1 / 0", None, "the file: ZeroDivisionError"),
        (EXPERIMENT.replace("torch.ones(4, 6)", "torch.oens(4, 6)"), None, "make_data: AttributeError"),
        (EXPERIMENT.replace("return data, ", "return datum, "), None, "make_sample: NameError"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(file: Path, text: str, data: str | None, said: str) -> None:
    file.write_text(text)
    with pytest.raises(MisuseError, match=said):
        read_experiment(file, data and Path(data))


def test_wrong_usage(file: Path) -> None:
    assert call("none.py").exit_code == 2
    assert call(file, "--rate", "much").exit_code == 2
    assert call(file, "--rounds", 0).exit_code == 2
    Path("a.txt").write_text("")
    assert "no Python file" in call("a.txt").stderr
    assert call(file, "--rate", "1.5").exit_code == 1
    assert not Path("checkpoints").exists()


@pytest.mark.slow
def test_the_digits_are_found(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(__file__).parents[2] / "examples" / "lottery_digits.py"
    Path("digits.py").write_text(path.read_text().replace("STEPS, EVERY, BATCH = 600", "STEPS, EVERY, BATCH = 60"))
    done = call("digits.py", "--rounds", 1, "--early-stop", "val_loss")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[2].split()[:3] == ["1", "80.20%", "40,260"]
