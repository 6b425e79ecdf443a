from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

from tests.record.frames import read
from tests.record.training import as_bytes, small, update
from wdyn.journal.frame import Kind
from wdyn.record.recorder import Recorder


@pytest.fixture
def model():
    return small()


@pytest.fixture
def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def bits(mask: torch.Tensor) -> list[int]:
    """One bit per weight, the first in the lowest bit of the first byte, by hand."""
    flat = [int(value) for value in mask.flatten().tolist()]
    flat += [0] * (-len(flat) % 8)
    return [sum(bit << i for i, bit in enumerate(flat[at : at + 8])) for at in range(0, len(flat), 8)]


def kept(found, step):
    return {name: array.tolist() for name, array in found.masks[step].items()}


def test_pruned_before(tmp_path, model, optimizer):
    prune.random_unstructured(model[0], "weight", amount=5)
    mask = model[0].weight_mask.clone()
    with Recorder(model, tmp_path / "a.h5"):
        update(model, optimizer)
        update(model, optimizer)
    found = read(tmp_path / "a.h5")
    assert list(found.masks) == [0]
    assert kept(found, 0) == {"0.weight": bits(mask)}
    assert found.kinds[1:3] == [Kind.MASKS, Kind.STEP]
    assert found.steps[2]["0.weight"] == as_bytes(model[0].weight_orig)
    assert {spec.name for spec in found.schema.tensors} == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert [layer["parameter"] for layer in found.schema.meta["layers"]] == ["0.weight", "2.weight"]


def test_pruned_in_rounds_and_made_permanent(tmp_path, model, optimizer):
    truth, masks = {}, {}

    def step(number):
        update(model, optimizer)
        truth[number] = {n: as_bytes(p) for n, p in model.named_parameters()}
        masks[number] = {n.removesuffix("_mask"): bits(b) for n, b in model.named_buffers()}

    with Recorder(model, tmp_path / "a.h5"):
        step(1)
        prune.l1_unstructured(model[0], "weight", amount=4)  # moves the weight behind the bias
        step(2)
        step(3)
        prune.l1_unstructured(model[0], "weight", amount=4)
        prune.random_unstructured(model[2], "bias", amount=1)
        step(4)
        prune.remove(model[0], "weight")
        step(5)
        prune.remove(model[2], "bias")
        step(6)
    found = read(tmp_path / "a.h5")
    assert found.order == list(range(7))
    for number, values in truth.items():
        assert found.steps[number] == {n.removesuffix("_orig"): value for n, value in values.items()}
    assert list(found.masks) == [2, 4, 5, 6]
    assert {number: kept(found, number) for number in found.masks} == {k: masks[k] for k in (2, 4, 5, 6)}
    assert not masks[6]


def test_pruned_after_the_recorder_and_before_training(tmp_path, model, optimizer):
    with Recorder(model, tmp_path / "a.h5"):
        prune.random_unstructured(model[0], "weight", amount=5)
        update(model, optimizer)
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 0, 1]
    assert kept(found, 0) == {"0.weight": bits(model[0].weight_mask)}


def test_a_mask_changed_in_place_behind_autograd(tmp_path, model, optimizer):
    prune.identity(model[0], "weight")
    with Recorder(model, tmp_path / "a.h5"):
        update(model, optimizer)
        model[0].weight_mask.data[0, 0] = 0
        update(model, optimizer)
    found = read(tmp_path / "a.h5")
    assert list(found.masks) == [0, 2]
    assert np.unpackbits(found.masks[2]["0.weight"], bitorder="little")[:12].tolist() == [0] + [1] * 11


def test_a_users_own_mask_buffer_is_a_buffer(tmp_path, model, optimizer):
    model[0].register_buffer("weight_mask", torch.ones(3, 4))
    with Recorder(model, tmp_path / "a.h5"):
        update(model, optimizer)
    found = read(tmp_path / "a.h5")
    assert not found.masks
    assert "0.weight_mask" in found.steps[1]
