import re
import sys

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

import wdyn
from tests.make_run import make_run
from tests.replay.hook_loop import loss_and_accuracy, without_each_unit
from wdyn.errors import MisuseError, NotFoundError, WdynError
from wdyn.replay.by_module import ModuleEvaluator, evaluator_of_module
from wdyn.replay.evaluator import ReplayEvaluator
from wdyn.replay.request import load_data, requested_evaluator

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)

    def forward(self, x):
        if {condition}:
            return self.fc2(self.act(self.fc1(x)))
        return self.fc2(-x[:, :1].expand(-1, 8))

def make_model():
    torch.manual_seed(9)
    return Net()

def other():
    return nn.Linear(5, 3)

def broken():
    raise OSError("no weights here")

NOT_ONE = 3
"""


@pytest.fixture
def run(tmp_path, rng):
    torch.manual_seed(0)
    shapes = {"fc1.weight": (8, 5), "fc1.bias": (8,), "fc2.weight": (3, 8), "fc2.bias": (3,)}
    arrays = {step: {name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()} for step in (0, 7)}
    sample = rng.normal(size=(60, 5)).astype(np.float32), rng.integers(3, size=60)
    with wdyn.open_run(make_run(tmp_path / "a.h5", arrays, sample=sample)) as opened:
        yield opened


def written(folder, condition="True"):
    path = folder / "model.py"
    path.write_text(CODE.format(condition=condition))
    return path


def module_at(run, step, path):
    names = {}
    exec(path.read_text(), names)
    model = names["make_model"]().eval()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in run.state(step).items()})
    return model, torch.from_numpy(np.array(run.sample.inputs)), torch.from_numpy(np.array(run.sample.targets))


def test_code_that_can_be_exported_is_replayed(run, tmp_path):
    path = written(tmp_path)
    ours = evaluator_of_module(run, f"{path}:make_model")
    assert type(ours) is ReplayEvaluator
    model, inputs, targets = module_at(run, 0, path)
    loss, accuracy = loss_and_accuracy(model(inputs).detach(), targets)
    scores = ours.at(0).scores({})
    assert_allclose([scores.loss[0], scores.score[0]], [loss, accuracy], rtol=1e-6)


def test_code_that_branches_on_its_data_is_called_unit_by_unit(run, tmp_path):
    path = written(tmp_path, "x.sum() > -1e9")
    ours = evaluator_of_module(run, f"{path}:make_model")
    assert type(ours) is ModuleEvaluator
    assert ours.places.keys() == {"fc1"}
    assert "outputs" in ours.left_out["fc2"]
    model, inputs, targets = module_at(run, 7, path)
    network = ours.at(7)
    theirs = without_each_unit(model, model.act, -1, inputs, targets)  # relu(0) is 0, so before is as good as after
    scores = network.scores({"fc1": np.eye(8, dtype=bool)})
    assert_allclose(np.c_[scores.loss, scores.score], theirs, rtol=1e-6)

    weight = np.zeros((3, 8), dtype=np.float32)
    assert_allclose(
        network.with_weights({"fc2.weight": weight}).loss, loss_of(model, inputs, targets, weight), rtol=1e-6
    )
    assert_allclose(network.scores({}).loss, loss_and_accuracy(model(inputs).detach(), targets)[0], rtol=1e-6)

    hidden = model.fc1(inputs).detach()
    assert_allclose(network.activity("fc1").mean, hidden.mean(0), rtol=1e-5)
    assert_allclose(network.activity("fc1").class_mean[1], hidden[targets == 1].mean(0), rtol=1e-5)
    leaf = hidden.clone().requires_grad_()
    nn.functional.cross_entropy(model.fc2(model.act(leaf)), targets).backward()
    assert_allclose(network.taylor("fc1"), -(leaf.detach() * leaf.grad).sum(0), rtol=1e-4, atol=1e-7)
    with pytest.raises(MisuseError, match="none of zero, mean and row"):
        network.scores({"fc1": np.eye(8, dtype=bool)}, "remove")


def loss_of(model, inputs, targets, weight):
    hidden = model.act(model.fc1(inputs)) @ torch.from_numpy(weight).T + model.fc2.bias
    return loss_and_accuracy(hidden.detach(), targets)[0]


def test_a_module_of_a_package_is_found_where_the_command_is_given(run, tmp_path, monkeypatch):
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert evaluator_of_module(run, "model:make_model").places.keys() == {"fc1"}
    assert sys.path == before
    del sys.modules["model"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("other", "is not the recorded one. Not in the run: bias, weight; not in the model: fc1.bias"),
        ("broken", "OSError: no weights here"),
        ("nothing", "has no function nothing"),
        ("NOT_ONE", "has no function NOT_ONE"),
    ],
)
def test_a_model_that_does_not_fit_is_explained(run, tmp_path, name, words):
    with pytest.raises(MisuseError, match=words):
        evaluator_of_module(run, f"{written(tmp_path)}:{name}")


@pytest.mark.parametrize("spec", ["model", "nowhere.py:make_model", "no_such_package_at_all:f", ":f"])
def test_a_model_that_is_nowhere_is_explained(run, spec):
    with pytest.raises(MisuseError, match=f"model {re.escape(spec)}: "):
        evaluator_of_module(run, spec)


def test_a_run_without_program_says_what_to_give(run, tmp_path):
    with pytest.raises(NotFoundError, match=r"a.h5 cannot run again: .*--model package.module:make_model"):
        requested_evaluator(run)
    assert requested_evaluator(run, model=f"{written(tmp_path)}:make_model").examples == 60


def test_a_run_without_sample_says_what_to_give(tmp_path, rng):
    path = make_run(tmp_path / "b.h5", {0: {"fc.weight": np.ones((2, 3), np.float32)}})
    (tmp_path / "m.py").write_text("from torch import nn\ndef make():\n    return nn.Linear(3, 2, bias=False)\n")
    with wdyn.open_run(path) as run, pytest.raises(NotFoundError, match=r"no sample was recorded.*--data FILE.npz"):
        requested_evaluator(run, model=f"{tmp_path / 'm.py'}:make")


def test_data_from_a_file(run, tmp_path, rng):
    path = tmp_path / "data.npz"
    np.savez(path, inputs=rng.normal(size=(20, 5)), targets=rng.integers(3, size=20))
    assert requested_evaluator(run, data_file=path, model=f"{written(tmp_path)}:make_model").examples == 20


@pytest.mark.parametrize("content", ["text", "missing", "pickle", "empty", "one array"])
def test_data_that_cannot_be_used_are_explained(tmp_path, content):
    path = tmp_path / "data.npz"
    if content == "text":
        path.write_text("not a zip file")
    elif content == "missing":
        np.savez(path, x=np.ones(3), y=np.ones(3))
    elif content == "pickle":
        np.savez(path, inputs=np.array([object()]), targets=np.ones(1))
    elif content == "empty":
        path.write_bytes(b"")
    else:
        np.save(tmp_path / "data.npy", np.ones(3))
        path = tmp_path / "data.npy"
    with pytest.raises(WdynError, match=r"data\.np"):
        load_data(path)
