"""Controls: the same counts, the right starts, and intervals that statistics books give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from torch import nn

from tests.tickets.lottery_kit import content, momentum, resumable, small, training
from wdyn import open_run
from wdyn.errors import MisuseError
from wdyn.intervals import mean_interval, welch_interval
from wdyn.tickets import find_ticket, open_search, run_controls
from wdyn.tickets.controls import KINDS

NAMES = ["0.weight", "2.weight", "4.weight"]


pytestmark = pytest.mark.usefixtures("packed_here")


@pytest.mark.parametrize("values", [[1.0, 2.0], [0.3, 0.1, 0.7, 0.2], [5.0, 5.5]])
@pytest.mark.parametrize("others", [[2.0, 2.5, 9.0], [0.1, 0.4]])
def test_intervals_are_those_of_student_and_welch(values, others):
    mean, error = np.mean(values), stats.sem(values)
    found = mean_interval(values)
    expected = stats.t.interval(0.95, len(values) - 1, mean, error)
    assert_allclose([found.value, found.low, found.high], [mean, *expected], rtol=1e-12)
    welch = stats.ttest_ind(values, others, equal_var=False).confidence_interval(0.95)
    found = welch_interval(values, others)
    assert_allclose([found.low, found.high], [welch.low, welch.high], rtol=1e-12)
    assert_allclose(found.value, np.mean(values) - np.mean(others), rtol=1e-12)


def test_one_value_tells_nothing_of_chance():
    assert_array_equal(mean_interval([3.0]), [3, np.nan, np.nan])
    assert_array_equal(welch_interval([3.0], [1.0, 2.0]), [1.5, np.nan, np.nan])
    assert_array_equal(mean_interval([]), [np.nan] * 3)


def test_equal_values_tell_nothing_of_chance():
    assert_array_equal(welch_interval([3.0, 3.0], [1.0, 1.0]), [2, np.nan, np.nan])
    found = mean_interval([0.1, 0.1, 0.1])  # whose mean is not 0.1 to the bit
    assert np.isnan([found.low, found.high]).all()


def test_each_control_has_the_counts_and_the_start_that_it_should(tmp_path):
    search = find_ticket(
        small, resumable(make=momentum), folder=tmp_path, rounds=2, rewind_to=3, optimizer_state="rewound"
    )
    controls = run_controls(search, small, resumable(make=momentum), seeds=2)
    with open_run(search.rounds[2].file) as run:
        masks, start = run.masks(0), run.state(0, masked=False)
        program = run.program
    with open_run(search.rounds[0].file) as run:
        initial = run.state(0)
    seen = {}
    for facts in controls.runs:
        with open_run(facts.file) as run:
            assert run.program == program
            mine, values = run.masks(0), run.state(0, masked=False)
            assert run.steps[-1] == (8 if facts.kind in ("dense", "reinitialised") else 5)
            said = run.meta["metadata"]["ticket"]
        seen.setdefault(facts.kind, []).append((facts, mine, values))
        assert (said["start"] is None) == (facts.kind in ("dense", "reinitialised"))
        assert (said["mask_from"] is None) == (facts.kind == "dense")
        if facts.kind == "dense":
            assert (mine, facts.kept, facts.round) == ({}, search.rounds[0].kept, 0)
            assert all(values[name].tobytes() == initial[name].tobytes() for name in initial)
            continue
        assert facts.kept == search.rounds[2].kept == {name: mine[name].sum() for name in NAMES}
        for name in start:
            same_mask = name not in NAMES or (mine[name] == masks[name]).all()
            same_start = values[name].tobytes() == start[name].tobytes()
            if facts.kind == "ticket":
                assert same_mask
                assert same_start
            elif facts.kind == "reinitialised":
                assert same_mask
                assert (values[name] != start[name]).all()
            elif facts.kind == "random_mask":
                assert same_start
                assert name not in NAMES or not same_mask
            elif name in NAMES:  # shuffled: the same values below the mask and beside it, at other places
                assert not same_mask
                for inside, there in ((mine[name], masks[name]), (~mine[name], ~masks[name])):
                    assert_array_equal(np.sort(values[name][inside]), np.sort(start[name][there]))
            else:
                assert same_start
    assert {kind: len(group) for kind, group in seen.items()} == dict.fromkeys(KINDS, 2)
    for kind in ("random_mask", "shuffled"):
        first, second = (group[1] for group in seen[kind])
        assert any((first[name] != second[name]).any() for name in NAMES)
    assert len({facts.data_seed for facts in controls.runs}) == len(controls.runs)
    with open_run(seen["reinitialised"][0][0].file) as run:
        torch.manual_seed(seen["reinitialised"][0][0].seed)
        assert_array_equal(run.state(0, masked=False)["0.weight"], small()[0].weight.detach().numpy())


def test_units_are_moved_whole_and_what_the_optimizer_remembers_with_them():
    from wdyn.tickets import control_starts
    from wdyn.tickets.making import Start
    from wdyn.tickets.pruning import Target

    target, rng = Target((5, 6, 2), 0.2, 1, True), np.random.default_rng(0)  # a transposed convolution: 6 units
    mask = np.zeros((5, 6, 2), bool)
    mask[:, [1, 4]] = True
    values = torch.randn(5, 6, 2)
    start = Start(tensors={"w": values, "b": torch.ones(6)}, memory={"w": {"step": torch.tensor(3.0), "m": values * 2}})
    moved, at = control_starts.shuffled({"w": mask}, start, {"w": target}, rng)
    units = moved["w"].any((0, 2))
    assert_array_equal(moved["w"].all((0, 2)), units)
    assert units.sum() == 2
    assert sorted(at.tensors["w"][:, units].sum((0, 2)).tolist()) == sorted(values[:, [1, 4]].sum((0, 2)).tolist())
    assert torch.equal(at.memory["w"]["m"], at.tensors["w"] * 2)
    assert torch.equal(at.memory["w"]["step"], torch.tensor(3.0))
    assert torch.equal(at.tensors["b"], torch.ones(6))
    drawn, _ = control_starts.random_mask({"w": mask}, start, {"w": target}, rng)
    assert_array_equal(drawn["w"].all((0, 2)), drawn["w"].any((0, 2)))
    assert drawn["w"].sum() == mask.sum()


def test_every_set_of_places_is_as_likely_and_a_shuffled_mask_has_the_law_of_a_random_one():
    from wdyn.tickets import control_starts
    from wdyn.tickets.making import Start
    from wdyn.tickets.pruning import Target

    targets, mask, rng = (
        {"w": Target((4,), 0.5, 0, False)},
        {"w": np.array([True, False, True, False])},
        np.random.default_rng(0),
    )
    start = Start(tensors={"w": torch.arange(4.0)})
    for vary in (control_starts.random_mask, control_starts.shuffled):
        drawn = [tuple(vary(mask, start, targets, rng)[0]["w"].nonzero()[0].tolist()) for _ in range(1200)]
        _, counts = np.unique(drawn, axis=0, return_counts=True)
        assert len(counts) == 6
        assert stats.chisquare(counts).pvalue > 1e-3


def test_controls_are_compared_and_made_once(tmp_path):
    made = []

    def train(model, recorder):
        made.append(1)
        training(3)(model, recorder)
        recorder.log(accuracy=len(made))

    def count(model, recorder):
        training(3)(model, recorder)
        recorder.log(accuracy=0)

    find_ticket(small, count, folder=tmp_path, rounds=2)
    search = open_search(tmp_path)
    told = []
    tell = lambda *each: told.append(each)  # noqa: E731
    first = run_controls(search, small, train, rounds=[1, 2], kinds=("ticket", "dense"), seeds=2, progress=tell)
    assert len(made) == 6
    assert told[0] == ("round 1, ticket, seed 1", 0.0)
    assert told[-1] == ("controls", 1.0)
    assert run_controls(search, small, train, rounds=[1, 2], kinds=("ticket", "dense"), seeds=2) == first
    assert len(made) == 6
    found = {(each.round, each.kind): each for each in first.comparisons if each.metric == "accuracy"}
    assert {place: each.values for place, each in found.items()} == {
        (1, "ticket"): (1, 2), (2, "ticket"): (3, 4), (1, "dense"): (5, 6), (2, "dense"): (5, 6),
    }  # fmt: skip
    assert found[1, "ticket"].lead is None
    assert found[2, "dense"].lead == welch_interval([3, 4], [5, 6])
    assert len(list(tmp_path.glob("round-00-dense-seed*.h5"))) == 2


def test_a_search_with_controls_repeats_to_the_bit_wherever_it_was_cut(tmp_path):
    def cut(model, recorder):
        training(3)(model, recorder)
        left.pop()

    for folder, stops in (("whole", [0] * 99), ("cut", [0] * 2)):
        left = stops
        search = find_ticket(small, training(3), folder=tmp_path / folder, rounds=1)
        try:
            run_controls(search, small, cut, seeds=1)
        except IndexError:
            left = [0] * 99
            run_controls(search, small, cut, seeds=1)
    assert len(content(tmp_path / "cut")) == 7
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_what_cannot_be_controlled_is_said(tmp_path):
    search = find_ticket(small, training(1), folder=tmp_path, rounds=1)
    for wrong, said in (
        ({"kinds": ("lucky",)}, "no control 'lucky'"),
        ({"rounds": [2]}, "no ticket of round 2"),
        ({"rounds": [0]}, "no ticket of round 0"),
        ({"seeds": 0}, "nothing to train"),
        ({"schedule": lambda step: True}, "schedule="),
    ):
        with pytest.raises(MisuseError, match=said):
            run_controls(search, small, training(1), **wrong)
    assert len(list(tmp_path.iterdir())) == 3


def test_structured_controls_have_whole_units(tmp_path):
    def make():
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

    search = find_ticket(make, training(2), folder=tmp_path, rounds=1, rate=0.5, structured="l2")
    controls = run_controls(search, make, training(2), kinds=("random_mask", "shuffled"), seeds=1)
    for facts in controls.runs:
        with open_run(facts.file) as run:
            mask = run.masks(0)["0.weight"]
        assert facts.kept == {"0.weight": 24}
        assert_array_equal(mask.all(1), mask.any(1))
        assert mask.any(1).sum() == 4
