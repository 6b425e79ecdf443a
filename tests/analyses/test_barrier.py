"""The line between two networks, against modules that torch runs at each point."""

from __future__ import annotations

import contextlib
import copy
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn
from torch.nn.utils import prune

import wdyn
from tests.make_run import make_run
from tests.replay.families import LeNet5, ResNet20, lenet_300_100, vgg_bn
from wdyn.analyses import barrier, load
from wdyn.analyses._charts import Lines, Table
from wdyn.analyses._line import LEVEL, between, height
from wdyn.analyses._unit_order import hidden_units, matching_order, reordered
from wdyn.errors import MisuseError, NotFoundError
from wdyn.record.inventory import take_inventory
from wdyn.record.program import export_program

SHARES = np.linspace(0, 1, 11)
State = dict[str, np.ndarray]


def perceptron(inputs: int = 6, hidden: int = 12) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 7), nn.Tanh(), nn.Linear(7, 3))


def normed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3),
    )  # fmt: skip


def state_of(model: nn.Module) -> State:
    return {name: values.detach().numpy().copy() for name, values in model.state_dict().items()}


def fresh(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A network with norms as after some training, whose units differ and are alive."""
    torch.manual_seed(seed)
    model = make().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.05, 0.3)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return model


def saved(path: Path, *models: nn.Module, sample: tuple[Any, Any], program: bool = True, **options: Any) -> wdyn.Run:
    """A run of these networks, step by step."""
    x = torch.from_numpy(sample[0][:4])
    made = export_program(models[0], (x,), {}, take_inventory(models[0])) if program else None
    buffers = [name for name, _ in models[0].named_buffers()]
    states = {step: state_of(model) for step, model in enumerate(models)}
    return wdyn.open_run(make_run(path, states, sample=sample, program=made, buffers=buffers, **options))


def images(rng: np.random.Generator, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(count, 1, 8, 8)).astype("f4"), rng.integers(3, size=count)


def vectors(rng: np.random.Generator, count: int = 50) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(count, 6)).astype("f4"), rng.integers(3, size=count)


def by_torch(
    model: nn.Module, ends: tuple[State, State], sample: tuple[Any, Any], *, train: bool = False
) -> tuple[list[float], list[float]]:
    """Loss and error at each point; in train mode the statistics are those of the batch, left behind and then used."""
    x, y = (torch.from_numpy(np.asarray(part)) for part in sample)
    losses, errors = [], []
    for share in SHARES:
        net = copy.deepcopy(model)
        mixed = {name: (1 - share) * ends[0][name] + share * ends[1][name] for name in ends[0]}
        net.load_state_dict({name: torch.from_numpy(np.asarray(values)) for name, values in mixed.items()})
        if train:
            for each in net.modules():
                if isinstance(each, nn.BatchNorm2d):
                    each.momentum = None
                    each.reset_running_stats()
            with torch.no_grad():
                net.train()(x)
        with torch.no_grad():
            logits = net.eval()(x)
        losses.append(nn.functional.cross_entropy(logits, y).item())
        errors.append((logits.argmax(1) != y).double().mean().item())
    return losses, errors


def test_the_line_is_that_of_torch(tmp_path: Path, rng: np.random.Generator) -> None:
    sample = vectors(rng)
    a, b = fresh(perceptron, 1), fresh(perceptron, 2)
    with saved(tmp_path / "a.h5", a, sample=sample) as one, saved(tmp_path / "b.h5", b, sample=sample) as two:
        result = load("barrier").compute([one, two], evaluate=wdyn.evaluator)
    losses, errors = by_torch(a, (state_of(a), state_of(b)), sample)
    assert_allclose(result.loss[0], losses, rtol=1e-5)  # float32 forward passes
    assert_array_equal(result.error[0], np.array(errors))
    assert result.loss_barrier[0] == pytest.approx(max(losses) - (losses[0] + losses[-1]) / 2, rel=1e-4)
    assert result.error_barrier[0] == pytest.approx(max(errors) - (errors[0] + errors[-1]) / 2)
    chord = [(1 - s) * losses[0] + s * losses[-1] for s in SHARES]
    assert result.loss_above_chord[0] == pytest.approx(max(np.subtract(losses, chord)), abs=1e-6)
    assert np.isnan(result.loss_recorded).all()  # nothing is normalised
    assert not result.same_start[0]
    assert result.runs == ("a", "b")


def test_statistics_are_recomputed_at_each_point(tmp_path: Path, rng: np.random.Generator) -> None:
    sample = images(rng)
    a, b = fresh(normed, 1), fresh(normed, 2)
    with saved(tmp_path / "a.h5", a, sample=sample) as one, saved(tmp_path / "b.h5", b, sample=sample) as two:
        result = load("barrier").compute([one, two], evaluate=wdyn.evaluator)
    ends = state_of(a), state_of(b)
    for field, train in (("loss", True), ("loss_recorded", False)):
        assert_allclose(getattr(result, field)[0], by_torch(a, ends, sample, train=train)[0], rtol=1e-4)
    assert_array_equal(result.error[0], np.array(by_torch(a, ends, sample, train=True)[1]))
    assert abs(result.loss - result.loss_recorded).max() > 1e-3
    assert np.isfinite(result.loss_aligned).all()


def test_masks_go_along(tmp_path: Path, rng: np.random.Generator) -> None:
    sample, models, masks = vectors(rng), [fresh(perceptron, 1), fresh(perceptron, 2)], []
    runs = []
    for number, model in enumerate(models):
        masks.append({"0.weight": rng.random((12, 6)) < 0.4, "2.weight": rng.random((7, 12)) < 0.4})
        runs.append(saved(tmp_path / f"{number}.h5", model, sample=sample, masks={0: masks[-1]}))
    result = barrier.compute(runs, evaluate=wdyn.evaluator)
    effective = [
        {name: values * mask.get(name, True) for name, values in state_of(model).items()}
        for model, mask in zip(models, masks, strict=True)
    ]
    assert_allclose(result.loss[0], by_torch(models[0], (effective[0], effective[1]), sample)[0], rtol=1e-5)


def test_two_steps_of_one_run(tmp_path: Path, rng: np.random.Generator) -> None:
    sample = vectors(rng)
    a, b = fresh(perceptron, 1), fresh(perceptron, 2)
    with saved(tmp_path / "a.h5", a, b, sample=sample) as run:
        result = barrier.compute([run, run], evaluate=wdyn.evaluator, steps=(1, 0), points=3)
        assert_allclose(result.loss[0, [0, -1]], [wdyn.evaluator(run).at(s).scores({}).loss[0] for s in (1, 0)])
        assert result.runs == ("a, step 1", "a, step 0")
        assert not result.same_start[0]
        with pytest.raises(NotFoundError, match="no step 7"):
            barrier.compute([run, run], evaluate=wdyn.evaluator, steps=(1, 7))
        with pytest.raises(MisuseError, match="2 runs need 2 steps"):
            barrier.compute([run, run], evaluate=wdyn.evaluator, steps=(1,))
        with pytest.raises(MisuseError, match="at least 2 runs and 3 points"):
            barrier.compute([run], evaluate=wdyn.evaluator)


# units in another order


@pytest.mark.parametrize("make", [perceptron, normed, lenet_300_100, LeNet5, vgg_bn])
def test_another_order_of_units_changes_nothing(
    tmp_path: Path, rng: np.random.Generator, make: Callable[[], nn.Module]
) -> None:
    model = fresh(make, 1)
    size = {perceptron: (6,), normed: (1, 8, 8), vgg_bn: (3, 32, 32)}.get(make, (1, 28, 28))
    x = torch.from_numpy(rng.normal(size=(5, *size)).astype("f4"))
    state = state_of(model)
    with saved(tmp_path / "a.h5", model, sample=(x.numpy(), np.zeros(5, np.int64))) as run:
        layers = hidden_units(run)
    assert len(layers) == sum(isinstance(each, nn.Linear | nn.Conv2d) for each in model.modules()) - 1
    orders = [rng.permutation(each.size) for each in layers]
    moved = reordered(state, layers, orders)
    with torch.no_grad():
        before = model(x).numpy()
        model.load_state_dict({name: torch.from_numpy(values) for name, values in moved.items()})
        after = model(x).numpy()
    assert before.std(axis=0).min() > 1e-3  # it is alive
    # the same products in another order of addition
    assert_allclose(after, before, rtol=1e-4, atol=1e-5 * np.abs(before).max())
    found = matching_order(moved, state, layers)  # which of the original's units stands where
    for order, expected in zip(found, orders, strict=True):
        assert_array_equal(order, expected)


def test_a_copy_with_its_units_permuted_has_no_barrier_once_aligned(tmp_path: Path, rng: np.random.Generator) -> None:
    sample, model = images(rng), fresh(normed, 1)
    with saved(tmp_path / "a.h5", model, sample=sample) as one:
        layers = hidden_units(one)
        moved = reordered(state_of(model), layers, [rng.permutation(each.size) for each in layers])
        other = copy.deepcopy(model)
        other.load_state_dict({name: torch.from_numpy(np.asarray(values)) for name, values in moved.items()})
        with saved(tmp_path / "b.h5", other, sample=sample) as two:
            result = barrier.compute([one, two], evaluate=wdyn.evaluator)
    assert_allclose(result.loss_aligned[0], result.loss_aligned[0, 0], rtol=1e-5)
    assert result.loss_barrier_aligned[0] == pytest.approx(0, abs=1e-5)
    assert result.error_barrier_aligned[0] == 0
    assert result.loss_barrier[0] > 1e-3
    assert not result.not_aligned


class Odd(nn.Module):
    """Two layers with something in between."""

    def __init__(self, between: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.one, self.two, self.between = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1), between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.between(self.one(x))).flatten(1)


@pytest.mark.parametrize(
    "between", [lambda x: x.softmax(1), lambda x: x + x.relu(), lambda x: x.flip(1), lambda x: x.cumsum(1)]
)
def test_what_is_no_plain_chain_is_not_aligned(
    tmp_path: Path, rng: np.random.Generator, between: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    sample = rng.normal(size=(6, 2, 1, 1)).astype("f4"), rng.integers(4, size=6)
    models = [fresh(lambda: Odd(between), seed) for seed in range(2)]
    with saved(tmp_path / "a.h5", *models, sample=sample) as run:
        result = barrier.compute([run, run], evaluate=wdyn.evaluator, steps=(0, 1), points=3)
    assert "Units were not matched" in next(iter(result.not_aligned.values()))
    assert np.isnan(result.loss_aligned).all()


def test_a_residual_network_is_joined_but_not_aligned(tmp_path: Path, rng: np.random.Generator) -> None:
    sample = rng.normal(size=(6, 3, 8, 8)).astype("f4"), rng.integers(10, size=6)
    with saved(tmp_path / "a.h5", fresh(ResNet20, 1), fresh(ResNet20, 2), sample=sample) as run:
        result = barrier.compute([run, run], evaluate=wdyn.evaluator, steps=(0, 1), points=3)
    assert np.isfinite(result.loss).all()
    assert np.isnan(result.loss_aligned).all()
    assert "residual path" in next(iter(result.not_aligned.values()))


# what is said


def pair_of(folder: Path, rng: np.random.Generator, *, one_start: bool, apart: float) -> barrier.Barrier:
    """Two networks that end `apart` from one another, each in a direction of its own."""
    sample, start = vectors(rng, 400), fresh(perceptron, 1)
    with torch.no_grad():
        sample = sample[0], start(torch.from_numpy(sample[0])).argmax(1).numpy()
    runs = []
    for number in range(2):
        begin, end = copy.deepcopy(start), copy.deepcopy(start)
        with torch.no_grad():
            begin[0].bias += 0 if one_start else 1e-3 * number
            for values in end.parameters():
                values += apart * torch.randn(values.shape) * values.std()
        runs.append(saved(folder / f"{number}.h5", begin, end, sample=sample, meta={"run_id": f"{number:032}"}))
    return barrier.compute(runs, evaluate=wdyn.evaluator)


def test_a_common_start_is_called_stable_or_not(tmp_path: Path, rng: np.random.Generator) -> None:
    close = pair_of(tmp_path / "close", rng, one_start=True, apart=0.001)
    assert close.same_start[0]
    (finding,) = barrier.findings(close)
    assert "their common start is stable" in finding.text
    assert not finding.significant
    assert finding.level == LEVEL
    other = pair_of(tmp_path / "other", rng, one_start=False, apart=0.001)
    assert not other.same_start[0]
    assert "they are linearly connected" in next(iter(barrier.findings(other))).text


def test_other_masks_on_the_same_weights_are_no_common_start_and_a_copy_is_no_second_training(tmp_path: Path) -> None:
    def trained(name: str, mask: list[float], seed: int) -> Path:
        model, inputs = fresh(perceptron, 1), torch.ones(4, 6)
        first = next(module for module in model.modules() if isinstance(module, nn.Linear))
        prune.custom_from_mask(first, "weight", torch.tensor(mask * len(first.weight)).reshape(first.weight.shape))
        with wdyn.Recorder(model, tmp_path / name, sample=(inputs, torch.zeros(4, dtype=torch.int64))):
            torch.manual_seed(seed)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            model(torch.randn(4, 6)).sum().backward()
            optimizer.step()
        return tmp_path / name

    one = trained("one.h5", [1, 1, 1, 1, 1, 0], 1)
    files = [one, trained("again.h5", [1, 1, 1, 1, 1, 0], 2), trained("other.h5", [1, 1, 1, 1, 0, 0], 3)]
    shutil.copy(one, tmp_path / "copy.h5")
    with contextlib.ExitStack() as stack:
        runs = [stack.enter_context(wdyn.open_run(path)) for path in (*files, tmp_path / "copy.h5")]
        result = barrier.compute(runs, evaluate=wdyn.evaluator, points=3)
    alike = {pair for pair, same in zip(result.pairs, result.same_start, strict=True) if same}
    assert alike == {(0, 1), (1, 3)}


def test_the_mark_of_two_per_cent() -> None:
    def found(low: float, high: float, *, one_start: bool = True) -> str:
        numbers = {name: np.full((1, 3), 0.1) for name in ("loss", "error")}
        for what in ("loss", "error"):
            for line in ("recorded", "aligned"):
                numbers[f"{what}_{line}"] = np.full((1, 3), np.nan)
                numbers[f"{what}_barrier_{line}"] = np.full(1, np.nan)
            for name in ("barrier", "barrier_low", "barrier_high", "above_chord"):
                numbers[f"{what}_{name}"] = np.zeros(1)
        numbers |= {"error_barrier_low": np.array([low]), "error_barrier_high": np.array([high])}
        result = barrier.Barrier(
            run="a and b", steps=np.zeros(0, np.int64), layers=(), runs=("a", "b"), pairs=((0, 1),), at=(3, 4),
            shown=np.linspace(0, 1, 3), left_out={}, notes={}, same_start=np.array([one_start]), not_aligned={},
            **numbers,
        )  # fmt: skip
        (finding,) = barrier.findings(result)
        assert finding.significant == (low >= 0.02)
        return finding.text

    assert "start is stable" in found(-0.01, 0.019)
    assert "start is unstable" in found(0.021, 0.03)
    assert "do not tell it from the mark" in found(0.01, 0.03)
    assert "are not linearly connected" in found(0.021, 0.03, one_start=False)


def test_other_data_and_other_code_are_told(tmp_path: Path, rng: np.random.Generator) -> None:
    sample, other = vectors(rng), vectors(rng)
    with (
        saved(tmp_path / "a.h5", fresh(perceptron, 1), sample=sample) as a,
        saved(tmp_path / "b.h5", fresh(perceptron, 2), sample=other) as b,
        saved(tmp_path / "c.h5", fresh(perceptron, 3), sample=sample, program=False) as c,
        saved(tmp_path / "d.h5", fresh(lambda: perceptron(hidden=9), 3), sample=sample) as d,
    ):
        result = barrier.compute([a, b, c, d], evaluate=wdyn.evaluator, points=3)
        assert result.notes["a and b"] == "Their recorded sample differ: those of a serve both."
        assert "forward pass" in result.notes["a and c"]
        assert result.pairs == ((0, 1), (0, 2), (1, 2))
        assert result.left_out["a and d"].startswith("0.weight differs in shape ((12, 6) and (9, 6))")
        table = barrier.charts(result)[-1]
        assert isinstance(table, Table)
        assert {len(values) for values in table.columns.values()} == {6}
        # scored with the forward pass of the other one, whichever comes first
        turned = barrier.compute([c, a], evaluate=wdyn.evaluator, points=3)
        assert_allclose(turned.loss[0][::-1], result.loss[1], rtol=1e-6)
        with pytest.raises(MisuseError, match="differs in shape"):
            barrier.compute([a, d], evaluate=wdyn.evaluator)
        with pytest.raises(MisuseError, match="cannot run again"):
            barrier.compute([c, c], evaluate=wdyn.evaluator)


def test_values_have_a_loss_alone(tmp_path: Path, rng: np.random.Generator) -> None:
    sample = rng.normal(size=(50, 6)).astype("f4"), rng.normal(size=(50, 3)).astype("f4")
    with saved(tmp_path / "a.h5", fresh(perceptron, 1), fresh(perceptron, 2), sample=sample) as run:
        result = barrier.compute([run, run], evaluate=wdyn.evaluator, steps=(0, 1))
    assert np.isnan(result.error).all()
    assert list(barrier.findings(result)) == []
    assert not any("Error" in chart.title for chart in barrier.charts(result) if isinstance(chart, Lines))


def test_weights_that_ran_away(tmp_path: Path, rng: np.random.Generator) -> None:
    model = fresh(perceptron, 1)
    with torch.no_grad():
        model[2].weight[0, 0] = float("nan")
    with saved(tmp_path / "a.h5", fresh(perceptron, 1), model, sample=vectors(rng)) as run:
        result = barrier.compute([run, run], evaluate=wdyn.evaluator, steps=(0, 1))
    assert np.isnan(result.loss_barrier[0])
    assert np.isnan(result.error_barrier[0])  # though it has a class for each example, the first one
    assert not list(barrier.findings(result))
    assert np.isfinite(result.loss[0, 0])
    assert "not finite" in next(iter(result.not_aligned.values()))


def test_many_pairs_share_a_chart(tmp_path: Path, rng: np.random.Generator) -> None:
    models = [fresh(perceptron, seed) for seed in range(5)]
    with saved(tmp_path / "a.h5", *models, sample=vectors(rng)) as run:
        told: list[float] = []
        few = barrier.compute([run] * 2, evaluate=wdyn.evaluator, steps=(0, 1), points=3, progress=told.append)
        many = barrier.compute([run] * 5, evaluate=wdyn.evaluator, steps=range(5), points=3)
        more = barrier.compute([run] * 7, evaluate=wdyn.evaluator, steps=[0, 1, 2, 3, 4, 0, 1], points=3)
    assert told == sorted(told)
    assert told[-1] == 1
    line = barrier.charts(few)[0]
    assert isinstance(line, Lines)
    assert_array_equal(line.y["on the line"], few.error[0])
    assert line.reference["mean of the ends"] == pytest.approx((few.error[0, 0] + few.error[0, -1]) / 2)
    assert [chart.title for chart in barrier.charts(many)][:2] == ["Error between all pairs", "Loss between all pairs"]
    assert len(many.pairs) == 10
    assert more.pairs == tuple((0, other) for other in range(1, 7))
    assert list(more.left_out) == ["all other pairs"]


# the height of a line


def test_points_at_the_ends_are_the_ends_to_the_bit(rng: np.random.Generator) -> None:
    first, second = ({"w": rng.normal(size=9).astype("f4")} for _ in range(2))
    assert_array_equal(between(first, second, 0.0)["w"], first["w"])
    assert_array_equal(between(first, second, 1.0)["w"], second["w"])
    assert_allclose(between(first, second, 0.25)["w"], 0.75 * first["w"] + 0.25 * second["w"], rtol=1e-6)


def test_the_height_agrees_with_a_loop_over_points(rng: np.random.Generator) -> None:
    values = rng.random((5, 30))
    found = height(values, np.linspace(0, 1, 5))
    rises, lows, highs = [], [], []
    reach = statistics.NormalDist().inv_cdf(1 - 0.01 / 2 / 5)
    for point in values.tolist():
        gaps = [v - (a + b) / 2 for v, a, b in zip(point, values[0].tolist(), values[-1].tolist(), strict=True)]
        error = statistics.stdev(gaps) / 30**0.5
        rises.append(statistics.fmean(gaps))
        lows.append(rises[-1] - reach * error)
        highs.append(rises[-1] + reach * error)
    assert_allclose(found[:3], [max(rises), max(lows), max(highs)], rtol=1e-12)


def test_the_interval_holds_the_true_height(rng: np.random.Generator) -> None:
    """Correlated errors of 300 examples at 11 points; the true height is known."""
    wrong = 0.1 + 0.08 * np.sin(np.pi * SHARES)  # probability of an error at each point
    trials, misses = 400, 0
    for _ in range(trials):
        hard = rng.random(300)  # the same examples are hard at all points
        values = (0.7 * hard + 0.3 * rng.random((11, 300)) < _threshold(wrong)[:, None]).astype(float)
        found = height(values, SHARES, resolution=1.0)
        misses += not found.low <= 0.08 <= found.high
    assert misses <= 12  # 99.9 % of Binomial(400, 0.01) are at most 11


def _threshold(probability: np.ndarray) -> np.ndarray:
    """t with P(0.7 u + 0.3 v < t) = p for uniform u, v and p below what 0.3 reaches: p = t² / (2 · 0.7 · 0.3)."""
    return np.sqrt(probability * 0.42)


def test_no_wrong_example_is_no_certainty() -> None:
    found = height(np.zeros((3, 100)), np.linspace(0, 1, 3), resolution=1.0)
    assert found.barrier == 0
    assert 0.01 < found.high < 0.05
    assert np.isnan(height(np.zeros((3, 1)), np.linspace(0, 1, 3)).low)
