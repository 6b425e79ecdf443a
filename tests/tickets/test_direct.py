"""Pruning in a loop of one's own: the same choice as a slow one, counts from the intact network."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from wdyn.errors import MisuseError
from wdyn.tickets import masks_of, prune
from wdyn.tickets.ladder import kept


def _model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3))


def test_the_smallest_go_layer_by_layer_and_counts_do_not_add_up_their_rounding():
    model = _model()
    for rounds in range(1, 6):
        masks = prune(model, 0.3, rounds=rounds)
        for name, mask in masks.items():
            weights = model.get_parameter(name + "_orig").detach().abs().numpy()
            assert mask.sum() == kept(mask.size, 0.3, rounds)
            assert weights[mask].min() > weights[~mask].max()  # no ties among them
    assert_array_equal(masks_of(model)["0.weight"], masks["0.weight"])
    assert list(masks) == ["0.weight", "4.weight"]


def test_all_layers_compete_for_one_count():
    model = _model()
    masks = prune(model, 0.5, scope="global")
    values = {name: model.get_parameter(name + "_orig").detach().abs().numpy() for name in masks}
    kept_values = np.concatenate([values[name][masks[name]] for name in masks])
    gone = np.concatenate([values[name][~masks[name]] for name in masks])
    assert len(kept_values) == kept(108 + 72, 0.5, 1)
    assert kept_values.min() > gone.max()


def test_whole_filters_go_by_their_norm_and_the_outputs_stay():
    model = _model()
    masks = prune(model, 0.5, structured="l2")
    assert list(masks) == ["0.weight"]
    whole = masks["0.weight"].reshape(6, -1)
    assert (whole.all(1) | ~whole.any(1)).all()
    norms = model.get_parameter("0.weight_orig").detach().flatten(1).norm(dim=1).numpy()
    assert set(np.flatnonzero(whole.all(1))) == set(np.argsort(norms)[3:])


@pytest.mark.parametrize("criterion", ["movement", "magnitude_increase"])
def test_what_moved_most_since_the_start_stays(criterion):
    model = _model()
    start = {name: each.clone() for name, each in model.state_dict().items()}
    with torch.no_grad():
        for each in model.parameters():
            each += torch.randn_like(each)
    masks = prune(model, 0.5, criterion=criterion, start=start, exclude="4")
    w, w0 = model.get_parameter("0.weight_orig").detach().double(), start["0.weight"].double()
    score = ((w - w0).abs() if criterion == "movement" else w.abs() - w0.abs()).numpy()
    assert score[masks["0.weight"]].min() > score[~masks["0.weight"]].max()
    again = prune(model, 0.5, rounds=2, criterion=criterion, start=start, exclude="4")
    assert (masks["0.weight"] | ~again["0.weight"]).all()


def test_random_masks_repeat_with_their_seed():
    masks = [prune(_model(), 0.5, criterion="random", seed=seed)["4.weight"] for seed in (0, 0, 1)]
    assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def test_what_cannot_work_is_said():
    model = _model()
    with pytest.raises(MisuseError, match="rounds"):
        prune(model, rounds=0)
    with pytest.raises(MisuseError, match="give start="):
        prune(model, criterion="movement")
    prune(model, 0.9)
    with pytest.raises(MisuseError, match="only 11 are left"):
        prune(model, 0.1)
    assert masks_of(model)["0.weight"].sum() == 11
