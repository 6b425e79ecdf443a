"""Which weights stay, against a sort of all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from wdyn.errors import MisuseError
from wdyn.tickets.choose import highest, highest_of_all, scores, unit_scores


@given(data=st.data(), size=st.integers(1, 40))
def test_the_lowest_go_and_the_lower_index_first(data, size):
    values = np.array(data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size)), dtype=float)  # many ties
    alive = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    keep = data.draw(st.integers(0, int(alive.sum())))
    order = sorted(np.flatnonzero(alive).tolist(), key=lambda i: (values[i], i))
    expected = np.zeros(size, dtype=bool)
    expected[order[len(order) - keep :]] = True
    assert_array_equal(highest(values, alive, keep), expected)


def test_nothing_changes_what_it_is_given():
    alive = np.ones((2, 3), dtype=bool)
    highest(np.arange(6.0).reshape(2, 3), alive, 2)
    assert alive.all()


def test_more_than_are_left_cannot_stay():
    with pytest.raises(MisuseError, match="only 1 are left"):
        highest(np.arange(3.0), np.array([True, False, False]), 2)


def test_several_arrays_are_ranked_together():
    values = {"a": np.array([[3.0, 1.0], [5.0, 2.0]]), "b": np.array([4.0, 1.0, 0.5])}
    alive = {name: np.ones_like(each, dtype=bool) for name, each in values.items()}
    found = highest_of_all(values, alive, 4)
    assert_array_equal(found["a"], [[True, False], [True, True]])
    assert_array_equal(found["b"], [True, False, False])


def test_each_criterion_by_hand():
    trained, start, rng = np.array([-3.0, 1.0]), np.array([2.0, -1.0]), np.random.default_rng(0)
    assert_array_equal(scores("magnitude", trained, start, rng=rng), [3, 1])
    assert_array_equal(scores("magnitude_increase", trained, start, rng=rng), [1, 0])
    assert_array_equal(scores("movement", trained, start, rng=rng), [5, 2])
    drawn = scores("random", np.zeros(1000), np.zeros(1000), rng=rng)
    assert len(np.unique(drawn)) == 1000
    with pytest.raises(MisuseError, match=r"no criterion 'size'. There are: magnitude"):
        scores("size", trained, start, rng=rng)


def test_a_diverged_training_cannot_be_ranked():
    with pytest.raises(MisuseError, match="1 scores are not numbers"):
        scores("magnitude", np.array([1.0, np.nan]), np.zeros(2), rng=np.random.default_rng(0))


def test_units_by_their_norm():
    trained, start = np.array([[3.0, -4.0], [1.0, 1.0]]), np.array([[3.0, 0.0], [-2.0, -5.0]])
    rng = np.random.default_rng(0)

    def of(criterion, norm, axis=0):
        return unit_scores(criterion, trained, start, norm=norm, axis=axis, rng=rng)

    assert_array_equal(of("magnitude", "l1"), [7, 2])
    assert_array_equal(of("magnitude", "l2"), [5, np.sqrt(2)])
    assert_array_equal(of("magnitude", "l1", axis=1), [4, 5])
    assert_array_equal(of("movement", "l1"), [4, 9])
    assert_array_equal(of("magnitude_increase", "l1"), [4, -5])  # of the norm: a unit that shrank is below zero
    assert of("random", "l1").shape == (2,)
    with pytest.raises(MisuseError, match="no criterion"):
        of("size", "l1")
