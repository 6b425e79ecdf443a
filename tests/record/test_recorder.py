# ruff: noqa: PT031 - a warning may come at any moment of a training, its end included
"""A recording holds what the loop saw, bit for bit, and what else it was given."""

from __future__ import annotations

import gc
import re

import numpy as np
import pytest
import torch
from torch import nn

from tests.record.frames import read
from tests.record.training import as_bytes, raw, small, train
from wdyn.record.recorder import Recorder

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
