from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.record.frames import read
from tests.record.training import update
from wdyn.errors import MisuseError
from wdyn.record.recorder import Recorder


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.body = nn.Embedding(7, 4), nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.emb.weight

    def forward(self, x):
        return self.head(self.body(self.emb(x)))


NORM = {f"body.1.{key}" for key in nn.BatchNorm1d(4).state_dict()}
LINEAR = {"body.0.weight", "body.0.bias"}


@pytest.mark.parametrize(
    ("include", "exclude", "chosen"),
    [
        ("body", (), LINEAR | NORM),
        ("body.0", (), LINEAR),
        ("b?dy.*", (), LINEAR | NORM),
        ("*", "body", {"emb.weight"}),
        ("*", ("body.1", "emb"), LINEAR),
        ("head", (), {"emb.weight"}),  # the second name of a tied tensor
        (["head.weight", "body.0.bias"], (), {"emb.weight", "body.0.bias"}),
        ("*", "head", LINEAR | NORM),
        ("*", "*.running_*", {"emb.weight", "body.1.num_batches_tracked", "body.1.weight", "body.1.bias"} | LINEAR),
    ],
)
def test_names_of_modules_and_second_names_choose(tmp_path, include, exclude, chosen):
    model = Tied()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "a.h5", include=include, exclude=exclude):
        update(model, optimizer, torch.tensor([1, 2, 3]))
    assert set(read(tmp_path / "a.h5").steps[1]) == chosen


def test_a_name_is_no_prefix_of_another():
    model = nn.ModuleDict({"fc1": nn.Linear(2, 2), "fc10": nn.Linear(2, 2)})
    from wdyn.record.choice import choose
    from wdyn.record.inventory import take_inventory

    assert choose(take_inventory(model), ["fc1"], []) == ["fc1.weight", "fc1.bias"]


@pytest.mark.parametrize("argument", ["include", "exclude"])
@pytest.mark.parametrize("patterns", ["bdy", ["body", "hed.*"]])
def test_a_pattern_that_matches_nothing_is_said(tmp_path, argument, patterns):
    text = r"leave no parameter|(in|ex)clude='(bdy|hed\.\*)' matches nothing. The model has: emb.weight, body.0.weight"
    with pytest.raises(MisuseError, match=text):
        Recorder(Tied(), tmp_path / "a.h5", **{argument: patterns})
    assert not list(tmp_path.iterdir())
