# ruff: noqa: PT031, SIM117 - a warning may come at any moment of a training, its end included
"""Which updates count as steps, and which of them are kept; what step 0 is."""

from __future__ import annotations

import pytest
import torch

from tests.record.frames import read
from tests.record.training import raw, small, train, update
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import at, dense_then, every, log_spaced

# which steps


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (every(3), "every(3)"),
        (log_spaced(3), "log_spaced(3)"),
        (at([2, 5, 9]), "at([2, 5, 9])"),
        (dense_then(4, 5), "dense_then(4, 5)"),
        (lambda step: step in (1, 7), None),
    ],
)
def test_schedules_keep_what_they_say(tmp_path, schedule, text):
    model = small()
    with Recorder(model, tmp_path / "a.h5", schedule=schedule) as rec:
        seen = train(model, 12)
    found = read(tmp_path / "a.h5")
    assert found.order == [0, *(k for k in range(1, 13) if schedule(k))]
    assert all(found.steps[k] == seen[k] for k in found.order)
    assert rec.step_count == 12
    assert text in (None, found.schema.meta["schedule"])


def test_a_schedule_that_raises_keeps_the_step(tmp_path):
    def schedule(step):
        raise RuntimeError("no")

    model = small()
    with (
        pytest.warns(UserWarning, match="schedule failed") as caught,
        Recorder(model, tmp_path / "a.h5", schedule=schedule),
    ):
        train(model, 3)
    assert len(caught) == 1
    assert read(tmp_path / "a.h5").order == [0, 1, 2, 3]


def test_accumulated_gradients_are_one_update(tmp_path):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, tmp_path / "a.h5"):
        for batch in range(6):
            model(torch.randn(5, 4)).square().sum().backward()
            if batch % 3 == 2:
                optimizer.step()
                optimizer.zero_grad()
    assert read(tmp_path / "a.h5").order == [0, 1, 2]


@pytest.mark.parametrize("fused", [False, True])
def test_steps_that_the_scaler_skips_do_not_count(tmp_path, fused):
    model = small()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    seen = [raw(model)]
    with Recorder(model, tmp_path / "a.h5") as rec:
        for k in range(6):
            optimizer.zero_grad()
            loss = model(torch.randn(5, 4)).square().sum()
            scaler.scale(loss * (float("inf") if k in (1, 2) else 1.0)).backward()
            scaler.step(optimizer)
            scaler.update()
            if k not in (1, 2):
                seen.append(raw(model))
    found = read(tmp_path / "a.h5")
    assert rec.step_count == 4
    assert [found.steps[k] for k in found.order] == seen


def test_only_optimizers_of_this_model_count(tmp_path):
    ours, other = small(), small()
    with Recorder(ours, tmp_path / "a.h5"), Recorder(other, tmp_path / "b.h5"):
        seen = train(ours, 3)
        others = train(other, 5)
    a, b = read(tmp_path / "a.h5"), read(tmp_path / "b.h5")
    assert [a.steps[k] for k in a.order] == seen
    assert [b.steps[k] for k in b.order] == others


def test_a_named_optimizer_counts_alone(tmp_path):
    model = small()
    body = torch.optim.SGD(model[0].parameters(), lr=0.1)
    head = torch.optim.SGD(model[2].parameters(), lr=0.1)
    with Recorder(model, tmp_path / "a.h5"), Recorder(model, tmp_path / "b.h5", optimizer=head):
        for _ in range(3):
            update(model, body)
            update(model, head)
    assert read(tmp_path / "a.h5").order == list(range(7))
    assert read(tmp_path / "b.h5").order == list(range(4))
    assert read(tmp_path / "a.h5").optimizers == ["SGD"]
    assert read(tmp_path / "b.h5").schema.meta["optimizer"] == "SGD"
    assert read(tmp_path / "b.h5").optimizers == []


class Outer(torch.optim.Optimizer):
    """Steps another optimizer, then moves the weights itself, as look-ahead and sharpness-aware ones do."""

    def __init__(self, inner):
        super().__init__(inner.param_groups, {})
        self.inner, self.fail = inner, False

    @torch.no_grad()
    def step(self):
        self.inner.step()
        if self.fail:
            raise RuntimeError("out of memory")
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(0.9)


def test_nested_optimizers_make_one_update(tmp_path):
    model = small()
    outer = Outer(torch.optim.SGD(model.parameters(), lr=0.1))
    seen = [raw(model)]
    with Recorder(model, tmp_path / "a.h5"):
        update(model, outer)
        seen.append(raw(model))
        outer.fail = True
        with pytest.raises(RuntimeError, match="out of memory"):
            update(model, outer)
        outer.fail = False
        update(model, outer)
        seen.append(raw(model))
    found = read(tmp_path / "a.h5")
    assert [found.steps[k] for k in found.order] == seen


def test_loops_without_an_optimizer_call_step(tmp_path):
    model = small()
    seen = [raw(model)]
    with Recorder(model, tmp_path / "a.h5") as rec:
        for _ in range(3):
            with torch.no_grad():
                model[0].weight.add_(1.0)
            rec.step()
            seen.append(raw(model))
    found = read(tmp_path / "a.h5")
    assert [found.steps[k] for k in found.order] == seen


def test_what_counts_first_counts(tmp_path):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.warns(UserWarning, match=r"counted by an optimizer, so rec.step\(\) is ignored") as caught:
        with Recorder(model, tmp_path / "a.h5") as rec:
            for _ in range(3):
                update(model, optimizer)
                rec.step()
    assert len(caught) == 1
    assert rec.step_count == 3


def test_no_update_at_all_is_said(tmp_path):
    with pytest.warns(UserWarning, match="only step 0"), Recorder(small(), tmp_path / "a.h5"):
        pass
    assert read(tmp_path / "a.h5").order == [0]


# step 0


def test_weights_loaded_after_the_recorder_are_step_0(tmp_path):
    model, loaded = small(), small().state_dict()
    with Recorder(model, tmp_path / "a.h5"):
        model.load_state_dict(loaded)
        seen = train(model, 1)
    found = read(tmp_path / "a.h5")
    assert found.order == [0, 0, 1]
    assert [found.steps[0], found.steps[1]] == seen


def test_parameters_replaced_before_training_are_followed(tmp_path):
    model, loaded = small(), small().state_dict()
    with Recorder(model, tmp_path / "a.h5"):
        model.load_state_dict(loaded, assign=True)
        seen = train(model, 2)
    found = read(tmp_path / "a.h5")
    assert [found.steps[k] for k in (0, 1, 2)] == seen


def test_another_type_before_training_ends_the_recording(tmp_path):
    model = small()
    with pytest.warns(UserWarning, match=r"ended at step 0: 0.weight is now float64 .* and was float32"):
        with Recorder(model, tmp_path / "a.h5"):
            model.double()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            update(model, optimizer, torch.randn(5, 4, dtype=torch.float64))
    assert [note["what"] for _, note in read(tmp_path / "a.h5").notes] == ["ended", "closed"]
