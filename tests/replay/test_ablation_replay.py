import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from tests.replay.families import FAMILIES
from tests.replay.hook_loop import loss_and_accuracy, without_each_unit
from tests.replay.memory_run import ModelRun
from wdyn.replay.evaluator import evaluator

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
