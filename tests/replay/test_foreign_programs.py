import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from wdyn.errors import MisuseError, RunFileError
from wdyn.record.inventory import take_inventory
from wdyn.record.program import export_program
from wdyn.replay.interpret import Program
from wdyn.replay.model import Replay


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.shift = nn.Linear(4, 3), torch.ones(3)

    def forward(self, x, scale=2.0):
        return torch.relu(self.fc(x)) * scale + self.shift


@pytest.fixture(scope="module")
def good():
    model = Net()
    program = json.loads(json.dumps(export_program(model, (torch.randn(5, 4), 2.0), {}, take_inventory(model))))
    return program, {name: place.tensor().detach() for name, place in take_inventory(model).places.items()}


def changed(program, change):
    other = copy.deepcopy(program)
    change(other)
    return other


def operation(name, *args):
    return lambda program: program["nodes"].append(["evil", name, list(args), {}, ""])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.update(format=2), "format 2, but this wdyn runs 1"),
        (operation("aten.from_file.default", "/etc/passwd"), "aten.from_file.default of its program is none"),
        (operation("operator.attrgetter", "__class__"), "operator.attrgetter of its program is none"),
        (operation("torch.load", "a.pt"), "torch.load of its program is none"),
        (operation("os.system", "true"), "os.system of its program is none"),
        (operation("aten.relu.default", {"node": "later"}), "uses 'later' too early"),
        (lambda p: p.update(output={"node": "nothing"}), "its result uses 'nothing' too early"),
        (lambda p: p.pop("nodes"), "cannot be read .KeyError"),
        (lambda p: p["nodes"].append(["a", "aten.relu.default"]), "cannot be read .ValueError"),
        (lambda p: p["inputs"][0].update(dtype="load"), "cannot be read .(ValueError|TypeError)"),
        (operation("aten.zeros.default", [2], {"dtype": "os"}), "cannot be read"),
        (lambda p: next(iter(p["constants"].values())).update(shape=[1 << 40]), "a constant of"),
        (lambda p: next(iter(p["constants"].values())).update(shape=[-4]), "a constant of"),
        (lambda p: next(iter(p["constants"].values())).update(shape=[4]), "a constant of 16 bytes holds 12"),
        (lambda p: next(iter(p["constants"].values())).update(data="AAAA"), "cannot be read .error"),
        (lambda p: p.update(nodes=None), "cannot be read"),
        (lambda p: p.update(inputs=[3]), "cannot be read"),
    ],
)
def test_a_program_that_may_not_run_is_refused_before_anything_runs(good, change, words):
    with pytest.raises(RunFileError, match=words):
        Program(changed(good[0], change), "a.h5")


def test_a_constant_that_inflates_to_more_than_it_says_is_refused(good):
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(bytes(10**7))).decode()
    with pytest.raises(RunFileError, match="holds 13"):
        Program(changed(good[0], lambda p: next(iter(p["constants"].values())).update(data=bomb)), "a.h5")


def test_arrays_of_other_types_will_do_in_place_of_tensors(good):
    replay = Replay(Program(good[0], "a.h5"), good[1])
    x = np.arange(8.0).reshape(2, 4)
    assert torch.equal(replay(x), replay(torch.from_numpy(x).float()))
    assert torch.equal(replay(x.astype(np.uint8)), replay(x))
    assert torch.equal(replay(x, 2.0), replay(x))


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "argument 1 of the model is a tensor .any, 4., but"),
        (([1, 2],), {}, "but a list was given"),
        ((np.ones((2, 5)),), {}, r"shape \(any, 4\), but \(2, 5\) was given"),
        ((np.ones(4),), {}, "was given"),
        ((np.ones((2, 4), complex),), {}, "of type torch.float32, but torch.complex128"),
        ((np.ones((2, 4)), 3.0), {}, "is part of the program"),
        ((np.ones((2, 4)),), {"mask": 1}, "has mask"),
    ],
)
def test_other_arguments_than_the_recorded_ones_are_explained(good, args, kwargs, words):
    replay = Replay(Program(good[0], "a.h5"), good[1])
    with pytest.raises(MisuseError, match=words):
        replay(*args, **kwargs)
