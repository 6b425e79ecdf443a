# ruff: noqa: PT031, SIM117 - a warning may come at any moment of a training, its end included
"""A model that changes while it trains ends the recording or is followed, and is never recorded wrongly."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.record.frames import read
from tests.record.training import as_bytes, small, train, update
from wdyn.record.recorder import Recorder


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
    assert read(tmp_path / "a.h5").order == [0, 1]


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
