"""The same promises on every kind of device there is: what is kept is what the loop saw, and nothing is changed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from tests.record.frames import read
from tests.record.training import as_bytes
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import every

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def network(device, dtype=torch.float32):
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    return nn.Sequential(*layers).to(device, dtype)


def seen(model):
    return {name: as_bytes(tensor.cpu()) for name, tensor in model.state_dict().items()}


def train(model, optimizer, steps, *, look=None, device="cpu", dtype=torch.float32, autocast=False):
    scaler = torch.amp.GradScaler(device, enabled=autocast and device == "cuda")
    found = []
    for step in range(steps):
        generator = torch.Generator(device).manual_seed(step)
        x = torch.randn(16, 1, 8, 8, device=device, dtype=dtype, generator=generator)
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=autocast):
            loss = model(x).square().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if look is not None:
            found.append(look(model))
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("device", DEVICES)
def test_each_step_is_what_the_loop_saw(tmp_path, device, dtype):
    model = network(device, dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with Recorder(model, tmp_path / "a.h5"):
        before = seen(model)
        expected = [before, *train(model, optimizer, 12, look=seen, device=device, dtype=dtype)]
    found = read(tmp_path / "a.h5")
    assert found.order == list(range(13))
    # step 0 keeps the buffers that the model was made with
    assert [found.steps[step] for step in range(13)] == expected


@pytest.mark.parametrize("device", DEVICES)
def test_steps_that_follow_at_once_are_not_mixed(tmp_path, device):
    """Nothing waits between updates here: a copy must not see the update that comes after it."""
    model = nn.Linear(2000, 500).to(device)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    with Recorder(model, tmp_path / "a.h5", schedule=every(3)) as rec:
        for step in range(1, 91):
            with torch.no_grad():
                model.weight.add_(1)
                model.bias.add_(1)
            rec.step()
            assert rec.step_count == step
    found = read(tmp_path / "a.h5")
    assert found.order == list(range(0, 91, 3))
    for step, tensors in found.steps.items():
        values = torch.frombuffer(bytearray(tensors["weight"]), dtype=torch.float32)
        assert values.min().item() == values.max().item() == step


def state_of(model, optimizer):
    """Everything a training leaves, as bytes."""
    slots = [t for state in optimizer.state.values() for t in state.values() if isinstance(t, torch.Tensor)]
    grads = [p.grad for p in model.parameters()]
    device = next(model.parameters()).device
    rng = [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if device.type == "cuda" else [])]
    return [as_bytes(t.cpu()) for t in [*model.state_dict().values(), *slots, *grads, *rng]]


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("device", DEVICES)
def test_training_is_bit_identical_with_and_without(tmp_path, monkeypatch, device, autocast):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    ends = []
    for recorded in (False, True):
        model = network(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        torch.manual_seed(1)
        if recorded:
            with Recorder(model, tmp_path / "a.h5"):
                train(model, optimizer, 20, device=device, autocast=autocast)
        else:
            train(model, optimizer, 20, device=device, autocast=autocast)
        ends.append(state_of(model, optimizer))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("device", DEVICES)
def test_goes_on_with_a_run(tmp_path, device):
    model = network(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "a.h5"):
        train(model, optimizer, 5, device=device)
        saved = copy.deepcopy(model.state_dict())
        train(model, optimizer, 3, device=device)
    model.load_state_dict(saved)
    with Recorder(model, tmp_path / "a.h5", resume=True) as rec:
        assert rec.step_count == 5
        train(model, optimizer, 1, device=device)
    assert read(tmp_path / "a.h5").order == [*range(9), 5, 6]
