import copy
import json
import random
from collections import OrderedDict
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from wdyn.record.inventory import take_inventory
from wdyn.record.program import ProgramError, describe_inputs, example_inputs, export_program
from wdyn.replay.interpret import Program
from wdyn.replay.model import Replay

pytestmark = [  # of torch, about itself
    pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]


def exported(model, *args, **kwargs):
    return json.loads(json.dumps(export_program(model, args, kwargs, take_inventory(model))))


def replayed(model, *args, masks=None, **kwargs):
    """The model as its program and its recorded tensors give it back; masked weights are recorded with the mask."""
    program = exported(model, *args, **kwargs)
    tensors = {name: place.tensor().detach().clone() for name, place in take_inventory(model).places.items()}
    for name, mask in (masks or {}).items():
        tensors[name] *= mask
    return Replay(Program(program, "a.h5"), tensors)


def assert_same(model, *args, **options):
    theirs = model.eval()(*args)
    assert torch.equal(replayed(model, *args, **options)(*args), theirs.detach())


def linear(*sizes):
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


class Calls(nn.Module):
    """Any function of one input as a module."""

    def __init__(self, function):
        super().__init__()
        self.function, self.fc = function, nn.Linear(4, 4)

    def forward(self, x):
        return self.function(self.fc(x))


X = torch.linspace(-2, 2, 12).reshape(3, 4)


def test_only_what_the_result_depends_on_is_written():
    def wasteful(x):
        x.exp().sin()
        return x + 1

    program = exported(Calls(wasteful), X)
    assert [node[1] for node in program["nodes"]] == ["aten.linear.default", "aten.add.Tensor"]
    assert sorted(program["tensors"].values()) == ["fc.bias", "fc.weight"]
    assert program["inputs"] == [{"node": "x", "dtype": "float32", "shape": [None, 4]}]


def test_a_pruned_weight_is_the_recorded_one_with_its_mask():
    model = linear(4, 6, 3)
    prune.random_unstructured(model[0], "weight", amount=0.5)
    assert_same(model, X, masks={"0.weight": model[0].weight_mask})
    assert "0.weight" in exported(model, X)["tensors"].values()
    assert prune.is_pruned(model)  # the copy lost its masks, not the model


@pytest.mark.parametrize(
    "norm", [torch.nn.utils.weight_norm, parametrizations.weight_norm, parametrizations.orthogonal]
)
def test_a_weight_that_is_computed_is_computed_again(norm):
    model = linear(4, 6, 3)
    norm(model[0])
    assert_same(model, X)


def test_tied_weights_and_shared_modules():
    model = linear(4, 4, 4)
    model[2].weight = model[0].weight
    assert_same(model, X)
    shared = nn.Linear(4, 4)
    assert_same(nn.Sequential(shared, nn.Tanh(), shared), X)


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel])
def test_wrappers_leave_no_trace(wrap):
    model = linear(4, 6, 3)
    assert exported(wrap(model), X)["tensors"] == exported(model, X)["tensors"]
    outer = nn.Sequential(OrderedDict(body=wrap(model), last=nn.Linear(3, 2)))
    assert sorted(exported(outer, X)["tensors"].values())[0] == "body.0.bias"


def test_a_value_changed_in_place_is_changed_for_those_that_share_its_memory():
    def through_a_view(x):
        part = x[:, :2]
        part.mul_(3)
        return x * 1

    def before_and_after(x):
        double = x * 2
        again = double + 1
        double.relu_()
        return again + double

    assert_same(Calls(through_a_view), X)
    assert_same(Calls(before_and_after), X)


def test_a_part_without_gradients():
    def part(x):
        with torch.no_grad():
            scale = x.abs().amax()
        return x / scale

    assert_same(Calls(part), X)


def test_a_tensor_that_is_no_parameter_is_written_with_the_program():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.plain = nn.Linear(4, 4), torch.arange(4.0)
            self.register_buffer("mask", torch.tensor([True, False, True, True]), persistent=False)

        def forward(self, x):
            return self.fc(x + self.plain) * self.mask

    assert_same(Positions(), X)
    assert len(exported(Positions(), X)["constants"]) == 2


def test_arguments_by_name_and_nested():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, pair, *, scale, flag=True):
            return self.fc(pair["a"]) * scale + pair["b"][0] if flag else pair["a"]

    model, pair = Named(), {"a": X, "b": [X + 1]}
    replay = replayed(model, pair, scale=X[:1] * 3)
    assert torch.equal(replay(pair, scale=X[:1] * 3), model(pair, scale=X[:1] * 3).detach())
    larger = {"a": torch.randn(9, 4), "b": [torch.randn(9, 4)]}
    assert torch.equal(replay(larger, scale=X[:1]), model(larger, scale=X[:1]).detach())


def test_a_batch_of_one_example_does_not_fix_the_size():
    model = linear(4, 6, 3)
    assert torch.equal(replayed(model, X[:1])(X), model(X).detach())


def data_dependent(x):
    return x + 1 if x.sum() > 0 else x


def in_numpy(x):
    return torch.from_numpy(x.detach().numpy() * 2)


def random_numbers(x):
    return x + torch.rand_like(x)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (data_dependent, "torch.export cannot export"),
        (in_numpy, "torch.export cannot export"),
        (random_numbers, "aten.rand_like.default is none that can be replayed"),
    ],
)
def test_what_cannot_be_written_says_why(function, words):
    with pytest.raises(ProgramError, match=words):
        exported(Calls(function), X)


def test_a_model_that_cannot_be_copied_says_why():
    class Locked(nn.Linear):
        def __deepcopy__(self, memo):
            raise RuntimeError("one of a kind")

    with pytest.raises(ProgramError, match=r"cannot be copied \(RuntimeError: one of a kind\)"):
        exported(nn.Sequential(Locked(4, 4)), X)


def facts(model):
    return [
        (name, module.training, sorted(vars(module)), [id(each) for each in vars(module).values()])
        for name, module in model.named_modules()
    ] + [(id(each), each._version, each.grad) for each in [*model.parameters(), *model.buffers()]]


@pytest.mark.parametrize("function", [torch.tanh, data_dependent, random_numbers])
def test_the_model_and_the_random_states_are_as_before(function):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), Calls(function)).train()
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    model(X).sum().backward()
    weights, before = copy.deepcopy(model.state_dict()), facts(model)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        program = exported(model, X)
        assert program["without_hooks"] == ["0"]
    except ProgramError:
        assert function is not torch.tanh
    assert facts(model) == before
    assert len(calls) == 1
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert str(np.random.get_state()) == str(states[2])  # noqa: NPY002
    assert torch.is_grad_enabled()


def test_nothing_of_a_batch_is_kept():
    args, kwargs = (X, [X, 3]), {"mask": X > 0}
    described = describe_inputs(args, kwargs)
    assert "tensor" not in str(described)
    (first, (second, three)), named = example_inputs(described)
    assert first.shape == second.shape == X.shape
    assert first.dtype == X.dtype
    assert not first.any()
    assert three == 3
    assert named["mask"].dtype == torch.bool


def test_dropout_and_batch_norm_are_in_eval_mode():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.9), nn.Linear(4, 2)).train()
    replay = replayed(model, X)
    assert torch.equal(replay(X), model.eval()(X).detach())
    assert not torch.equal(replay(X), F.linear(X, model[0].weight[:2]).detach())
