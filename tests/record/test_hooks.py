from __future__ import annotations

import gc
import weakref

import pytest
import torch

from tests.record.frames import read
from tests.record.training import raw, small, update
from wdyn.record.recorder import Recorder


class Failing(torch.optim.SGD):
    """Moves the weights and, when told to, raises in the middle of its step."""

    fail = False

    def step(self, closure=None):
        if self.fail:
            raise RuntimeError("out of memory")
        return super().step(closure)


class Around(torch.optim.Optimizer):
    """Steps others inside its own step, lets none of their errors out, and then moves the weights itself."""

    def __init__(self, *inner):
        super().__init__(inner[0].param_groups, {})
        self.inner = inner

    @torch.no_grad()
    def step(self):
        for each in self.inner:
            try:
                each.step()
            except RuntimeError:
                continue
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(0.9)


@pytest.fixture
def model():
    return small()


def failing(model):
    optimizer = Failing(model.parameters(), lr=0.1)
    optimizer.fail = True
    return optimizer


def deeper(model, optimizer, depth=3):
    """The same update from further down the stack."""
    deeper(model, optimizer, depth - 1) if depth else update(model, optimizer)


@pytest.mark.parametrize("go", [update, deeper])
def test_a_step_that_raised_silences_no_other_optimizer(tmp_path, model, go):
    first, second = torch.optim.LBFGS(model.parameters(), lr=0.1), torch.optim.SGD(model.parameters(), lr=0.1)

    def closure():
        raise RuntimeError("a bad batch")

    seen = []
    with Recorder(model, tmp_path / "a.h5") as rec:
        for _ in range(3):
            with pytest.raises(RuntimeError, match="a bad batch"):
                first.step(closure)
            go(model, second)
            seen.append(raw(model))
        assert rec.step_count == 3
    found = read(tmp_path / "a.h5")
    assert [found.steps[k] for k in (1, 2, 3)] == seen


def test_a_nested_step_that_raised_hides_neither_the_next_nor_the_outer(tmp_path, model):
    inner = torch.optim.SGD(model.parameters(), lr=0.1)
    outer = Around(failing(model), inner, failing(model))
    with Recorder(model, tmp_path / "a.h5") as rec:
        for count in (1, 2):
            update(model, outer)
            assert rec.step_count == count
        last = raw(model)
        update(model, inner)
        assert rec.step_count == 3
    assert read(tmp_path / "a.h5").steps[2] == last  # what the outer one left, not the inner


def test_a_step_that_calls_the_step_it_overrides_is_one_update(tmp_path, model):
    torch.optim.SGD(model.parameters(), lr=0.1)  # torch hooks a class when the first of it is made

    class Shrinking(torch.optim.SGD):
        @torch.no_grad()
        def step(self, closure=None):
            super().step(closure)
            for parameter in model.parameters():
                parameter.mul_(0.5)

    optimizer = Shrinking(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "a.h5"):
        update(model, optimizer)
        after = raw(model)
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 1]
    assert found.steps[1] == after


def test_a_step_that_raised_keeps_nothing_of_the_loop_alive(tmp_path, model):
    optimizer = failing(model)

    def attempt():
        big = torch.zeros(3)
        gone.append(weakref.ref(big))
        with pytest.raises(RuntimeError):
            optimizer.step()

    gone = []
    with Recorder(model, tmp_path / "a.h5") as rec:
        attempt()
        gc.collect()
        assert gone[0]() is None
        rec.step()


@pytest.mark.parametrize("groups", [[{"weights": 1}], [None], 3])
def test_an_optimizer_with_groups_of_its_own_kind_passes(tmp_path, model, groups):
    strange = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    class Odd(torch.optim.SGD):
        def step(self, closure=None):
            return None

    strange = Odd([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with Recorder(model, tmp_path / "a.h5") as rec:
        strange.param_groups = groups
        strange.step()
        update(model, optimizer)
        assert rec.step_count == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, on the way into the compiler
def test_a_compiled_update_is_counted_without_a_warning(tmp_path, model):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    compiled = torch.compile(lambda: optimizer.step(), backend="eager")
    seen = [raw(model)]
    with Recorder(model, tmp_path / "a.h5"):
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(5, 4)).square().sum().backward()
            compiled()
            seen.append(raw(model))
    found = read(tmp_path / "a.h5")
    assert [found.steps[k] for k in found.order] == seen
