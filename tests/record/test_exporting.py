# ruff: noqa: PT031 - a warning may come at any moment of a training, its end included
"""The program of a model: when it is exported, from what, and that the training notices nothing of it."""

from __future__ import annotations

import copy
import gc
import io
import logging
import os
import pickle
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.nn.utils import prune

from tests.record.conftest import really_export
from tests.record.frames import read
from tests.record.networks import Branching, Endless, Net, OnlyTrains, Uncopyable, Wild
from tests.record.training import small, train
from wdyn.journal.frame import Kind
from wdyn.record import exporting, journal, program
from wdyn.record.recorder import Recorder

NEVER = exporting.NEVER_CALLED
# torch's own, on the way into the compiler
from_torch = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def really(exporting_on):
    """All of it with torch's own export."""


@pytest.fixture
def exports(monkeypatch):
    """Arguments of each export, which goes on as always."""
    seen = []

    def spied(model, args, kwargs, inventory):
        seen.append((args, kwargs))
        return really_export(model, args, kwargs, inventory)

    monkeypatch.setattr(program, "export_program", spied)
    return seen


# what is exported, and when


def test_once_after_the_first_update_from_the_first_call(tmp_path, exports):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "a.h5"):
        model(torch.randn(7, 4), scale=2.0).sum().backward()
        assert not model._forward_pre_hooks
        model(torch.randn(3, 4)).sum().backward()
        assert not exports
        for _ in range(3):
            optimizer.step()
            assert len(exports) == 1
    (args, kwargs), found = exports[0], read(tmp_path / "a.h5")
    assert [(value.shape, value.any().item()) for value in args] == [((7, 4), False)]
    assert kwargs == {"scale": 2.0}
    assert found.no_program == []
    assert found.program["inputs"][0]["shape"] == [None, 4]
    assert set(found.program["tensors"].values()) <= set(found.steps[0])
    assert found.kinds[3:5] == [Kind.STEP, Kind.PROGRAM]


def test_a_loop_without_an_optimizer(tmp_path):
    model = small()
    with Recorder(model, tmp_path / "a.h5") as rec:
        for _ in range(2):
            model(torch.randn(5, 4))
            rec.step()
    assert read(tmp_path / "a.h5").program


def test_switched_off(tmp_path, exports):
    model = small()
    with Recorder(model, tmp_path / "a.h5", program=False, sample=(torch.zeros(3, 4), torch.zeros(3))):
        assert not model._forward_pre_hooks
        train(model, 2)
    assert read(tmp_path / "a.h5").no_program == [exporting.OFF]
    assert not exports


def test_a_known_program_is_taken_over_without_an_export(tmp_path, exports):
    model = small()
    with Recorder(model, tmp_path / "a.h5"):
        train(model, 2)
    known = read(tmp_path / "a.h5").program
    exports.clear()
    with Recorder(model, tmp_path / "b.h5", program=known):
        train(model, 2)
    assert read(tmp_path / "b.h5").program == known
    assert not exports


@pytest.mark.parametrize("known", [{"nodes": {1, 2}}, {"nodes": float("nan")}])
def test_what_is_no_program_costs_the_program_and_not_the_recording(tmp_path, known):
    model = small()
    with Recorder(model, tmp_path / "a.h5", program=known):
        train(model, 2)
    found = read(tmp_path / "a.h5")
    assert list(found.steps) == [0, 1, 2]
    assert "what was given as program= is none" in found.no_program[0]


@pytest.mark.parametrize(
    ("dtype", "sample", "expected"),
    [
        (torch.float32, np.zeros((9, 4), ">f8"), torch.float32),
        (torch.bfloat16, torch.zeros(9, 4), torch.bfloat16),
        (torch.float32, torch.zeros(1, 4, dtype=torch.int16), torch.int16),
    ],
)
def test_the_sample_serves_where_the_model_is_never_called_by_itself(tmp_path, exports, dtype, sample, expected):
    class Cast(nn.Sequential):
        def forward(self, x):
            return super().forward(x.to(self[0].weight.dtype))

    model = Cast(nn.Linear(4, 3), nn.BatchNorm1d(3)).to(dtype)
    with Recorder(model, tmp_path / "a.h5", sample=(sample, np.zeros(len(sample)))) as rec:
        rec.step()
        rec.step()
    assert len(exports) == 1
    ((example,), kwargs) = exports[0]
    assert (tuple(example.shape), example.dtype, kwargs) == ((2, 4), expected, {})
    assert read(tmp_path / "a.h5").program["inputs"][0]["shape"] == [None, 4]


def test_the_call_is_a_better_example_than_the_sample(tmp_path, exports):
    model = small()
    with Recorder(model, tmp_path / "a.h5", sample=(torch.zeros(3, 4), torch.zeros(3))):
        train(model, 1)
    assert exports[0][0][0].shape == (5, 4)


def test_a_call_that_comes_late_is_not_missed(tmp_path):
    model = small()
    with Recorder(model, tmp_path / "a.h5") as rec:
        rec.step()
        model(torch.randn(5, 4))
        rec.step()
    found = read(tmp_path / "a.h5")
    assert found.program
    assert found.no_program == []


def test_nothing_is_known_of_a_model_that_is_never_called(tmp_path):
    with Recorder(small(), tmp_path / "a.h5") as rec:
        rec.step()
    assert read(tmp_path / "a.h5").no_program == [NEVER]


def test_no_update_no_program(tmp_path):
    model = small()
    with pytest.warns(UserWarning, match="only step 0"), Recorder(model, tmp_path / "a.h5"):
        model(torch.randn(5, 4))
    assert read(tmp_path / "a.h5").no_program == [exporting.NO_UPDATE]


def test_a_recording_that_ended_says_why_there_is_no_program(tmp_path):
    model = small()
    with pytest.warns(UserWarning, match="recording ended"), Recorder(model, tmp_path / "a.h5") as rec:
        model[0] = nn.Linear(4, 5)
        rec.step()
    assert read(tmp_path / "a.h5").no_program == [NEVER]


def test_what_is_no_tensor_and_no_plain_value_is_not_kept(tmp_path):
    class Batch:
        def __init__(self):
            self.x = torch.randn(5, 4)

    class Takes(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, batch):
            return self.fc(batch.x)

    model = Takes()
    with Recorder(model, tmp_path / "a.h5") as rec:
        batch = Batch()
        gone = weakref.ref(batch)
        model(batch)
        del batch
        gc.collect()
        assert gone() is None
        rec.step()
        assert not model._forward_pre_hooks
    assert read(tmp_path / "a.h5").no_program == [
        "the model was called with what is neither tensor nor plain value (Batch)"
    ]


def test_nothing_of_the_first_batch_is_kept(tmp_path):
    model = small()
    with Recorder(model, tmp_path / "a.h5") as rec:
        batch = torch.randn(5, 4)
        gone = weakref.ref(batch)
        model(batch)
        del batch
        gc.collect()
        assert gone() is None
        rec.step()


def test_other_threads_and_children_are_not_looked_at(tmp_path):
    model = small()
    with Recorder(model, tmp_path / "a.h5") as rec:
        other = threading.Thread(target=lambda: model(torch.randn(9, 4)))
        other.start()
        other.join()
        assert rec._exporter._described is None
        if (child := os.fork()) == 0:
            model(torch.randn(9, 4))
            os._exit(rec._exporter._described is not None)
        assert os.waitpid(child, 0)[1] == 0
        rec.step()
    assert read(tmp_path / "a.h5").no_program == [NEVER]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
def test_tracing_and_exports_of_the_user_are_no_call(tmp_path):
    model = small()
    with Recorder(model, tmp_path / "a.h5") as rec:
        for strict in (False, True):
            torch.export.export(model, (torch.randn(5, 4),), strict=strict)
        torch.jit.trace(model, torch.randn(5, 4), check_trace=False)
        rec.step()
    assert read(tmp_path / "a.h5").no_program == [NEVER]


def test_a_module_that_takes_no_hook_is_recorded_all_the_same(tmp_path):
    class Closed(nn.Sequential):
        def register_forward_pre_hook(self, *_, **options):
            raise RuntimeError("not supported")

    model = Closed(*small())
    with Recorder(model, tmp_path / "a.h5"):
        train(model, 2)
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 1, 2]
    assert found.no_program == ["the model takes no hook (not supported)"]


def test_names_are_those_of_the_run_also_when_pruned_wrapped_and_tied(tmp_path):
    model = small()
    model[2] = nn.Linear(3, 3)
    model.append(nn.Linear(3, 3, bias=False))
    model[3].weight = model[2].weight
    prune.random_unstructured(model[0], "weight", amount=3)
    with Recorder(nn.DataParallel(model), tmp_path / "a.h5"):
        train(model, 1)
    found = read(tmp_path / "a.h5")
    assert found.no_program == [NEVER]  # called inside of the wrapper that was handed over, never the wrapper itself
    with Recorder(model, tmp_path / "b.h5"):
        train(model, 1)
    found = read(tmp_path / "b.h5")
    assert set(found.program["tensors"].values()) == {"0.weight", "0.bias", "2.weight", "2.bias"}


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")])
@from_torch
def test_wrappers_take_what_the_model_takes(tmp_path, wrap):
    model = Net()
    wrapped = wrap(model)
    with Recorder(wrapped, tmp_path / "a.h5"):
        train(wrapped, 2)
    assert read(tmp_path / "a.h5").program["inputs"][0]["shape"] == [None, 4]


# what goes wrong


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Branching, "torch.export cannot export the model (GuardOnDataDependentSymNode: "),
        (Uncopyable, "the model cannot be copied (TypeError: a lock inside)"),
        (OnlyTrains, "torch.export cannot export the model (RuntimeError: no eval mode)"),
        (Wild, "torch.export cannot export the model (MemoryError: wild)"),
        (Endless, "torch.export cannot export the model (RecursionError: "),
    ],
)
def test_a_model_that_cannot_be_exported_is_recorded_and_says_why(tmp_path, kind, why, recwarn, capfd, caplog):
    model = kind()
    caplog.set_level(logging.DEBUG)
    with Recorder(model, tmp_path / "a.h5"):
        seen = train(model, 3)
    found = read(tmp_path / "a.h5")
    assert len(found.no_program) == 1
    assert found.no_program[0].startswith(why)
    assert [found.steps[k]["fc.weight"] for k in (1, 2, 3)] == [step["fc.weight"] for step in seen[1:]]
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, OSError, Warning])
def test_whatever_is_raised_stays_inside(tmp_path, monkeypatch, error):
    def failing(*_):
        raise error("no")

    monkeypatch.setattr(program, "export_program", failing)
    model = small()
    with Recorder(model, tmp_path / "a.h5"):
        train(model, 2)
    assert read(tmp_path / "a.h5").no_program == [f"{error.__name__}: no"]


def test_an_interrupt_passes_and_is_said(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "export_program", interrupted)
    model = small()
    with Recorder(model, tmp_path / "a.h5"):
        with pytest.raises(KeyboardInterrupt):
            train(model, 1)
        train(model, 1)
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 1, 2]
    assert found.no_program == [exporting.INTERRUPTED]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"x": float("nan")}, "ValueError: Out of range float values"),
        ({"x": {1, 2}}, "TypeError: Object of type set"),
        ({"x": "y" * (1 << 25)}, "it takes 33,554,440 bytes, and a run holds at most 33,554,432"),
    ],
)
def test_what_a_run_cannot_hold_is_not_written(tmp_path, monkeypatch, made, why):
    monkeypatch.setattr(program, "export_program", lambda *_: made)
    with Recorder(small(), tmp_path / "a.h5", sample=(torch.zeros(1, 4), torch.zeros(1))) as rec:
        rec.step()
    assert read(tmp_path / "a.h5").no_program[0].startswith(why)


def test_a_program_that_the_disk_refuses_is_tried_again(tmp_path, monkeypatch):
    append, refused = journal.SegmentWriter.append, []

    def full(self, kind, *args, **options):
        if kind is Kind.PROGRAM and not refused:
            refused.append(kind)
            raise OSError(28, "No space left on device")
        append(self, kind, *args, **options)

    monkeypatch.setattr(journal.SegmentWriter, "append", full)
    with pytest.warns(UserWarning, match="No space left"), Recorder(small(), tmp_path / "a.h5") as rec:
        rec._exporter._sample = (4,), np.dtype("f4")
        rec.step()
    found = read(tmp_path / "a.h5")
    assert refused
    assert found.program
    assert found.order == [0, 1]


# the training notices nothing: see test_observer.py


@from_torch
@pytest.mark.parametrize("kind", [Net, small])
def test_a_compiled_model_is_compiled_whole_and_once(tmp_path, kind):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model, counter = kind(), CompileCounter()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "a.h5", sample=(torch.zeros(3, 4), torch.zeros(3))):
        whole = torch.compile(lambda x: model(x).sum(), backend=counter, fullgraph=True)
        for _ in range(3):
            whole(torch.randn(5, 4)).backward()
            optimizer.step()
        nodes = counter.op_count
        with torch.no_grad():
            model(torch.randn(5, 4))
        for _ in range(3):  # the hook has stayed, since it was compiled in
            whole(torch.randn(5, 4)).backward()
            optimizer.step()
        assert counter.frame_count == 1
    assert not model._forward_pre_hooks
    assert read(tmp_path / "a.h5").program
    torch._dynamo.reset()
    bare = CompileCounter()
    torch.compile(lambda x: model(x).sum(), backend=bare, fullgraph=True)(torch.randn(5, 4))
    assert bare.op_count == nodes


@from_torch
def test_a_model_compiled_after_its_first_call_is_not_compiled_again(tmp_path):
    torch._dynamo.reset()
    model, counter = small(), CompileCounter()
    whole = torch.compile(lambda x: model(x).sum(), backend=counter, fullgraph=True)
    with Recorder(model, tmp_path / "a.h5"):
        train(model, 1)
        for _ in range(2):
            whole(torch.randn(5, 4))
    whole(torch.randn(5, 4))
    assert counter.frame_count == 1


def test_copies_and_pickles_of_the_model_know_nothing_of_it(tmp_path):
    model = small()
    with Recorder(model, tmp_path / "a.h5") as rec:
        text = pickle.dumps(model)
        file = io.BytesIO()
        torch.save(model, file)
        assert b"wdyn" not in text
        assert b"wdyn" not in file.getvalue()
        for other in (copy.deepcopy(model), pickle.loads(text)):
            other(torch.randn(9, 4))
            torch.compile(other, backend="eager", fullgraph=True)(torch.randn(9, 4))
        assert rec._exporter._described is None
        rec.step()


def test_the_way_to_run_a_network_again(tmp_path, packing_on):
    import wdyn

    model = small()
    with Recorder(model, tmp_path / "a.h5"):
        train(model, 3)
    with wdyn.open_run(tmp_path / "a.h5") as run:
        assert run.no_program == ""
        assert len(run.program["nodes"]) == 3


@pytest.mark.slow
def test_nothing_is_loaded_before_the_export_and_nothing_is_said(tmp_path):
    """In a fresh interpreter, where torch makes its loggers and warnings anew."""
    script = f"""
import sys
import torch
before = set(sys.modules)
import wdyn.record.recorder
print(*(name for name in ("torch.export", "torch._dynamo", "sympy") if name in set(sys.modules) - before))
from torch import nn
from wdyn.record import packing
packing.pack = lambda path: None
from wdyn.record.recorder import Recorder
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
    def forward(self, x):
        return self.fc(x) * (2 if x.sum() > 0 else 1)
for name, model in (("a", Net()), ("b", nn.Sequential(nn.Linear(4, 3), nn.ReLU()))):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, {str(tmp_path)!r} + f"/{{name}}.h5"):
        model(torch.randn(5, 4)).sum().backward()
        print("torch.export._trace" in sys.modules)
        optimizer.step()
"""
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-W", "error:::wdyn", "-W", "always", "-c", script], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split("\n") == ["", "False", "True", ""]
    assert "GuardOnDataDependent" in read(tmp_path / "a.h5").no_program[0]
    assert read(tmp_path / "b.h5").program
