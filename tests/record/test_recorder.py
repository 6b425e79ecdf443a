# ruff: noqa: PT031, SIM117 - a warning may come at any moment of a training, its end included
from __future__ import annotations

import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.record.conftest import really_pack
from tests.record.frames import read
from tests.record.training import as_bytes, raw, small, train, update
from wdyn.errors import MisuseError, RunExistsError
from wdyn.journal.frame import Kind
from wdyn.journal.lock import live_holder
from wdyn.places import parts_folder
from wdyn.record import packing
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import at, dense_then, every, log_spaced

SRC = Path(__file__).parents[2] / "src"


def fc1_steps(path: Path) -> list[int]:
    return read(path).order


# every step, bit for bit


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam, torch.optim.LBFGS])
def test_each_step_is_what_the_loop_saw(tmp_path, make):
    model = small()
    if make is torch.optim.LBFGS:
        optimizer, x = make(model.parameters(), lr=0.1, max_iter=3), torch.randn(5, 4)
        seen = [raw(model)]
        with Recorder(model, tmp_path / "a.h5"):
            for _ in range(4):

                def closure():
                    optimizer.zero_grad()
                    loss = model(x).square().sum()
                    loss.backward()
                    return loss

                optimizer.step(closure)  # several evaluations, one update
                seen.append(raw(model))
    else:
        with Recorder(model, tmp_path / "a.h5"):
            seen = train(model, 7, make)
    found = read(tmp_path / "a.h5")
    assert found.order == list(range(len(seen)))
    assert [found.steps[k] for k in found.order] == seen


def test_buffers_types_and_memory_formats(tmp_path):
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last),
        nn.BatchNorm2d(8),
        nn.Flatten(),
        nn.LazyLinear(2),
    )
    model(torch.randn(2, 3, 5, 5))
    model[3].to(torch.bfloat16)
    model.register_buffer("narrow", torch.randn(3, 2).half().t())  # not contiguous
    model.register_buffer("flags", torch.tensor([True, False, True]))
    model.register_buffer("scratch", torch.zeros(2), persistent=False)
    assert not model[0].weight.is_contiguous()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "a.h5"):
        for _ in range(3):
            hidden = model[:3](torch.randn(2, 3, 5, 5))
            optimizer.zero_grad()
            model[3](hidden.bfloat16()).square().sum().backward()
            optimizer.step()
    found = read(tmp_path / "a.h5")
    assert found.steps[3] == raw(model)
    specs = {spec.name: spec for spec in found.schema.tensors}
    assert specs["3.weight"].dtype == "bfloat16"
    assert specs["flags"].dtype == "uint8"
    assert specs["1.running_mean"].role == "buffer"
    assert "scratch" not in specs
    assert [k for k in found.order if k == 0] == [0]  # BatchNorm's first batch is no reason to write step 0 again
    assert found.steps[0]["1.num_batches_tracked"] == as_bytes(torch.tensor(1))


def test_empty_and_scalar_parameters(tmp_path):
    model = small()
    model.scale = nn.Parameter(torch.tensor(2.0))
    model.none = nn.Parameter(torch.zeros(0, 3))
    with Recorder(model, tmp_path / "a.h5"):
        seen = train(model, 2)
    assert read(tmp_path / "a.h5").steps[2] == seen[2]


def test_a_buffer_reassigned_at_each_step(tmp_path):
    class Running(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)
            self.register_buffer("mean", torch.zeros(2))

        def forward(self, x):
            out = self.fc(x)
            self.mean = 0.9 * self.mean + out.detach().mean(0)
            return out

    model = Running()
    with Recorder(model, tmp_path / "a.h5"):
        seen = train(model, 3)
    assert [read(tmp_path / "a.h5").steps[k] for k in (1, 2, 3)] == seen[1:]


# which steps


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (every(3), "every(3)"),
        (log_spaced(3), "log_spaced(3)"),
        (at([2, 5, 9]), "at([2, 5, 9])"),
        (dense_then(4, 5), "dense_then(4, 5)"),
        (lambda step: step in (1, 7), None),
    ],
)
def test_schedules_keep_what_they_say(tmp_path, schedule, text):
    model = small()
    with Recorder(model, tmp_path / "a.h5", schedule=schedule) as rec:
        seen = train(model, 12)
    found = read(tmp_path / "a.h5")
    assert found.order == [0, *(k for k in range(1, 13) if schedule(k))]
    assert all(found.steps[k] == seen[k] for k in found.order)
    assert rec.step_count == 12
    assert text in (None, found.schema.meta["schedule"])


def test_a_schedule_that_raises_keeps_the_step(tmp_path):
    def schedule(step):
        raise RuntimeError("no")

    model = small()
    with (
        pytest.warns(UserWarning, match="schedule failed") as caught,
        Recorder(model, tmp_path / "a.h5", schedule=schedule),
    ):
        train(model, 3)
    assert len(caught) == 1
    assert fc1_steps(tmp_path / "a.h5") == [0, 1, 2, 3]


def test_accumulated_gradients_are_one_update(tmp_path):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "a.h5"):
        for batch in range(6):
            model(torch.randn(5, 4)).square().sum().backward()
            if batch % 3 == 2:
                optimizer.step()
                optimizer.zero_grad()
    assert fc1_steps(tmp_path / "a.h5") == [0, 1, 2]


@pytest.mark.parametrize("fused", [False, True])
def test_steps_that_the_scaler_skips_do_not_count(tmp_path, fused):
    model = small()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    seen = [raw(model)]
    with Recorder(model, tmp_path / "a.h5") as rec:
        for k in range(6):
            optimizer.zero_grad()
            loss = model(torch.randn(5, 4)).square().sum()
            scaler.scale(loss * (float("inf") if k in (1, 2) else 1.0)).backward()
            scaler.step(optimizer)
            scaler.update()
            if k not in (1, 2):
                seen.append(raw(model))
    found = read(tmp_path / "a.h5")
    assert rec.step_count == 4
    assert [found.steps[k] for k in found.order] == seen


def test_only_optimizers_of_this_model_count(tmp_path):
    ours, other = small(), small()
    with Recorder(ours, tmp_path / "a.h5"), Recorder(other, tmp_path / "b.h5"):
        seen = train(ours, 3)
        others = train(other, 5)
    a, b = read(tmp_path / "a.h5"), read(tmp_path / "b.h5")
    assert [a.steps[k] for k in a.order] == seen
    assert [b.steps[k] for k in b.order] == others


def test_a_named_optimizer_counts_alone(tmp_path):
    model = small()
    body = torch.optim.SGD(model[0].parameters(), lr=0.1)
    head = torch.optim.SGD(model[2].parameters(), lr=0.1)
    with Recorder(model, tmp_path / "a.h5"), Recorder(model, tmp_path / "b.h5", optimizer=head):
        for _ in range(3):
            update(model, body)
            update(model, head)
    assert fc1_steps(tmp_path / "a.h5") == list(range(7))
    assert fc1_steps(tmp_path / "b.h5") == list(range(4))
    assert read(tmp_path / "a.h5").optimizers == ["SGD"]
    assert read(tmp_path / "b.h5").schema.meta["optimizer"] == "SGD"
    assert read(tmp_path / "b.h5").optimizers == []


class Outer(torch.optim.Optimizer):
    """Steps another optimizer, then moves the weights itself, as look-ahead and sharpness-aware ones do."""

    def __init__(self, inner):
        super().__init__(inner.param_groups, {})
        self.inner, self.fail = inner, False

    @torch.no_grad()
    def step(self):
        self.inner.step()
        if self.fail:
            raise RuntimeError("out of memory")
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(0.9)


def test_nested_optimizers_make_one_update(tmp_path):
    model = small()
    outer = Outer(torch.optim.SGD(model.parameters(), lr=0.1))
    seen = [raw(model)]
    with Recorder(model, tmp_path / "a.h5"):
        update(model, outer)
        seen.append(raw(model))
        outer.fail = True
        with pytest.raises(RuntimeError, match="out of memory"):
            update(model, outer)
        outer.fail = False
        update(model, outer)
        seen.append(raw(model))
    found = read(tmp_path / "a.h5")
    assert [found.steps[k] for k in found.order] == seen


def test_loops_without_an_optimizer_call_step(tmp_path):
    model = small()
    seen = [raw(model)]
    with Recorder(model, tmp_path / "a.h5") as rec:
        for _ in range(3):
            with torch.no_grad():
                model[0].weight.add_(1.0)
            rec.step()
            seen.append(raw(model))
    found = read(tmp_path / "a.h5")
    assert [found.steps[k] for k in found.order] == seen


def test_what_counts_first_counts(tmp_path):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.warns(UserWarning, match=r"counted by an optimizer, so rec.step\(\) is ignored") as caught:
        with Recorder(model, tmp_path / "a.h5") as rec:
            for _ in range(3):
                update(model, optimizer)
                rec.step()
    assert len(caught) == 1
    assert rec.step_count == 3


def test_no_update_at_all_is_said(tmp_path):
    with pytest.warns(UserWarning, match="only step 0"), Recorder(small(), tmp_path / "a.h5"):
        pass
    assert fc1_steps(tmp_path / "a.h5") == [0]


# step 0


def test_weights_loaded_after_the_recorder_are_step_0(tmp_path):
    model, loaded = small(), small().state_dict()
    with Recorder(model, tmp_path / "a.h5"):
        model.load_state_dict(loaded)
        seen = train(model, 1)
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 0, 1]
    assert [found.steps[0], found.steps[1]] == seen


def test_parameters_replaced_before_training_are_followed(tmp_path):
    model, loaded = small(), small().state_dict()
    with Recorder(model, tmp_path / "a.h5"):
        model.load_state_dict(loaded, assign=True)
        seen = train(model, 2)
    found = read(tmp_path / "a.h5")
    assert [found.steps[k] for k in (0, 1, 2)] == seen


def test_another_type_before_training_ends_the_recording(tmp_path):
    model = small()
    with pytest.warns(UserWarning, match=r"ended at step 0: 0.weight is now float64 .* and was float32"):
        with Recorder(model, tmp_path / "a.h5"):
            model.double()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            update(model, optimizer, torch.randn(5, 4, dtype=torch.float64))
    assert [note["what"] for _, note in read(tmp_path / "a.h5").notes] == ["ended", "closed"]


# the model changes while it trains


def replace_parameter(model):
    model[0].weight = nn.Parameter(torch.zeros(3, 4))


def replace_module(model):
    model[0] = nn.Linear(4, 3)


def replace_all(model):
    model.load_state_dict(small().state_dict(), assign=True)


def change_type(model):
    model.double()


def change_shape(model):
    model[0].weight.data, model[0].bias.data = torch.zeros(5, 4), torch.zeros(5)
    model[2].weight.data = torch.zeros(2, 5)


@pytest.mark.parametrize("change", [replace_parameter, replace_module, replace_all, change_type, change_shape])
def test_a_changed_model_ends_the_recording_and_not_the_training(tmp_path, change):
    model = small()
    with pytest.warns(UserWarning, match=r"recording ended at step \d+: 0\.") as caught:
        with Recorder(model, tmp_path / "a.h5"):
            seen = train(model, 3)
            change(model)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for _ in range(3):
                update(model, optimizer, torch.randn(5, 4, dtype=model[0].weight.dtype))
    assert len(caught) == 1
    found = read(tmp_path / "a.h5")
    assert [found.steps[k] for k in found.order] == seen
    assert [note["what"] for _, note in found.notes] == ["ended", "closed"]


def test_a_buffer_of_another_shape_ends_the_recording(tmp_path):
    model = small()
    model.register_buffer("cache", torch.zeros(2))
    with pytest.warns(UserWarning, match="cache is now float32"), Recorder(model, tmp_path / "a.h5"):
        train(model, 1)
        model.cache = torch.zeros(3)
        train(model, 1)
    assert fc1_steps(tmp_path / "a.h5") == [0, 1]


def test_a_wrapper_put_on_while_training_changes_nothing(tmp_path):
    model = small()
    with Recorder(model, tmp_path / "a.h5"):
        train(model, 1)
        model[0] = torch.compile(model[0], backend="eager")
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model[0](torch.randn(5, 4)).square().sum().backward()
        optimizer.step()
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 1, 2]
    assert found.steps[2]["0.weight"] == as_bytes(model[0].weight)


@pytest.mark.parametrize("include", ["*", "0.*"])
def test_a_parameter_that_joins_while_training_is_said(tmp_path, include):
    model = small()
    rec = Recorder(model, tmp_path / "a.h5", include=include)
    seen = train(model, 2)
    model.append(nn.Linear(2, 2))
    model[0].scale = nn.Parameter(torch.ones(1))
    seen += train(model, 1)[1:]
    names = "0.scale, 3.weight, 3.bias" if include == "*" else "0.scale"
    with pytest.warns(UserWarning, match=f"not recorded are {names}: new in the model") as caught:
        rec.close()
    assert len(caught) == 1
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 1, 2, 3]
    assert all(seen[k][name] == value for k in found.order for name, value in found.steps[k].items())
    assert found.notes[0] == (3, {"what": "left out", "reason": f"{names}: new in the model after recording began"})


# what else a run holds


def test_log_sample_and_metadata(tmp_path):
    model = small()
    x, y = torch.randn(6, 4), np.arange(6)
    facts = {"dataset": "toy", "seeds": [0, 1]}
    with Recorder(model, tmp_path / "a.h5", sample=(x, y), metadata=facts) as rec:
        rec.log(loss=2)
        train(model, 1)
        rec.log(loss=torch.tensor(0.5, requires_grad=True), accuracy=np.float32(0.25), error=float("nan"))
    found = read(tmp_path / "a.h5")
    assert found.metrics[0] == (0, {"loss": 2.0})
    assert found.metrics[1][0] == 1
    assert found.metrics[1][1]["loss"] == 0.5
    assert found.metrics[1][1]["accuracy"] == 0.25
    assert np.isnan(found.metrics[1][1]["error"])
    np.testing.assert_array_equal(found.sample["inputs"], x.numpy())
    np.testing.assert_array_equal(found.sample["targets"], y)
    meta = found.schema.meta
    assert meta["metadata"] == facts
    assert meta["model"] == "Sequential"
    assert meta["format"] == 1
    assert re.fullmatch("[0-9a-f]{32}", meta["run_id"])
    assert found.notes[-1][1]["what"] == "closed"


def test_log_leaves_out_what_is_no_number(tmp_path):
    model = small()
    with pytest.warns(UserWarning, match="single numbers") as caught, Recorder(model, tmp_path / "a.h5") as rec:
        train(model, 1)
        rec.log(loss="0.3", good=1.0)
        rec.log(loss=torch.zeros(2))
        rec.log(loss=None)
    assert len(caught) == 1
    assert read(tmp_path / "a.h5").metrics == [(1, {"good": 1.0})]


def test_a_scalar_called_self(tmp_path):
    with Recorder(small(), tmp_path / "a.h5") as rec:
        rec.step()
        rec.log(self=1)
    assert read(tmp_path / "a.h5").metrics == [(1, {"self": 1.0})]


def test_include_and_exclude(tmp_path):
    model = small()
    with Recorder(model, tmp_path / "a.h5", include=["0.*", "2.*"], exclude="*.bias"):
        seen = train(model, 2)
    found = read(tmp_path / "a.h5")
    assert found.steps[2] == {name: seen[2][name] for name in ("0.weight", "2.weight")}
    assert dict(found.schema.meta["left_out"]).keys() == {"0.bias", "2.bias"}


# observing changes nothing: see test_observer.py


def test_no_tensor_outlives_the_recorder(tmp_path):
    model = small()
    with Recorder(model, tmp_path / "a.h5") as rec:
        train(model, 2)
    del rec
    gc.collect()
    import weakref

    gone = weakref.ref(model[0].weight)
    del model
    gc.collect()
    assert gone() is None


# the folder and the lock


def test_paths(tmp_path, monkeypatch, journal_only):
    monkeypatch.chdir(tmp_path)
    with Recorder(small()) as first, Recorder(small()) as second:
        assert re.fullmatch(r"Sequential-\d{8}-\d{6}\.h5", first.path.name)
        assert first.path.parent == tmp_path / "checkpoints"
        assert second.path != first.path
        first.step()
        second.step()
    assert journal_only == [second.path, first.path]


def test_a_taken_path_is_refused_before_anything_is_touched(tmp_path):
    path = tmp_path / "deep" / "a.h5"
    with Recorder(small(), path) as rec:
        rec.step()
        assert live_holder(parts_folder(path)).pid == os.getpid()
        with pytest.raises(RunExistsError, match=f"process {os.getpid()} on "):
            Recorder(small(), path)
    before = {p: p.read_bytes() for p in parts_folder(path).iterdir()}
    assert not any(p.name == "lock" for p in before)
    with pytest.raises(RunExistsError, match="interrupted recording"):
        Recorder(small(), path)
    assert {p: p.read_bytes() for p in parts_folder(path).iterdir()} == before
    other = tmp_path / "b.h5"
    other.write_bytes(b"mine")
    with pytest.raises(RunExistsError, match="never overwritten"):
        Recorder(small(), other)
    assert other.read_bytes() == b"mine"
    assert not parts_folder(other).exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"model": "net"}, "must be a torch.nn.Module"),
        ({"model": nn.ReLU()}, "no parameters"),
        ({"model": nn.LazyLinear(3)}, "Run one batch"),
        ({"model": nn.Linear(2, 2, device="meta")}, "meta device"),
        ({"model": nn.Linear(2, 2, dtype=torch.complex64)}, "weight is complex64.*exclude='weight'"),
        ({"include": "nothing*"}, "leave no parameter. The model has: 0.weight, 0.bias"),
        ({"include": [3]}, "names or globs"),
        ({"optimizer": torch.optim.SGD([nn.Parameter(torch.zeros(1))])}, "owns no parameter"),
        ({"optimizer": "sgd"}, "must be a torch.optim.Optimizer"),
        ({"metadata": {"when": {1, 2}}}, "JSON"),
        ({"metadata": {"lr": float("nan")}}, "JSON"),
        ({"metadata": [1]}, "metadata is a dict"),
        ({"sample": torch.zeros(3, 2)}, "pair"),
        ({"sample": (torch.zeros(3), torch.zeros(2))}, "3 inputs but 2 targets"),
        ({"sample": (["a", "b"], [1, 2])}, "arrays of numbers"),
        ({"sample": (torch.eye(2).to_sparse(), torch.zeros(2))}, "arrays of numbers"),
        ({"sample": (torch.zeros(2).to(torch.float8_e4m3fn), torch.zeros(2))}, "arrays of numbers"),
        ({"include": 5}, "names or globs such as 'fc\\*', but got 5"),
        ({"exclude": None}, "names or globs such as 'fc\\*', but got None"),
        ({"metadata": 0}, "metadata is a dict of names to JSON values, but got int"),
        ({"metadata": {"big": 10**4299 * 7, "too": [10**4298 * 100]}}, "whole number of 4301 digits|4300 digits"),
        ({"schedule": 10}, "function of the step"),
        ({"when_behind": "never"}, "'wait' or 'skip'"),
    ],
)
def test_misuse_is_said_at_the_door(tmp_path, arguments, text):
    with pytest.raises(MisuseError, match=text):
        Recorder(**{"model": small(), "path": tmp_path / "a.h5", **arguments})
    assert not list(tmp_path.iterdir())


def test_numbers_that_json_reads_only_on_a_machine_told_so(tmp_path):
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        with pytest.raises(MisuseError, match="whole number of 4301 digits"):
            Recorder(small(), tmp_path / "a.h5", metadata={"seeds": [10**4300]})
        with Recorder(small(), tmp_path / "a.h5", metadata={"seeds": [10**4299]}) as rec:
            rec.step()
    finally:
        sys.set_int_max_str_digits(limit)
    assert read(tmp_path / "a.h5").schema.meta["metadata"] == {"seeds": [10**4299]}


def test_a_path_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MisuseError, match="cannot be recorded to"):
        Recorder(small(), tmp_path / "file" / "a.h5")


def test_a_disk_that_is_full_from_the_start(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(MisuseError, match="No space left"):
        Recorder(small(), tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


# the end


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
    assert fc1_steps(tmp_path / "a.h5") == [0, 1, 2]


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
            replace_parameter(model)
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
    assert fc1_steps(tmp_path / "a.h5") == list(range(6))


def test_the_first_frames(tmp_path, exporting_on):
    model = small()
    with Recorder(model, tmp_path / "a.h5", sample=(torch.zeros(1, 4), torch.zeros(1))):
        train(model, 1)
    kinds = [Kind.SCHEMA, Kind.SAMPLE, Kind.STEP, Kind.NOTE, Kind.STEP, Kind.PROGRAM, Kind.NOTE]
    assert read(tmp_path / "a.h5").kinds == kinds
    lock = parts_folder(tmp_path / "a.h5") / "lock"
    assert not lock.exists()
    assert json.loads(read(tmp_path / "a.h5").schema.to_json())["meta"]["layers"]
