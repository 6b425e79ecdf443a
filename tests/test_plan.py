"""What recording would cost, against what it then does cost."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner

from wdyn.errors import MisuseError
from wdyn.journal.frame import Kind
from wdyn.journal.scan import survey
from wdyn.places import parts_folder
from wdyn.plan import plan
from wdyn.record import packing
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import every, from_text
from wdyn_cli.main import main

MODEL = """
from torch import nn
def make_model():
    return nn.Sequential(nn.Linear(20, 30), nn.BatchNorm1d(30), nn.Linear(30, 5))
def make_nothing():
    return 3
"""


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "net.py").write_text(MODEL)
    return f"{tmp_path / 'net.py'}:make_model"


@pytest.mark.parametrize("max_bytes", [None, 60_000])
def test_the_bytes_planned_are_the_bytes_written(tmp_path, monkeypatch, spec, max_bytes):
    monkeypatch.setattr(packing, "pack", lambda path: None)
    planned = plan(spec, steps=99, schedule="every(3)", max_bytes=max_bytes, trial=False)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.BatchNorm1d(30), torch.nn.Linear(30, 5))
    with Recorder(model, tmp_path / "a.h5", schedule=every(3), max_bytes=max_bytes, program=False) as rec:
        for _ in range(99):
            rec.step()
    frames = [each.header for each in survey(parts_folder(tmp_path / "a.h5")) if each.header.kind is Kind.STEP]
    last = 0 if planned.stride == 1 else planned.step_bytes  # the last step of the schedule stays besides
    assert sum(each.length for each in frames) == planned.journal_bytes + last
    assert planned.kept == -(-34 // planned.stride)
    assert planned.step_bytes == 4 * (20 * 30 + 30 + 4 * 30 + 150 + 5) + 8
    assert planned.values == (planned.step_bytes - 8) // 4 + 1


def test_parts_of_a_model(spec):
    assert plan(spec, steps=1, include=["0"], exclude=["*.bias"], trial=False).values == 600


def test_a_trial_leaves_nothing_behind_and_tells_the_time(tmp_path, spec):
    (tmp_path / "there").mkdir()
    found = plan(spec, steps=10, folder=tmp_path / "there")
    assert 0 < found.added_ms <= found.written_ms < 10_000
    assert not list((tmp_path / "there").iterdir())


def test_no_room_is_said_and_nothing_is_tried(tmp_path, monkeypatch, spec):
    monkeypatch.setattr("shutil.disk_usage", lambda where: type("Usage", (), {"free": 10_000})())
    found = plan(spec, steps=100)
    assert not found.fits
    assert found.added_ms is None
    assert found.as_text().splitlines()[-1].startswith("It does not fit: keep fewer steps")


def test_the_command(tmp_path, spec):
    text = CliRunner().invoke(main, ["plan", spec, "--steps", "1000", "--schedule", "every(10)", "--no-trial"]).output
    assert "kept      100 of 1,000 steps, and step 0\n" in text
    assert text.splitlines()[0] == "a step    3.63 kB, 906 numbers in 9 tensors"
    facts = json.loads(CliRunner().invoke(main, ["plan", spec, "--steps", "9", "--no-trial", "--json"]).output)
    assert facts["kept"] == 10
    assert facts["fits"] is True


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere.py:make", "--steps", "5"], "there is no file nowhere.py"),
        (["{}make_nothing", "--steps", "5"], "it gave a int, but a torch.nn.Module is needed"),
        (["{}make_model", "--steps", "5", "--schedule", "each(3)"], "'each(3)' is no schedule. Give every(10)"),
        (["{}make_model", "--steps", "5", "--schedule", "every(0)"], "takes whole numbers from 1"),
        (["{}make_model", "--steps", "5", "--include", "fc9"], "fc9"),
        (["{}make_model", "--steps", "5", "--max-bytes", "100"], "has no room for 8 steps"),
    ],
)
def test_misuse_is_one_sentence(spec, arguments, text):
    arguments = [each.format(spec.removesuffix("make_model")) for each in arguments]
    result = CliRunner().invoke(main, ["plan", *arguments, "--no-trial"])
    assert result.exit_code == 1
    assert text in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "text", ["every(7)", "log_spaced(5)", "dense_then(10, 4)", "at([0, 3, 50])", " at(3, 50) ", "log_spaced()"]
)
def test_a_schedule_as_text_is_that_schedule(text):
    made = from_text(text)
    kept = [step for step in range(60) if made(step)]
    expected = {
        "e": list(range(0, 60, 7)),
        "l": [step for step in range(60) if from_text(made.text)(step)],
        "d": [*range(11), *range(12, 60, 4)],
        "a": [0, 3, 50],
    }
    assert kept == expected[text.strip()[0]]
    assert from_text(made.text).text == made.text


@pytest.mark.parametrize(
    "text", ["", "every", "every()", "every(1, 2)", "every(-1)", "at()", "__import__('os')", "every(1)x"]
)
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(MisuseError):
        from_text(text)
