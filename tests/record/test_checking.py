"""What `wdyn check` is made of: scripts run in forked processes, lines compared, words for what was found."""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch._dynamo  # seconds, else in each fork
from torch.optim.optimizer import register_optimizer_step_post_hook

from tests.record.training import small, train, update
from wdyn.record import check_runner, checking
from wdyn.record.check_runner import Session
from wdyn.record.difference import Difference, first_difference
from wdyn.record.fingerprint import Fingerprint, checksum
from wdyn.record.proof import Proof, Recorded, Times
from wdyn.record.watch import Watch

SCRIPT = """
import sys, torch
from torch import nn
from functools import partial
from wdyn import Recorder as Whole
Recorder = partial(Whole, program=False)  # the export takes longest of all
model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Linear(3, 2))
optimizer = torch.optim.Adam(model.parameters())
def update():
    optimizer.zero_grad()
    model(torch.randn(5, 4)).square().sum().backward()
    optimizer.step()
"""
LOOP = "rec = Recorder(model, 'mine.h5')\nfor _ in range(100): update()\n"


@dataclass
class Ran:
    status: int
    lines: list[dict]
    folder: Path

    @property
    def ends(self) -> list[str]:
        return [line["end"] for line in self.lines if "end" in line]

    @property
    def compared(self) -> int:
        return sum("seen" in line and "seconds" in line for line in self.lines)

    @property
    def timed(self) -> int:
        return sum("seen" not in line for line in self.lines)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a script as `python -m wdyn.record.check_runner` does; a fork spares the seconds of importing torch."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside").mkdir()

    def run(body: str, *arguments: str, recording: bool = False, head: str = SCRIPT, compared: int = 4) -> Ran:
        script, number = tmp_path / "beside" / "train.py", len(list(tmp_path.glob("out-*")))
        script.write_text(head + textwrap.dedent(body))
        out, folder = tmp_path / f"out-{number}", tmp_path / f"runs-{number}"
        if (child := os.fork()) == 0:
            status = 70
            try:
                how = "at-work" if recording else "idle"
                check_runner.main([str(out), str(folder), how, str(compared), str(script), *arguments])
            except SystemExit as exit_:
                status = exit_.code if isinstance(exit_.code, int) else 70
            except BaseException as error:
                (tmp_path / "raised").write_text(f"{type(error).__name__}: {error}")
                status = 1
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        return Ran(os.waitstatus_to_exitcode(status), lines, folder)

    return run


# the process that runs the script


def test_both_ways_are_alike_and_end_after_twice_the_updates(run, tmp_path):
    without, with_it = run(LOOP), run(LOOP, recording=True)
    for each in (without, with_it):
        assert each.status == 0
        assert (each.compared, each.timed, each.ends) == (4, 4, ["updates"])
    assert first_difference(without.lines, with_it.lines) is None
    recorded = checking._recorded(with_it.folder)
    assert recorded == Recorded(9, 4 * (4 * 3 + 3 + 3 * 2 + 2), None)
    assert not list(without.folder.iterdir())
    assert not (tmp_path / "mine.h5.parts").exists()
    assert not (tmp_path / "checkpoints").exists()


def test_each_run_without_a_seed_begins_with_the_same(run):
    body = "import random, numpy as np\nmodel[0].weight.data += random.random() + np.random.rand()\n" + LOOP
    assert first_difference(run(body).lines, run(body).lines) is None


def test_a_source_of_chance_without_a_seed_is_named(run):
    body = "import numpy as np\nmodel[0].bias.data += float(np.random.default_rng().normal())\n" + LOOP
    assert str(first_difference(run(body).lines, run(body).lines)) == (
        "right after the Recorder was made in weights (0.bias)"
    )


def test_a_recorder_that_disturbs_is_named_with_step_and_part(run):
    bad = """
    from wdyn.record import recorder
    record = recorder.Recorder._record
    def drawing(self):
        if self.step_count == 3:
            torch.rand(1)
        record(self)
    recorder.Recorder._record = drawing
    """
    body = textwrap.dedent(bad) + LOOP
    found = first_difference(run(body).lines, run(body, recording=True).lines)
    assert found == Difference("at update 3", 3, {"random numbers": ("torch",)})


def test_the_script_finds_what_it_would_find(run, tmp_path, monkeypatch):
    (tmp_path / "beside" / "helper.py").write_text("import __main__\nRATE = 0.5\n")
    body = """
    import argparse, os, pickle
    import helper
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float)
    parser.add_argument("-n", type=int)
    parser.add_argument("rest", nargs="*")
    options = parser.parse_args()
    assert (options.lr, options.n, options.rest) == (0.1, -2, ["--", "x"][1:]), options
    assert helper.RATE == 0.5
    assert __name__ == "__main__"
    assert sys.path[0] == os.path.dirname(__file__)
    assert os.getcwd() == os.environ["EXPECTED"]
    class Mine: pass
    assert type(pickle.loads(pickle.dumps(Mine()))) is Mine
    os.chdir("/")
    rec = Recorder(model, resume=True, path="relative.h5")
    for k in range(100):
        assert rec.step_count == k
        update()
        rec.log(loss=0.1)
    """
    monkeypatch.setenv("EXPECTED", str(tmp_path))
    for recording in (False, True):
        done = run(body, "--lr", "0.1", "-n", "-2", "--", "x", recording=recording)
        assert (done.status, done.ends) == (0, ["updates"]), (tmp_path / "raised").read_text()


@pytest.mark.parametrize("way", ["sys.exit()", "sys.exit(0)", "rec.close()", "del rec", "atexit"])
def test_a_script_that_ends_before(run, way):
    body = "rec = Recorder(model)\nfor _ in range(6): update()\n"
    body += "import atexit; atexit.register(print, 'bye')" if way == "atexit" else way
    without, with_it = run(body), run(body, recording=True)
    assert first_difference(without.lines, with_it.lines) is None
    for each in (without, with_it):
        assert (each.status, each.compared, each.timed) == (0, 4, 2)
        assert each.ends == ["closed" if way == "rec.close()" else "the script ended"]


def test_what_follows_the_recorders_end_is_not_run(run, tmp_path):
    body = "with Recorder(model) as rec:\n    for _ in range(3): update()\nopen('after', 'w')\n"
    assert run(body, recording=True).ends == ["closed"]
    assert not (tmp_path / "after").exists()


@pytest.mark.parametrize("recording", [False, True])
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("sys.exit(3)", 3, ""),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("Recorder(model)\nupdate()\nsys.exit('no data')", 70, ""),
        ("with Recorder(model): raise KeyError('k')", 1, "KeyError: 'k'"),
        ("Recorder('net')", 1, "MisuseError: the model must be a torch.nn.Module, but got str."),
        ("Recorder(model, schedule=3)", 1, "MisuseError: schedule is a function"),
    ],
)
def test_a_script_that_fails_fails_as_by_itself(run, tmp_path, body, status, said, recording):
    done = run(body, recording=recording)
    assert done.status == status
    assert done.ends == []
    if said:
        assert (tmp_path / "raised").read_text().startswith(said)


def test_without_a_recorder_a_script_does_not_run_for_ever(run):
    done = run("while True: update()")
    assert (done.status, done.ends, done.lines) == (0, [], [])


def test_a_loop_without_an_optimizer(run):
    body = "rec = Recorder(model)\nwhile True:\n    model[0].bias.data += 1\n    rec.step()\n"
    without, with_it = run(body), run(body, recording=True)
    assert (without.compared, with_it.compared) == (4, 4)
    assert first_difference(without.lines, with_it.lines) is None


def test_two_models_with_a_recorder_each(run):
    body = """
    from wdyn import at
    other = nn.Linear(2, 2)
    second = torch.optim.SGD(other.parameters(), lr=0.1)
    first_one, second_one = Recorder(model), Recorder(other, optimizer=second, schedule=at([1]))
    first_one.close()
    for _ in range(2):
        update()
        second.zero_grad()
        other(torch.randn(3, 2)).sum().backward()
        second.step()
    """
    without, with_it = run(body), run(body, recording=True)
    assert without.compared == with_it.compared == 4
    assert without.ends == with_it.ends == ["the script ended"] * 2
    assert first_difference(without.lines, with_it.lines) is None
    assert checking._recorded(with_it.folder).steps == 3  # 0 of the one, 0 and 1 of the other


@pytest.mark.parametrize("recording", [False, True])
def test_recorders_one_after_the_other_have_files_of_their_own(run, recording):
    body = """
    before = Recorder(model)
    for _ in range(3):
        after = Recorder(model)
        before.close()
        before = after
        before.path.with_suffix(".txt").write_text("beside the run")
        update()
    """
    done = run(body, recording=recording)
    assert (done.status, set(done.ends)) == (0, {"updates"})
    assert len(list(done.folder.glob("*.txt"))) == 3


def test_forked_children_and_workers_are_left_alone(run, tmp_path):
    body = """
    import os
    from torch.utils.data import DataLoader
    data = DataLoader(torch.randn(40, 4), batch_size=5, num_workers=2, persistent_workers=True)
    rec = Recorder(model)
    if os.fork() == 0:
        update()
        other = Recorder(model, "child.h5")
        update()
        rec.close()
        os._exit(0)
    print(os.wait())
    while True:
        for x in data:
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    """
    without, with_it = run(body), run(body, recording=True)
    assert (without.status, with_it.status) == (0, 0)
    assert with_it.ends == ["updates"]
    assert first_difference(without.lines, with_it.lines) is None
    assert not list(tmp_path.glob("child.h5*"))


# what differs


def test_of_two_trainings_the_first_difference_counts():
    def lines(**changes):
        return [
            {"update": k, "seconds": 1.0, "seen": {"weights": {"a": k, "b": changes.get(f"b{k}", 0)}}}
            for k in (0, 1, 2)
        ]

    assert first_difference(lines(), lines()) is None
    found = first_difference(lines(), lines(b1=5, b2=6))
    assert found == Difference("at update 1", 1, {"weights": ("b",)})
    assert found.to_dict() == {"when": "at update 1", "update": 1, "parts": {"weights": ["b"]}}
    assert str(first_difference(lines(), lines()[:2])) == "after update 1 in the number of updates"
    ended = [*lines(), {"update": 2, "end": "closed", "seen": {}}]
    assert str(first_difference(ended, [*lines(), *lines()])) == "after update 2 in the number of updates"
    more = Difference("at update 1", 1, {"weights": ("a", "b", "c", "d"), "buffers": ("",)})
    assert str(more) == "at update 1 in weights (a, b, 2 more), buffers (the model)"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.zeros(2), torch.zeros(1, 2)),
        (torch.zeros(1), torch.zeros(1, dtype=torch.int32)),
        (torch.tensor([0.0]), torch.tensor([-0.0])),
        (torch.eye(3).t(), torch.ones(3, 3)),
        (torch.zeros(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)),
        (torch.zeros(2, dtype=torch.complex64).conj(), torch.zeros(2, dtype=torch.complex64)),
        (torch.eye(2).to_sparse(), 2 * torch.eye(2).to_sparse()),
        (np.zeros(2), np.ones(2)),
        ([torch.zeros(1), None], [torch.ones(1), None]),
        ({"lr": 0.1}, {"lr": 0.2}),
        (1, 1.0),
        (None, 0),
    ],
)
def test_checksums_differ_where_values_do(one, other):
    assert checksum(one) == checksum(one)
    assert checksum(one) != checksum(other)


def test_objects_count_by_their_type():
    assert checksum(object()) == checksum(object()) == "object"
    assert checksum(torch.zeros(3, device="meta")) == "float32(3,)"


def test_taking_a_fingerprint_changes_nothing():
    model, optimizer = small(), None
    optimizer = torch.optim.Adam(model.parameters())
    update(model, optimizer)
    fingerprint = Fingerprint(model)
    fingerprint.add(optimizer)
    assert fingerprint.take(hooks=True) == fingerprint.take(hooks=True)


def test_an_update_that_cannot_be_looked_at_is_said(monkeypatch):
    lines, reasons = [], []
    watch = Watch(lines.append, done=reasons.append)
    model = small()
    followed = watch.follow(model)
    monkeypatch.setattr(followed, "take", lambda: 1 / 0)
    train(model, 1)
    followed.hooks.detach()
    assert lines[1:] == [{"error": "ZeroDivisionError: division by zero"}]
    assert reasons == ["error"]


def test_time_is_that_of_the_loop_with_its_hooks_and_without_the_look(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def passes(seconds):
        clock[0] += seconds

    lines, model = [], small()
    handle = register_optimizer_step_post_hook(lambda *_: passes(2))  # a Recorder's
    watch = Watch(lines.append, compared=3)
    followed = watch.follow(model, extra=lambda: passes(100) or {})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        passes(1)
        update(model, optimizer)
    followed.hooks.detach()
    handle.remove()
    assert [line.get("seconds") for line in lines] == [None, None, 3, 3, 3, 3]
    assert ["seen" in line for line in lines] == [True] * 4 + [False] * 2


# in words


def proof(**changes) -> Proof:
    times = Times((0.001, 0.0012), 0.00132)
    told = {"repeatable": True, "difference": None, "times": times, "recorded": Recorded(101, 1_066_440, None)}
    return Proof(**{"script": "train.py", "updates": 50, **told, **changes})


WEIGHTS = Difference("at update 3", 3, {"weights": ("fc.weight",)})


@pytest.mark.parametrize(
    ("changes", "identical", "text"),
    [
        ({}, True, "identical over 50 updates (weights, "),
        (
            {},
            True,
            "time per update: 1.1 ms without (1 and 1.2), 1.32 ms with, ratio 1.20\nbytes per step: 1,066,440 (101 ",
        ),
        ({"times": Times((None, None), None)}, True, "addresses)\nbytes"),
        (
            {"difference": WEIGHTS},
            False,
            "Runs with and without it differ at update 3 in weights (fc.weight). This is a",
        ),
        (
            {"difference": WEIGHTS, "repeatable": False},
            False,
            "two runs without recording differ at update 3 in weights (f",
        ),
        ({"recorded": Recorded(2, 8, "at step 1: a is gone")}, False, "since recording ended at step 1: a is gone."),
    ],
)
def test_what_was_found_is_one_sentence_and_a_status(changes, identical, text):
    assert text in str(proof(**changes))
    told = proof(**changes).to_dict()
    assert told["identical"] is identical
    assert json.loads(json.dumps(told)) == told


def test_a_ratio_is_that_of_the_medians():
    assert proof().to_dict()["ratio"] == pytest.approx(1.2)
    lines = [{"update": k, "seconds": float(k)} for k in range(1, 12)]
    for line in lines[:4]:
        line["seen"] = {}
    assert checking._seconds(lines) == 8  # of 5 to 11
    assert checking._seconds(lines[:4]) == 2.5
    assert checking._seconds([]) is None


def test_a_recording_that_ended_proves_nothing(run):
    body = LOOP.replace("update()", "update(); model[0].weight = nn.Parameter(torch.zeros(3, 4))")
    recorded = checking._recorded(run(body, recording=True).folder)
    assert recorded.ended == "at step 2: 0.weight was replaced by another parameter"


def test_only_the_process_of_the_script_writes_lines(tmp_path):
    session = Session(tmp_path / "out", folder=tmp_path / "runs", recording=True, compared=1)
    if (child := os.fork()) == 0:
        session.finish("a child")
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    session.stop()


@pytest.mark.parametrize("how", ["import subprocess; subprocess.run(command)", "os.execv(command[0], command)"])
def test_what_the_script_starts_does_not_touch_its_runs(run, tmp_path, how):
    child = "import torch, wdyn; rec = wdyn.Recorder(torch.nn.Linear(2, 2), 'mine.h5'); rec.log(loss=1.0)"
    ran = run(f"import os\ncommand = [sys.executable, '-c', {child!r}]\n{how}", recording=True)
    assert ran.status == 0
    assert not list(tmp_path.rglob("mine.h5*"))
