"""Rewinding: survivors, buffers and what the optimizer remembered are back to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from tests.tickets.lottery_kit import (
    adam,
    content,
    momentum,
    resumable,
    small,
    with_norm,
)  # fmt: skip
from wdyn import at, every, open_run
from wdyn.errors import DamagedError, MisuseError
from wdyn.tickets import find_ticket
from wdyn.tickets.optimizer_state import load_state, remembered, reminded, save_state

pytestmark = pytest.mark.usefixtures("packed_here")


def as_bytes(state):
    return {name: values.tobytes() for name, values in state.items()}


@pytest.mark.parametrize("rewind_to", [0, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_survivors_biases_and_buffers_start_as_they_were(tmp_path, rewind_to, dtype):
    def make():
        return with_norm().to(dtype)

    search = find_ticket(
        make, resumable(shape=(1, 3, 3)), folder=tmp_path, rounds=2, rewind_to=rewind_to, schedule=at([])
    )
    with open_run(search.rounds[0].file) as dense:
        start = dense.state(rewind_to)
    assert {"1.running_mean", "1.running_var", "1.num_batches_tracked"} < start.keys()
    assert start["1.num_batches_tracked"] == rewind_to
    for facts in search.rounds[1:]:
        with open_run(facts.file) as run:
            assert {spec.dtype for spec in run.parameters.values()} == {str(dtype).split(".")[1], "int64"}
            assert run.steps[-1] == 8 - rewind_to
            for name, values in run.state(0, masked=False).items():
                assert values.tobytes() == start[name].tobytes(), name
            assert run.meta["metadata"]["ticket"]["start"]["step"] == rewind_to


@pytest.mark.parametrize("make", [adam, momentum])
def test_a_rewound_optimizer_goes_on_as_if_nothing_had_happened(tmp_path, make):
    for state in ("rewound", "fresh"):
        search = find_ticket(
            small, resumable(make=make), folder=tmp_path / state, rounds=1, rate=0.0, rewind_to=3,
            optimizer_state=state, schedule=every(1),
        )  # fmt: skip
        with open_run(search.rounds[0].file) as dense, open_run(search.rounds[1].file) as again:
            equal = [as_bytes(dense.state(step + 3)) == as_bytes(again.state(step)) for step in range(6)]
        assert equal == [True] + [state == "rewound"] * 5


def test_a_resumed_search_knows_what_the_optimizer_remembered(tmp_path):
    options = {"rewind_to": 3, "optimizer_state": "rewound"}
    find_ticket(small, resumable(), folder=tmp_path / "a", rounds=2, **options)
    find_ticket(small, resumable(), folder=tmp_path / "b", rounds=1, **options)
    find_ticket(small, resumable(), folder=tmp_path / "b", rounds=2, **options)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    data = bytearray((tmp_path / "b/round-00-optimizer.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "b/round-00-optimizer.npz").write_bytes(data)
    with pytest.raises(DamagedError, match=r"round-00-optimizer.npz"):
        find_ticket(small, resumable(), folder=tmp_path / "b", rounds=3, **options)


def test_what_an_optimizer_remembers_is_kept_exactly_and_is_zero_under_a_mask(tmp_path):
    from wdyn.tickets.masks import apply_masks

    model = nn.Sequential(nn.Linear(4, 3).bfloat16(), nn.Linear(3, 2))
    state = {
        "0.weight": {"step": torch.tensor(3.0), "exp_avg": torch.randn(3, 4).bfloat16(), "count": 7, "rate": 0.1},
        "1.bias": {"momentum_buffer": torch.randn(2), "empty": torch.zeros(0)},
    }
    save_state(tmp_path / "a.npz", state)
    loaded = load_state(tmp_path / "a.npz")
    assert loaded.keys() == state.keys()
    for name, entries in state.items():
        for key, value in entries.items():
            assert type(loaded[name][key]) is type(value)
            if isinstance(value, torch.Tensor):
                assert loaded[name][key].dtype == value.dtype
                assert torch.equal(loaded[name][key], value)
            else:
                assert loaded[name][key] == value
    mask = np.arange(12).reshape(3, 4) % 3 > 0
    apply_masks(model, {"0.weight": mask})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with reminded(model, loaded):
        optimizer.step()
    had = remembered(model, optimizer)
    assert_array_equal(had["0.weight"]["exp_avg"].float(), state["0.weight"]["exp_avg"].float() * torch.tensor(mask))
    assert had["0.weight"]["step"] == 3


def test_an_optimizer_whose_memory_cannot_be_kept_is_refused_at_the_step(tmp_path):
    def train(model, recorder):
        optimizer = torch.optim.LBFGS(model.parameters())

        def closure():
            optimizer.zero_grad()
            loss = model(torch.ones(2, 6)).square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)
        raise AssertionError("went on")

    with pytest.raises(MisuseError, match=r"LBFGS remembers .* optimizer_state='fresh'"):
        find_ticket(small, train, folder=tmp_path, rewind_to=1, optimizer_state="rewound")
