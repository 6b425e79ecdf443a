"""Fresh statistics of normalisation layers, and scores of each example, against torch's own modules."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

import wdyn
from tests.replay.families import ResNet20
from wdyn import Recorder
from wdyn.errors import MisuseError, NotFoundError
from wdyn.replay.by_module import ModuleEvaluator


class Twice(nn.Module):
    """One normalisation layer that is used two times."""

    def __init__(self):
        super().__init__()
        self.fc, self.norm, self.out = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x):
        return self.out(torch.relu(self.norm(self.fc(torch.relu(self.norm(x))))))


def plain():
    return nn.Sequential(
        nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 4), nn.BatchNorm1d(4, affine=False)
    )


MODELS = {
    "two norms in a row": (plain, (6,)),
    "one norm used twice": (Twice, (6,)),
    "ResNet-20": (ResNet20, (3, 16, 16)),
}


def recorded(folder, make_model, shape, examples=32):
    """A run of two steps in train mode, and its module."""
    torch.manual_seed(0)
    model = make_model()
    x, y = torch.randn(examples, *shape), torch.randint(3, (examples,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, folder / "a.h5", sample=(x, y)):
        for _ in range(2):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(8, *shape)), torch.randint(3, (8,))).backward()
            optimizer.step()
    return folder / "a.h5", model.eval(), x, y


def after_a_pass_in_train_mode(model, x):
    """The second road: torch averages over one batch."""
    for each in model.modules():
        if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d):
            each.reset_running_stats()
            each.momentum = None
    with torch.no_grad():
        model.train()(x)
    model.eval()
    return {n: b.numpy().copy() for n, b in model.named_buffers() if not n.endswith("num_batches_tracked")}


@pytest.mark.parametrize("name", MODELS)
def test_statistics_are_those_that_torch_leaves_behind(tmp_path, name):
    path, model, x, y = recorded(tmp_path, *MODELS[name])
    with wdyn.open_run(path) as run:
        network = wdyn.evaluator(run).at(2)
        before = network.scores({})
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.25)  # other weights than those of the step
        changed = {n: p.detach().numpy() for n, p in model.named_parameters()}
        found = network.statistics(changed)
        expected = after_a_pass_in_train_mode(model, x)
        assert found.keys() == expected.keys()
        for each, values in expected.items():
            # both sum in float32, in another order; errors of ResNet-20 add up over 19 layers
            assert_allclose(found[each], values, rtol=1e-3, atol=1e-5, err_msg=each)
        scores = network.with_weights({**changed, **found})
        with torch.no_grad():
            logits = model(x)
        assert_allclose(scores.loss[0], nn.functional.cross_entropy(logits, y).item(), rtol=1e-4)
        assert_array_equal(network.scores({}).loss, before.loss)  # nothing is changed for good


def test_each_example_adds_up_to_the_scores(tmp_path):
    path, model, x, y = recorded(tmp_path, plain, (6,))
    with wdyn.open_run(path) as run:
        network = wdyn.evaluator(run).at(2)
        examples, scores = network.each({}), network.scores({})
        with torch.no_grad():
            logits = model(x)
        assert_allclose(examples.loss, nn.functional.cross_entropy(logits, y, reduction="none").numpy(), rtol=1e-5)
        assert_array_equal(examples.right, (logits.argmax(1) == y).numpy())
        assert_allclose([examples.loss.mean(), examples.right.mean()], [scores.loss[0], scores.score[0]], rtol=1e-12)
        with pytest.raises(NotFoundError, match="uses no parameter 'fc'"):
            network.each({"fc": np.zeros(3)})
        with pytest.raises(MisuseError, match="shape"):
            network.statistics({"0.weight": np.zeros(3)})


def test_a_module_without_a_program_gives_the_same(tmp_path):
    path, model, *_ = recorded(tmp_path, plain, (6,))
    with wdyn.open_run(path) as run:
        network = wdyn.evaluator(run).at(2)
        slow = ModuleEvaluator(run, model, ((run.sample.inputs,), run.sample.targets))
        other = slow.at(2)
        assert set(wdyn.evaluator(run).tensors) <= set(slow.tensors)
        changed = {"0.weight": 2 * run.state(2)["0.weight"]}
        fast = network.statistics(changed)
        found = other.statistics(changed)
        assert found.keys() == fast.keys()
        for name, values in fast.items():
            assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)
        assert_allclose(other.each(changed).loss, network.each(changed).loss, rtol=1e-5)
        assert not any(each.training for each in model.modules())
        for name, values in run.state(2).items():  # it is left as it was
            assert_array_equal(model.state_dict()[name].numpy(), values)


def test_a_network_without_norms_has_no_statistics(tmp_path):
    path, model, *_ = recorded(tmp_path, lambda: nn.Sequential(nn.Linear(6, 3)), (6,))
    with wdyn.open_run(path) as run:
        assert wdyn.evaluator(run).at(2).statistics({}) == {}
        assert ModuleEvaluator(run, model, ((run.sample.inputs,), run.sample.targets)).at(2).statistics({}) == {}


def test_values_have_no_right_or_wrong(tmp_path):
    path, *_ = recorded(tmp_path, plain, (6,))
    with wdyn.open_run(path) as run:
        data = run.sample.inputs, np.zeros((len(run.sample.inputs), 4), "f4")
        assert wdyn.evaluator(run, data=data).at(2).each({}).right is None
