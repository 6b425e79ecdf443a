"""Networks and data out of the ordinary: scores equal to torch's own, or an explanation."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from tests.replay.hook_loop import without_each_unit
from tests.replay.memory_run import ModelRun
from wdyn.errors import MisuseError
from wdyn.record.operations import ALLOWED
from wdyn.replay.evaluator import evaluator
from wdyn.replay.interpret import Program, _function


class Calls(nn.Module):
    """Modules by name and any function of them."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.function(self, x)


def scored(model, inputs, targets, **options):
    torch.manual_seed(0)
    return evaluator(ModelRun(model.eval(), inputs, targets), **options)


def mlp(inputs=4, outputs=3):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(inputs, 6), nn.ReLU(), nn.Linear(6, outputs))


def test_every_listed_operation_exists():
    for kind in sorted(ALLOWED):
        assert callable(_function(kind)), kind


def test_ignored_targets_do_not_count():
    model, x = mlp(), torch.randn(20, 4)
    targets = torch.randint(3, (20,))
    targets[::2] = -100
    scores = scored(model, x, targets).at(0).scores({})
    output = model(x).detach()
    assert_allclose(scores.loss[0], F.cross_entropy(output, targets), rtol=1e-6)
    assert_allclose(scores.score[0], (output.argmax(1) == targets)[1::2].double().mean(), rtol=1e-12)


def test_all_tokens_that_are_not_ignored_count_alike():
    model, x = mlp(), torch.randn(7, 5, 4)
    targets = torch.randint(3, (7, 5))
    targets[torch.rand(7, 5) < 0.4] = -100
    scores = scored(model, x, targets).at(0).scores({"0": np.eye(6, dtype=bool)})
    hidden = model[1](model[0](x)).detach()
    for unit in range(6):
        output = model[2](hidden.index_fill(2, torch.tensor([unit]), 0)).detach()
        assert_allclose(scores.loss[unit], F.cross_entropy(output.flatten(0, 1), targets.flatten()), rtol=1e-6)


def test_one_logit_is_a_choice_of_two_also_where_some_are_ignored():
    model, x = mlp(outputs=1), torch.randn(20, 4)
    targets = torch.randint(2, (20,))
    scores = scored(model, x, targets).at(0).scores({})
    logit = model(x).detach()[:, 0]
    assert_allclose(scores.loss[0], F.binary_cross_entropy_with_logits(logit, targets.float()), rtol=1e-6)
    targets[:3] = -100
    scores = scored(model, x, targets).at(0).scores({})
    assert_allclose(scores.loss[0], F.binary_cross_entropy_with_logits(logit[3:], targets[3:].float()), rtol=1e-6)


def test_numbers_are_held_against_outputs_by_squared_error():
    model, x, targets = mlp(), torch.randn(20, 4), torch.randn(20, 3)
    ours = scored(model, x, targets)
    assert_allclose(ours.at(0).scores({}).loss[0], F.mse_loss(model(x).detach(), targets), rtol=1e-6)
    assert np.isnan(ours.at(0).scores({}).score).all()
    assert (ours.classes, ours.score_name, ours.labels) == (0, "", None)


def test_classes_on_an_axis_that_cannot_be_told_are_refused():
    model = nn.Conv1d(4, 6, 1)
    with pytest.raises(MisuseError, match="first or their last axis"):
        scored(model, torch.randn(9, 4, 6), torch.randint(6, (9, 6)))
    ours = scored(model, torch.randn(9, 4, 5), torch.randint(6, (9, 5)))
    assert ours.classes == 6


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", ">i4", "bool"])
def test_whole_numbers_of_any_type_are_classes(dtype):
    model, x = mlp(), torch.randn(20, 4)
    targets = torch.arange(20) % 2
    ours = scored(model, x, targets, data=(x.numpy().astype(">f8"), targets.numpy().astype(dtype)))
    assert_allclose(ours.at(0).scores({}).loss[0], F.cross_entropy(model(x).detach(), targets), rtol=1e-6)


@pytest.mark.parametrize(
    "data",
    [
        (np.array(["a"] * 20), np.zeros(20, int)), (np.zeros((20, 4)), np.array(["a"] * 20)),
        (np.zeros((20, 4)), np.int64(3)), (np.zeros((20, 4)), np.zeros(20, complex)),
        (np.zeros((20, 4)), np.zeros(19, int)), (np.zeros((0, 4)), np.zeros(0, int)),
        (np.zeros((20, 4)), np.full(20, 3)), (np.zeros((20, 4)), np.zeros((20, 7))),
        ((np.zeros((20, 4)), np.zeros(20)), np.zeros(20, int)),
    ],
)  # fmt: skip
def test_data_that_do_not_fit_are_explained(data):
    with pytest.raises(MisuseError):
        scored(mlp(), torch.randn(20, 4), torch.zeros(20, dtype=torch.int64), data=data)


def test_tokens_beyond_the_vocabulary_are_explained():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3))
    x = torch.randint(5, (20, 6))
    with pytest.raises(MisuseError, match="cannot run on these data"):
        scored(model, x, torch.zeros(20, 6, dtype=torch.int64), data=(x.numpy() + 3, np.zeros((20, 6), int)))


def batch_statistics():
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6, track_running_stats=False), nn.Linear(6, 3))


def always_dropped():
    return Calls(lambda m, x: m.b(F.dropout(m.a(x), 0.5, True)), a=nn.Linear(4, 6), b=nn.Linear(6, 3))


@pytest.mark.parametrize("make", [batch_statistics, always_dropped])
def test_a_network_that_mixes_examples_is_refused(make):
    with pytest.raises(MisuseError, match=r"depends on others of its batch|batch_norm|dropout"):
        scored(make(), torch.randn(20, 4), torch.randint(3, (20,)))


def weight_normed(bias):
    normed = parametrizations.weight_norm(nn.Linear(6, 3, bias=bias))
    return Calls(lambda m, x: m.b(m.act(m.a(x))), a=nn.Linear(4, 6), act=nn.ReLU(), b=normed)


def two_towers():
    return Calls(lambda m, x: m.act(m.a(x)) * m.b(x), a=nn.Linear(4, 3), act=nn.ReLU(), b=nn.Linear(4, 3))


def by_keyword():
    def forward(m, x):
        h = m.act(m.a(x[:, :, None, None])).contiguous(memory_format=torch.channels_last)
        return m.b(h.mean((2, 3), dtype=torch.float32))

    return Calls(forward, a=nn.Conv2d(4, 6, 1), act=nn.ReLU(), b=nn.Linear(6, 3))


def pooled_by_max():
    pool = nn.AdaptiveMaxPool2d(1)
    return Calls(
        lambda m, x: m.b(pool(m.act(m.a(x[:, :, None, None].expand(-1, -1, 3, 3)))).flatten(1)),
        a=nn.Conv2d(4, 6, 2), act=nn.ReLU(), b=nn.Linear(6, 3),
    )  # fmt: skip


def transposed():
    return Calls(
        lambda m, x: m.b(m.act(m.a(x[:, :, None])).flatten(1)),
        a=nn.ConvTranspose1d(4, 6, 3, groups=2), act=nn.PReLU(6), b=nn.Linear(18, 3),
    )  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [lambda: weight_normed(True), lambda: weight_normed(False), two_towers, by_keyword, pooled_by_max, transposed],
)
def test_scores_equal_those_of_a_loop_with_hooks(make):
    torch.manual_seed(2)
    model, x, targets = make(), torch.randn(20, 4), torch.randint(3, (20,))
    ours = scored(model, x, targets)
    theirs = without_each_unit(model, model.act, 1, x, targets)
    found = ours.at(0).scores({"a": np.eye(len(theirs), dtype=bool)})
    assert_allclose(np.c_[found.loss, found.score], theirs, rtol=1e-5)


def test_outputs_with_names_of_the_programs_own():
    model = Calls(lambda m, x: {"node": m.a(x), "float": m.a(x)}, a=nn.Linear(4, 3))
    run = ModelRun(model, torch.randn(20, 4), torch.randint(3, (20,)))
    assert Program(run.program, "a.h5").results
    single = ModelRun(Calls(lambda m, x: {"node": m.a(x)}, a=nn.Linear(4, 3)), torch.randn(20, 4), torch.zeros(20))
    assert Program(single.program, "a.h5").results


def test_a_layer_that_sees_examples_and_positions_as_rows_has_no_mean_by_class():
    """As in torch's own attention, whose last layer reads time-first rows."""

    def forward(m, x):
        rows = m.a(x.transpose(0, 1).reshape(-1, 4))
        return m.b(torch.relu(rows)).reshape(5, -1, 3).mean(0)

    model, x = Calls(forward, a=nn.Linear(4, 6), b=nn.Linear(6, 3)), torch.randn(20, 5, 4)
    found = scored(model, x, torch.randint(3, (20,))).at(0).activity("a")
    assert_allclose(found.mean, torch.relu(model.a(x)).detach().flatten(0, 1).mean(0), rtol=1e-5)
    assert np.isnan(found.class_mean).all()


def test_positions_before_examples_are_still_the_examples():
    model = Calls(lambda m, x: m.b(torch.relu(m.a(x.transpose(0, 1))).mean(0)), a=nn.Linear(4, 6), b=nn.Linear(6, 3))
    x, targets = torch.randn(20, 20, 4), torch.arange(20) % 3
    found = scored(model, x, targets).at(0).activity("a")
    values = torch.relu(model.a(x)).detach().mean(1)
    for label in range(3):
        assert_allclose(found.class_mean[label], values[targets == label].mean(0), rtol=1e-5)


def test_a_metric_sees_all_outputs_of_each_of_many_variants():
    model, x, targets = mlp(), torch.randn(20, 4), torch.randint(3, (20,))
    seen = []

    def metric(outputs, targets):
        seen.append(outputs.shape)
        return float(outputs[0, 0])

    gone = np.zeros((150, 6), bool)
    gone[np.arange(150), np.arange(150) % 6] = True
    scores = scored(model, x, targets, metric=metric).at(0).scores({"0": gone})
    assert_allclose(scores.score[:6], scores.score[6:12], rtol=1e-5)
    assert set(seen) == {(20, 3)}
