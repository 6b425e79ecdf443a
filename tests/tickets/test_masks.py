"""Masks that hold whatever the optimizer does."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from wdyn import Recorder, open_run
from wdyn.errors import MisuseError, NotFoundError
from wdyn.tickets.masks import apply_masks, masks_of, prunable

OPTIMIZERS = [
    lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1),
    lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9),
]


def _halves(model, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.random(tuple(each.shape)) < 0.5 for name, each in prunable(model).items()}


def _train(model, optimizer, inputs, steps=5):
    for _ in range(steps):
        optimizer.zero_grad()
        out = model(inputs)
        out = out[0] if isinstance(out, tuple) else out
        out.square().mean().backward()
        optimizer.step()
    model(inputs)


@pytest.mark.parametrize("make_optimizer", OPTIMIZERS)
@pytest.mark.parametrize("optimizer_first", [True, False])
def test_pruned_weights_are_zero_and_survivors_move(make_optimizer, optimizer_first):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    x = torch.randn(8, 6)
    optimizer = make_optimizer(model.parameters())
    if optimizer_first:
        _train(model, optimizer, x)  # momentum that would move a pruned weight
    masks = _halves(model)
    apply_masks(model, masks)
    before = {name: module.weight.detach().numpy().copy() for name, module in model.named_children() if name in "03"}
    if not optimizer_first:
        optimizer = make_optimizer(model.parameters())
    _train(model, optimizer, x)
    for name, was in before.items():
        now, mask = model.get_submodule(name).weight.detach().numpy(), masks[f"{name}.weight"]
        assert_array_equal(now[~mask], 0)
        assert (now[mask] != was[mask]).all()


def test_biases_and_scales_are_left_alone_unless_they_are_named():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    assert list(prunable(model)) == ["0.weight", "3.weight"]
    assert list(prunable(model, exclude="3")) == ["0.weight"]
    assert list(prunable(model, include=["*bias"])) == ["0.bias", "1.bias", "3.bias"]
    with pytest.raises(MisuseError, match="matches nothing"):
        prunable(model, exclude="fc")
    with pytest.raises(MisuseError, match="nothing to prune"):
        prunable(nn.BatchNorm1d(3))


def test_a_second_mask_takes_the_place_of_the_first():
    model = nn.Linear(4, 3)
    first, second = _halves(model, 1), _halves(model, 2)
    apply_masks(model, first)
    assert_array_equal(masks_of(model)["weight"], first["weight"])
    apply_masks(model, second)
    assert_array_equal(masks_of(model)["weight"], second["weight"])
    kept_values = model.weight_orig.detach().numpy() * second["weight"]
    assert_array_equal(model.weight.detach().numpy(), kept_values)
    assert_array_equal(model(torch.eye(4)).detach().numpy(), (kept_values.T + model.bias.detach().numpy()))


def test_a_tied_weight_is_masked_wherever_it_is_used():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x):
            return self.head(self.embed(x))

    model = Tied()
    masks = _halves(model)
    assert list(masks) == ["embed.weight"]
    apply_masks(model, masks)
    assert model.embed.weight_orig is model.head.weight_orig
    _train(model, torch.optim.AdamW(model.parameters(), weight_decay=0.1), torch.arange(7))
    for each in (model.embed, model.head):
        assert_array_equal(each.weight.detach().numpy()[~masks["embed.weight"]], 0)


def test_a_recurrent_layer_computes_with_its_mask():
    model = nn.LSTM(3, 4)
    apply_masks(model, {name: np.zeros(tuple(each.shape), bool) for name, each in prunable(model).items()})
    with torch.no_grad():
        model.bias_ih_l0.zero_()
        model.bias_hh_l0.zero_()
    assert_array_equal(model(torch.randn(5, 2, 3))[0].detach().numpy(), 0)


def test_what_cannot_be_masked_is_said():
    model = nn.Linear(4, 3)
    with pytest.raises(NotFoundError, match=r"no parameter 'fc1.weight' to mask. The model has: weight, bias"):
        apply_masks(model, {"fc1.weight": np.ones((3, 4))})
    with pytest.raises(MisuseError, match=r"the mask of weight is \(4, 3\), but the parameter is \(3, 4\)"):
        apply_masks(model, {"weight": np.ones((4, 3))})
    nn.utils.parametrizations.weight_norm(model)
    with pytest.raises(MisuseError, match="parametrize"):
        apply_masks(model, {name: np.ones(tuple(each.shape)) for name, each in prunable(model).items()})


@pytest.mark.parametrize("made", [nn.utils.weight_norm, nn.utils.spectral_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated")
def test_what_an_older_hook_makes_a_weight_of_is_not_masked(made):
    model = made(nn.Linear(4, 3))  # its hook runs before that of the mask, so weights would lag one update behind
    name = "weight_v" if made is nn.utils.weight_norm else "weight_orig"
    with pytest.raises(MisuseError, match=f"makes weight of {name}"):
        apply_masks(model, {name: np.ones((3, 4))})


def test_a_recorder_keeps_masks_and_the_values_under_them(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    start = model[0].weight.detach().numpy().copy()
    masks = _halves(model)
    apply_masks(model, masks)
    with Recorder(model, tmp_path / "a.h5"):
        _train(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.randn(8, 6))
    with open_run(tmp_path / "a.h5") as run:
        assert_array_equal(run.masks(5)["0.weight"], masks["0.weight"])
        assert_array_equal(run.state(0)["0.weight"], start * masks["0.weight"])
        assert_array_equal(run.state(0, masked=False)["0.weight"], start)
