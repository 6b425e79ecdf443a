from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.reference import graph as reference
from wdyn.analyses._charts import Bridge, HeatMap, Lifelines, Table
from wdyn.analyses._groups import persistent
from wdyn.analyses._lifelines import Event, counts, lifeline_charts, lifelines, overlap_by_chance, shared_by_chance


def history(*steps: str) -> np.ndarray:
    """One letter per neuron and step, a dot for none."""
    labels = [[ord(letter) - ord("a") if letter != "." else -1 for letter in step] for step in steps]
    return persistent(np.array(labels))


def kinds(*steps: str) -> list[tuple[int, str]]:
    members = history(*steps)
    return [(event.at, event.kind) for event in lifelines(members, np.full(len(members), members.shape[1]))]


def test_every_kind_of_event_in_a_story_told_by_hand() -> None:
    story = ("......bb", "aaaaaa..", "aaabbb..", "aaabbbb.", "aaaaaaa.", "........")
    assert kinds(*story) == [(1, "birth"), (1, "death"), (2, "split"), (4, "merge"), (5, "death")]


@pytest.mark.parametrize(
    "steps",
    [
        ("aaa..", "aaa.."),
        ("aaaa.", "aa..."),  # half of the smaller: shrinking is no event
        ("aa...", "aaaaa"),
        ("aabb.", "bbaa."),  # numbers of a single step mean nothing
    ],
)
def test_groups_that_go_on_are_no_event(steps: tuple[str, ...]) -> None:
    assert kinds(*steps) == []


def test_less_than_half_of_the_smaller_is_no_link() -> None:
    assert kinds("aaaaaa....", "....aaaaaa") == [(1, "birth"), (1, "death")]  # 2 shared of 6
    assert kinds("aaaaaa...", "...aaaaaa") == []  # 3 of 6


def test_the_groups_of_the_first_step_were_there_and_one_step_has_no_event() -> None:
    assert kinds("aabb") == []


def test_an_event_names_its_groups_and_how_likely_their_overlap_is() -> None:
    members = history("aaabb.....", "aaaaa.....")
    (event,) = lifelines(members, np.array([10, 10]))
    assert event[:5] == (1, "merge", (0, 1), (0,), 5)
    # five neurons of ten hold the three by chance in 1 of 12 cases, the two in 2 of 9
    assert_allclose(event.by_chance, 2 / 9, rtol=1e-14)
    birth = lifelines(history("....", "aa.."), np.array([4, 4]))[0]
    assert np.isnan(birth.by_chance)


def test_time_reversed_swaps_births_with_deaths_and_merges_with_splits(rng: np.random.Generator) -> None:
    labels = rng.integers(-1, 4, size=(8, 14))
    live = np.full(8, 14)
    forward, backward = (counts(lifelines(each, live), 8).sum(axis=0) for each in (labels, labels[::-1]))
    assert_array_equal(forward, backward[[1, 0, 3, 2]])


@pytest.mark.parametrize("case", [(2, 3, 4, 8), (0, 3, 4, 8), (3, 3, 3, 7), (1, 5, 5, 6)])
def test_overlap_by_chance_agrees_with_all_subsets(case: tuple[int, int, int, int]) -> None:
    assert_allclose(shared_by_chance(*case), reference.shared_by_chance(*case), rtol=1e-14)


@pytest.mark.parametrize("case", [(3, 4, 8), (3, 3, 7), (5, 5, 6)])
def test_mean_overlap_by_chance_agrees_with_all_subsets(case: tuple[int, int, int]) -> None:
    size, other, everyone = case  # a mean of counts is the sum of the chances of at least 1, 2, and so on
    mean = sum(reference.shared_by_chance(shared, *case) for shared in range(1, min(size, other) + 1))
    assert_allclose(overlap_by_chance(size, other, everyone), mean, rtol=1e-14)


def test_counts_add_up() -> None:
    events = [Event(1, "birth", (), (0,), 2, np.nan), Event(1, "birth", (), (1,), 2, np.nan)]
    assert_array_equal(counts(events, 3), [[0] * 4, [2, 0, 0, 0], [0] * 4])


def test_charts_show_sizes_members_and_events() -> None:
    members, neurons = history("aaabb.", "aaaaa."), np.array([0, 2, 4, 6, 8, 10])
    events = lifelines(members, np.array([6, 6]))
    live = np.array([5, 6])
    lives, who, table = lifeline_charts("fc", np.array([0, 9]), members, neurons=neurons, live=live, events=events)
    assert isinstance(lives, Lifelines)
    assert isinstance(who, HeatMap)
    assert isinstance(table, Table)
    assert_array_equal(lives.groups, [0, 1])
    assert_array_equal(lives.sizes, [[3, 2], [5, 0]])
    assert lives.bridges == [Bridge(at=1, before=1, after=0, neurons=2, by_chance=2 * 5 / 6)]
    assert who.rows == [0, 2, 4, 6, 8]
    assert_array_equal(who.values[:, 0], [0, 0, 0, 1, 1])
    assert table.columns["event"] == ["merge"]
    assert table.columns["from groups"] == ["0, 1"]
    assert table.columns["up to step"] == [9]


def test_no_group_no_chart() -> None:
    assert (
        lifeline_charts("fc", np.arange(2), np.full((2, 3), -1), neurons=np.arange(3), live=np.full(2, 3), events=[])
        == []
    )


def test_groups_that_exchange_neurons_lie_beside_each_other_in_lanes_of_their_own() -> None:
    members = history("aabbccdd", "aabbccaa")
    lives = lifeline_charts("fc", np.arange(2), members, neurons=np.arange(8), live=np.full(2, 8), events=[])[0]
    assert isinstance(lives, Lifelines)
    assert_array_equal(lives.groups, [0, 3, 1, 2])
    assert lives.bridges == [Bridge(at=1, before=1, after=0, neurons=2, by_chance=2 * 4 / 8)]
    half = lives.sizes.max(axis=0) / 2
    assert (np.diff(lives.middles) > half[1:] + half[:-1]).all()
