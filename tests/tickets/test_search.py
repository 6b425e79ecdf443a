"""A search: exact counts, the right weights, the same random numbers each time."""

from __future__ import annotations

import random
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from tests.tickets.lottery_kit import (
    content,
    slow_choice,
    small,
    training,
)  # fmt: skip
from wdyn import at, every, open_run
from wdyn.analyses._ticket_groups import _stopped
from wdyn.tickets import find_ticket

pytestmark = pytest.mark.usefixtures("packed_here")


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(784, 300), nn.Linear(300, 100), nn.Linear(100, 10)

    def forward(self, x):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


def nearest(total: int, share: str, rounds: int) -> int:
    return int((total * Decimal(share) ** rounds).quantize(Decimal(1), ROUND_HALF_UP))


def test_lenet_keeps_the_ladder_for_twenty_rounds(tmp_path):
    search = find_ticket(
        LeNet, training(1, (784,)), folder=tmp_path, rounds=20, rate={"fc3": 0.1, "*": 0.2}, schedule=at([])
    )
    before = None
    for number, facts in enumerate(search.rounds):
        expected = {
            "fc1.weight": nearest(235_200, "0.8", number),
            "fc2.weight": nearest(30_000, "0.8", number),
            "fc3.weight": nearest(1_000, "0.9", number),
        }
        assert facts.kept == expected
        assert facts.density == sum(expected.values()) / 266_200
        with open_run(facts.file) as run:
            assert run.steps.tolist() == [0, 1]
            masks = run.masks(1)
            assert {name: mask.sum() for name, mask in masks.items()} == (expected if number else {})
            assert all((masks[name] <= before[name]).all() for name in masks if before)
            assert run.meta["metadata"]["ticket"]["kept"] == expected
        before = masks


@pytest.mark.parametrize(
    ("criterion", "scope", "one_shot"),
    [
        ("magnitude", "layer", False),
        ("magnitude", "global", True),
        ("magnitude_increase", "global", False),
        ("movement", "layer", True),
    ],
)
def test_the_lowest_weights_go(tmp_path, criterion, scope, one_shot):
    search = find_ticket(
        small, training(), folder=tmp_path, rounds=3, rate=0.3, criterion=criterion, scope=scope, one_shot=one_shot
    )
    names = ["0.weight", "2.weight", "4.weight"]
    sizes = [48, 40, 15]
    alive = {name: np.ones(size, bool) for name, size in zip(names, sizes, strict=True)}
    for number in (1, 2, 3):
        with open_run(search.rounds[0 if one_shot else number - 1].file) as giver:
            trained, start = (giver.state(step, names, masked=False) for step in (6, 0))
        score = {
            name: {
                "magnitude": abs(trained[name]),
                "magnitude_increase": abs(trained[name].astype("f8")) - abs(start[name].astype("f8")),
                "movement": abs(trained[name].astype("f8") - start[name]),
            }[criterion].ravel()
            for name in names
        }
        if scope == "layer":
            chosen = {
                n: slow_choice(score[n], alive[n], nearest(s, "0.7", number)) for n, s in zip(names, sizes, strict=True)
            }
        else:
            flat = slow_choice(
                np.concatenate([score[n] for n in names]),
                np.concatenate([alive[n] for n in names]),
                nearest(103, "0.7", number),
            )
            chosen = dict(zip(names, np.split(flat, [48, 88]), strict=True))
        with open_run(search.rounds[number].file) as run:
            for name in names:
                assert_array_equal(run.masks(0)[name].ravel(), chosen[name])
            assert run.meta["metadata"]["ticket"]["mask_from"] == search.rounds[0 if one_shot else number - 1].reference
        alive = alive if one_shot else chosen


@pytest.mark.parametrize(("norm", "order"), [("l1", 1), ("l2", 2)])
def test_whole_units_go_by_their_norm_and_outputs_stay(tmp_path, norm, order):
    def make():
        return nn.Sequential(
            nn.Conv2d(1, 6, 2), nn.ReLU(), nn.ConvTranspose2d(6, 5, 2), nn.Flatten(), nn.Linear(45, 4), nn.Linear(4, 3)
        )

    search = find_ticket(make, training(shape=(1, 3, 3)), folder=tmp_path, rounds=2, rate=0.3, structured=norm)
    assert list(search.rounds[0].total) == ["0.weight", "2.weight", "4.weight"]
    for number in (1, 2):
        with open_run(search.rounds[number].file) as run, open_run(search.rounds[number - 1].file) as before:
            trained, masks = before.state(6), run.masks(0)
            for name, axis, units in (("0.weight", 0, 6), ("2.weight", 1, 5), ("4.weight", 0, 4)):
                rows = np.moveaxis(masks[name], axis, 0).reshape(units, -1)
                assert (rows.all(1) == rows.any(1)).all()
                norms = [
                    np.linalg.norm(row.astype("f8"), order)
                    for row in np.moveaxis(trained[name], axis, 0).reshape(units, -1)
                ]
                assert_array_equal(
                    rows.all(1), slow_choice(np.array(norms), np.ones(units, bool), nearest(units, "0.7", number))
                )
                assert search.rounds[number].kept[name] == masks[name].sum()
    told = {"4": 0.5, "*": 0.3}  # a mapping decides for itself, in its order
    search = find_ticket(make, training(shape=(1, 3, 3)), folder=tmp_path / "m", rounds=1, rate=told, structured=norm)
    assert list(search.rounds[0].total) == ["0.weight", "2.weight", "4.weight", "5.weight"]
    assert search.rounds[1].kept["4.weight"] == 2 * 45


def test_early_stop_takes_the_weights_of_the_lowest_value_whatever_the_schedule(tmp_path):
    values = [5.0, 2.0, float("nan"), 1.0, 1.0, 3.0]  # logged after steps 1 to 6

    def train(model, recorder):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.2)
        recorder.log(val_loss=0.0)  # before the first step nothing is trained
        for value in values:
            model(torch.randn(7, 6)).square().mean().backward()
            optimizer.step()
            recorder.log(val_loss=value, other=-value)

    search = find_ticket(small, train, folder=tmp_path, rounds=1, early_stop="val_loss", schedule=at([]))
    assert [facts.step for facts in search.rounds] == [4, 4]
    assert search.rounds[0].metrics == {"val_loss": 1.0, "other": -1.0}
    with open_run(search.rounds[0].file) as dense, open_run(search.rounds[1].file) as run:
        assert dense.steps.tolist() == [0, 1, 2, 4, 6]
        at_4, at_6 = (slow_choice(abs(dense.state(s)["0.weight"]), np.ones((8, 6), bool), 38) for s in (4, 6))
        assert_array_equal(run.masks(0)["0.weight"], at_4)
        assert (at_4 != at_6).any()
        assert run.meta["metadata"]["ticket"]["mask_from"]["step"] == 4
        assert {each.meta["metadata"]["ticket"]["early_stop"] for each in (dense, run)} == {"val_loss"}
        assert {_stopped(each, "val_loss") for each in (dense, run)} == {4}  # comparisons look at the same step


def test_the_last_step_is_there_even_if_train_closes_the_recorder(tmp_path):
    def train(model, recorder):
        with recorder:
            training(5)(model, recorder)

    assert find_ticket(small, train, folder=tmp_path, rounds=1, schedule=every(3)).rounds[1].step == 5


def test_all_rounds_have_the_program_of_the_first(tmp_path):
    search = find_ticket(small, training(), folder=tmp_path, rounds=1)
    x = torch.randn(4, 6)
    with open_run(search.rounds[0].file) as dense, open_run(search.rounds[1].file) as run:
        assert run.program == dense.program
        assert not run.notes or {note["what"] for note in run.notes} == {"closed"}
        state, model = run.state(run.steps[-1]), small()
        model.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
        assert torch.equal(run.replay(run.steps[-1])(x), model(x))


def test_random_numbers_depend_on_the_seed_alone_and_the_callers_go_on(tmp_path):
    def numbers():
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    def train(model, recorder):
        training()(model, recorder)
        recorder.log(a=numbers()[0], b=numbers()[1], c=numbers()[2])

    seen = []
    for folder, seed in (("a", 1), ("b", 2)):
        for generator in (torch.manual_seed, np.random.seed, random.seed):
            generator(seed)
        expected = numbers()
        for generator in (torch.manual_seed, np.random.seed, random.seed):
            generator(seed)
        find_ticket(small, train, folder=tmp_path / folder, rounds=1, seed=5)
        assert numbers() == expected
        seen.append(content(tmp_path / folder))
    assert seen[0] == seen[1]
    assert seen[0]["round-00.h5"]["metrics"]["a"] != seen[0]["round-01.h5"]["metrics"]["a"]
    with open_run(tmp_path / "a/round-00.h5") as run:
        torch.manual_seed(5)
        assert_array_equal(run.state(0)["0.weight"], small()[0].weight.detach().numpy())
    find_ticket(small, train, folder=tmp_path / "c", rounds=1, seed=6)
    assert content(tmp_path / "c")["round-00.h5"]["metrics"]["a"] != seen[0]["round-00.h5"]["metrics"]["a"]
