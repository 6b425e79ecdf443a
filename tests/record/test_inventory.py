from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.parallel import DataParallel

from tests.record.frames import read
from tests.record.training import as_bytes, small, train, update
from wdyn.record.inventory import take_inventory, unwrapped
from wdyn.record.recorder import Recorder


def names(model):
    return list(take_inventory(model).places)


def inside(model):
    return nn.ModuleDict({"net": model})


@pytest.mark.parametrize(
    "wrap",
    [
        lambda m: torch.compile(m, backend="eager"),
        DataParallel,
        lambda m: torch.compile(DataParallel(m), backend="eager"),
        lambda m: DataParallel(torch.compile(m, backend="eager")),
    ],
)
def test_wrappers_leave_no_trace(wrap):
    model = small()
    assert names(wrap(model)) == names(model) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert names(inside(wrap(model))) == [f"net.{name}" for name in names(model)]
    assert unwrapped(wrap(model)) is model


def test_a_users_own_module_called_module_keeps_its_name():
    model = nn.Module()
    model.module = nn.Linear(2, 2)
    assert names(model) == ["module.weight", "module.bias"]


def test_a_wrapped_model_is_recorded_under_its_own_names(tmp_path):
    model = small()
    with Recorder(torch.compile(DataParallel(model), backend="eager"), tmp_path / "a.h5"):
        seen = train(model, 2)
    found = read(tmp_path / "a.h5")
    assert found.steps[2] == seen[2]
    assert found.schema.meta["model"] == "Sequential"


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.norm = nn.Embedding(7, 4), nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.emb.weight
        self.again = self.norm

    def forward(self, x):
        return self.head(self.norm(self.emb(x)))


def test_tied_tensors_are_kept_once(tmp_path):
    model = Tied()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "a.h5"):
        update(model, optimizer, torch.tensor([1, 2, 3]))
    found = read(tmp_path / "a.h5")
    meta = found.schema.meta
    assert meta["tied"] == {"head.weight": "emb.weight"} | {
        f"again.{key}": f"norm.{key}" for key in model.norm.state_dict()
    }
    assert set(found.steps[1]) | set(meta["tied"]) == set(model.state_dict())
    assert found.steps[1]["emb.weight"] == as_bytes(model.head.weight)
    assert [layer["name"] for layer in meta["layers"]] == ["emb"]


def test_a_module_that_holds_itself_ends():
    model = small()
    model.loop = model
    assert names(model) == ["0.weight", "0.bias", "2.weight", "2.bias"]
