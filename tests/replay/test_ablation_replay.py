import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F

from tests.replay.families import FAMILIES
from tests.replay.hook_loop import loss_and_accuracy, without_each_unit
from tests.replay.memory_run import ModelRun
from wdyn.errors import WdynError
from wdyn.replay.evaluator import evaluator
from wdyn.replay.variants import ThroughLinear

# place -> (module that its values leave through, axis of the unit, which call of that module)
THROUGH = {
    "LeNet-300-100": {"1": ("2", -1, 0), "3": ("4", -1, 0)},
    "LeNet-5": {"conv1": ("tanh", 1, 0), "conv2": ("tanh", 1, 1), "fc1": ("tanh", 1, 2), "fc2": ("tanh", 1, 3)},
    "Conv-2": {"0": ("1", 1, 0), "2": ("3", 1, 0), "6": ("7", 1, 0), "8": ("9", 1, 0)},
    "Conv-4": {"0": ("1", 1, 0), "7": ("8", 1, 0), "11": ("12", 1, 0)},
    "Conv-6": {"5": ("6", 1, 0), "12": ("13", 1, 0), "18": ("19", 1, 0)},
    "VGG-BN": {"0": ("2", 1, 0), "4": ("6", 1, 0), "12": ("14", 1, 0), "17": ("18", 1, 0)},
    "ResNet-20": {
        "conv1": ("relu", 1, 0), "blocks.0.conv1": ("blocks.0.relu", 1, 0), "blocks.4.conv2": ("blocks.4.bn2", 1, 0),
        "blocks.3.down.0": ("blocks.3.down.1", 1, 0), "blocks.8.conv2": ("blocks.8.bn2", 1, 0),
    },
    "transformer": {
        "layers.0.attention": ("layers.0.attention.mixed", 1, 0), "layers.1.fc1": ("layers.1.gelu", -1, 0),
        "layers.0.attention.out": ("layers.0.attention.out", -1, 0), "layers.1.fc2": ("layers.1.fc2", -1, 0),
    },
    "LSTM": {"lstm": ("lstm", -1, 0)},
    "GroupNorm and depthwise": {"stem": ("silu", 1, 0), "depth": ("relu6", 1, 0), "point": ("relu", 1, 0)},
    "dict outputs": {"body": ("act", -1, 0)},
}  # fmt: skip


def network(name: str, examples: int = 40):
    """A network of the family with statistics as after some training, and data."""
    make, inputs = FAMILIES[name]
    torch.manual_seed(1)
    model = make().eval()
    for buffer in model.buffers():
        if buffer.ndim and buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    given = inputs(examples)
    output = model(given)
    output = output["logits"] if isinstance(output, dict) else output
    targets = torch.randint(output.shape[-1], output.shape[:-1])
    return model, given, targets


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_equal_to_a_loop_with_forward_hooks_for_each_unit(name):
    model, inputs, targets = network(name)
    ours = evaluator(ModelRun(model, inputs, targets))
    assert THROUGH[name].keys() <= ours.places.keys()
    for place, (module, axis, at) in THROUGH[name].items():
        theirs = without_each_unit(model, model.get_submodule(module), axis, inputs, targets, at=at)
        scores = ours.at(0).scores({place: np.eye(ours.places[place].units, dtype=bool)})
        assert len(theirs) == ours.places[place].units
        # float32 sums in another order; their cross-entropy is in float64
        assert_allclose(scores.loss, theirs[:, 0], rtol=2e-6, atol=2e-6, err_msg=place)
        assert_allclose(scores.score, theirs[:, 1], atol=1e-12, err_msg=place)


def test_the_intact_network_scores_as_the_model_does():
    model, inputs, targets = network("Conv-2")
    scores = evaluator(ModelRun(model, inputs, targets)).at(0).scores({})
    loss, accuracy = loss_and_accuracy(model(inputs).detach(), targets)
    assert_allclose([scores.loss[0], scores.score[0]], [loss, accuracy], rtol=1e-6)
    assert scores.loss_error[0] == 0


class Small(nn.Module):
    """Two hidden layers, the first with a norm, biases of both signs."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.norm, self.fc2, self.fc3 = nn.Linear(6, 9), nn.BatchNorm1d(9), nn.Linear(9, 7), nn.Linear(7, 4)
        nn.init.normal_(self.fc2.bias)
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.norm(self.fc1(x))))))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(3)
    model = Small().eval()
    inputs, targets = torch.randn(50, 6), torch.randint(4, (50,))
    return model, inputs, targets, evaluator(ModelRun(model, inputs, targets))


def each_unit(count: int) -> np.ndarray:
    return np.eye(count, dtype=bool)


def with_state(model: nn.Module, **changed: torch.Tensor) -> nn.Module:
    """A copy of the model with some parameters replaced; dots in names are double underscores."""
    copied = copy.deepcopy(model)
    copied.load_state_dict({**model.state_dict(), **{k.replace("__", "."): v for k, v in changed.items()}})
    return copied


def test_a_row_of_zeros_keeps_its_bias(small):
    model, inputs, targets, ours = small
    scores = ours.at(0).scores({"fc2": each_unit(7)}, "row")
    for unit in range(7):
        weight = model.fc2.weight.detach().clone()
        weight[unit] = 0
        loss, _ = loss_and_accuracy(with_state(model, fc2__weight=weight)(inputs).detach(), targets)
        assert_allclose(scores.loss[unit], loss, rtol=1e-6)


def test_a_row_of_zeros_through_a_norm(small):
    model, inputs, targets, ours = small
    scores = ours.at(0).scores({"fc1": each_unit(9)}, "row")
    for unit in range(9):
        weight = model.fc1.weight.detach().clone()
        weight[unit] = 0
        loss, _ = loss_and_accuracy(with_state(model, fc1__weight=weight)(inputs).detach(), targets)
        assert_allclose(scores.loss[unit], loss, rtol=1e-6)


def test_row_and_zero_differ_exactly_where_a_bias_is_positive(small):
    model, _, _, ours = small
    row, zero = (ours.at(0).scores({"fc2": each_unit(7)}, mode).loss for mode in ("row", "zero"))
    positive = model.fc2.bias.detach().numpy() > 0
    assert 0 < positive.sum() < 7
    assert ((row != zero) == positive).all()


def test_removing_a_unit_gives_the_logits_of_a_really_smaller_network(small):
    model, inputs, targets, ours = small
    removed, zero = (ours.at(0).scores({"fc2": each_unit(7)}, mode).loss for mode in ("remove", "zero"))
    for unit in range(7):
        rest = [each for each in range(7) if each != unit]
        smaller = copy.deepcopy(model)
        smaller.fc2, smaller.fc3 = nn.Linear(9, 6), nn.Linear(6, 4)
        with torch.no_grad():
            smaller.fc2.weight.copy_(model.fc2.weight[rest])
            smaller.fc2.bias.copy_(model.fc2.bias[rest])
            smaller.fc3.weight.copy_(model.fc3.weight[:, rest])
            smaller.fc3.bias.copy_(model.fc3.bias)
        loss, _ = loss_and_accuracy(smaller(inputs).detach(), targets)
        assert_allclose([removed[unit], zero[unit]], loss, rtol=1e-6)


def test_a_channel_of_a_convolution_is_removed_with_its_norm_and_its_part_of_the_next_layer():
    torch.manual_seed(5)
    model = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16, 6),
    ).eval()  # fmt: skip
    inputs, targets = torch.randn(30, 3, 8, 8), torch.randint(6, (30,))
    network = evaluator(ModelRun(model, inputs, targets)).at(0)
    first, second = (network.scores({name: each_unit(n)}, "remove").loss for name, n in (("0", 5), ("3", 4)))
    for unit in range(5):
        rest = [each for each in range(5) if each != unit]
        smaller = copy.deepcopy(model)
        smaller[0], smaller[1], smaller[3] = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4).eval(), nn.Conv2d(4, 4, 3)
        with torch.no_grad():
            smaller[0].weight.copy_(model[0].weight[rest])
            smaller[0].bias.copy_(model[0].bias[rest])
            smaller[3].weight.copy_(model[3].weight[:, rest])
            smaller[3].bias.copy_(model[3].bias)
        assert_allclose(first[unit], loss_and_accuracy(smaller(inputs).detach(), targets)[0], rtol=1e-6)
    for unit in range(4):
        weight = model[7].weight.detach().clone().reshape(6, 4, 4)
        weight[:, unit] = 0  # the outgoing weights of the channel: one for each of its four places
        smaller = with_state(model, **{"7__weight": weight.reshape(6, 16)})
        assert_allclose(second[unit], loss_and_accuracy(smaller(inputs).detach(), targets)[0], rtol=1e-6)


def test_mean_puts_the_average_over_the_examples_in_place_of_a_unit(small):
    model, inputs, targets, ours = small
    hidden = torch.relu(model.fc2(torch.relu(model.norm(model.fc1(inputs))))).detach()
    scores = ours.at(0).scores({"fc2": each_unit(7)}, "mean")
    for unit in range(7):
        changed = hidden.clone()
        changed[:, unit] = hidden[:, unit].mean()
        assert_allclose(scores.loss[unit], loss_and_accuracy(model.fc3(changed).detach(), targets)[0], rtol=1e-6)


@pytest.mark.parametrize("variants", [1, 3, 200])
def test_any_units_of_several_places_at_once(small, variants, rng):
    model, inputs, targets, ours = small
    gone = {"fc1": rng.random((variants, 9)) < 0.3, "fc2": rng.random((variants, 7)) < 0.3}
    scores = ours.at(0).scores(gone)
    for v in range(variants):
        hidden = torch.relu(model.norm(model.fc1(inputs))) * torch.from_numpy(~gone["fc1"][v])
        hidden = torch.relu(model.fc2(hidden)) * torch.from_numpy(~gone["fc2"][v])
        loss, accuracy = loss_and_accuracy(model.fc3(hidden).detach(), targets)
        assert_allclose([scores.loss[v], scores.score[v]], [loss, accuracy], rtol=1e-6)


def test_removal_orders_and_random_sets_take_the_same_short_way(small, rng):
    model, inputs, targets, ours = small
    order = rng.permutation(9)
    nested = np.array([np.isin(np.arange(9), order[:k]) for k in range(10)])
    gone = np.concatenate([nested, rng.random((100, 9)) < 0.5])
    scores = ours.at(0).scores({"fc1": gone})
    for v in range(len(gone)):
        hidden = torch.relu(model.norm(model.fc1(inputs))) * torch.from_numpy(~gone[v])
        loss, _ = loss_and_accuracy(model.fc3(torch.relu(model.fc2(hidden))).detach(), targets)
        assert_allclose(scores.loss[v], loss, rtol=1e-6)


def test_a_batch_of_examples_at_a_time_gives_the_same(small, monkeypatch):
    *_, ours = small
    whole = ours.at(0).scores({"fc1": each_unit(9)})
    monkeypatch.setattr(ThroughLinear, "room", 1)  # one variant and one example at a time
    parts = ours.at(0).scores({"fc1": each_unit(9)})
    for a, b in zip(parts, whole, strict=True):
        assert_allclose(a, b, rtol=1e-5)  # float32 sums of other shapes


def test_scores_by_class_and_the_error_of_a_loss_rise(small):
    model, inputs, targets, ours = small
    scores = ours.at(0).scores({"fc2": each_unit(7)[:1]})
    hidden = torch.relu(model.fc2(torch.relu(model.norm(model.fc1(inputs)))))
    hidden[:, 0] = 0
    output, intact = model.fc3(hidden).detach().double(), model(inputs).detach().double()
    right = (output.argmax(1) == targets).double()
    for label in range(4):
        assert_allclose(scores.class_score[0, label], right[targets == label].mean(), atol=1e-12)
    change = F.cross_entropy(output, targets, reduction="none") - F.cross_entropy(intact, targets, reduction="none")
    assert_allclose(scores.loss_error[0], change.std() / 50**0.5, rtol=1e-5)


def test_activity_is_the_mean_over_examples_and_positions():
    model, inputs, targets = network("Conv-2")
    found = evaluator(ModelRun(model, inputs, targets)).at(0).activity("0")
    values = torch.relu(model[0](inputs)).detach().double().mean((2, 3))
    assert_allclose(found.mean, values.mean(0), rtol=1e-6)
    for label in range(10):
        mine = values[targets == label]
        assert_allclose(found.class_mean[label], mine.mean(0) if len(mine) else np.full(8, np.nan), rtol=1e-6)


def test_taylor_is_the_slope_of_the_loss_along_the_way_to_zero(small):
    model, inputs, targets, ours = small
    found = ours.at(0).taylor("fc2")
    hidden = torch.relu(model.fc2(torch.relu(model.norm(model.fc1(inputs))))).detach().double()
    last = copy.deepcopy(model.fc3).double()
    for unit in range(7):
        scale = torch.ones(7, dtype=torch.float64)
        losses = []
        for scale[unit] in (1 + 1e-4, 1 - 1e-4):  # a central difference
            losses.append(float(F.cross_entropy(last(hidden * scale), targets).detach()))
        assert_allclose(found[unit], (losses[1] - losses[0]) / 2e-4, rtol=1e-4, atol=1e-7)


def test_weights_can_be_replaced(small):
    model, inputs, targets, ours = small
    weight = np.ones((7, 9), dtype=np.float32)
    scores = ours.at(0).with_weights({"fc2.weight": weight})
    changed = with_state(model, fc2__weight=torch.from_numpy(weight))
    loss, accuracy = loss_and_accuracy(changed(inputs).detach(), targets)
    assert_allclose([scores.loss[0], scores.score[0]], [loss, accuracy], rtol=1e-6)
    assert_allclose(ours.at(0).scores({}).loss[0], loss_and_accuracy(model(inputs).detach(), targets)[0], rtol=1e-6)


def test_the_users_own_metric_takes_the_place_of_accuracy(small):
    model, inputs, targets, _ = small

    def share_of_class_two(outputs, targets):
        return float((outputs.argmax(1) == 2).mean())

    ours = evaluator(ModelRun(model, inputs, targets), metric=share_of_class_two)
    assert ours.score_name == "share_of_class_two"
    scores = ours.at(0).scores({"fc2": each_unit(7)})
    for unit in range(7):
        hidden = torch.relu(model.fc2(torch.relu(model.norm(model.fc1(inputs)))))
        hidden[:, unit] = 0
        assert_allclose(scores.score[unit], share_of_class_two(model.fc3(hidden).detach().numpy(), None), atol=1e-12)


@pytest.mark.parametrize(
    ("gone", "mode", "words"),
    [
        ({"fc9": np.ones((1, 7), bool)}, "zero", "no place 'fc9'"),
        ({"fc3": np.ones((1, 4), bool)}, "zero", "outputs of the network"),
        ({"fc2": np.ones((1, 8), bool)}, "zero", r"\(M, 7\)"),
        ({"fc2": np.ones((1, 7), bool), "fc1": np.ones((2, 9), bool)}, "zero", "same number of variants"),
        ({"fc2": np.ones((1, 7), bool)}, "gone", "no mode 'gone'"),
    ],
)
def test_what_cannot_go_is_said(small, gone, mode, words):
    with pytest.raises(WdynError, match=words):
        small[3].at(0).scores(gone, mode)


def test_a_norm_over_several_units_lets_none_be_removed():
    model, inputs, targets = network("GroupNorm and depthwise")
    replayed = evaluator(ModelRun(model, inputs, targets)).at(0)
    with pytest.raises(WdynError, match="normalised together with its neighbours"):
        replayed.scores({"stem": each_unit(12)}, "remove")
    rows = replayed.scores({"stem": each_unit(12)}, "row")
    weight = model.stem.weight.detach().clone()
    weight[3] = 0
    loss, _ = loss_and_accuracy(with_state(model, stem__weight=weight)(inputs).detach(), targets)
    assert_allclose(rows.loss[3], loss, rtol=1e-6)
