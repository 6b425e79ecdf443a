from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.reference import ablation as reference
from wdyn.analyses._importance import chance_of_exceeding, class_selectivity, important_from


def test_selectivity_agrees_with_the_definition(rng: np.random.Generator) -> None:
    means = rng.random((5, 8))
    expected = [reference.selectivity(unit) for unit in means.T.tolist()]
    assert_allclose(class_selectivity(means), expected, rtol=1e-12)
    assert_allclose(class_selectivity(7 * means), expected, rtol=1e-12)  # whatever the scale
    assert_allclose(class_selectivity(means[::-1]), expected, rtol=1e-12)  # and the order of the classes


def test_selectivity_of_extreme_units() -> None:
    means = np.array([[2.0, 1.0, 0.0, -1.0, np.nan], [0.0, 1.0, 0.0, 3.0, 1.0], [0.0, 1.0, 0.0, 0.0, 1.0]])
    # one class only, all alike, never active, negative, not finite
    assert_array_equal(class_selectivity(means), [1.0, 0.0, np.nan, np.nan, np.nan])
    absent = np.vstack([means[:, :2], np.full((1, 2), np.nan)])  # a class without examples
    assert_array_equal(class_selectivity(absent), [1.0, 0.0])
    assert np.isnan(class_selectivity(np.array([[np.inf], [1.0]]))).all()
    assert_array_equal(class_selectivity(means[:1]), [np.nan] * 5)
    assert class_selectivity(np.empty((0, 4))).shape == (4,)


@pytest.mark.parametrize(("units", "control"), [(1, 1), (3, 3), (4, 2), (5, 5)])
def test_the_chance_agrees_with_counting_all_orders(units: int, control: int) -> None:
    for count in range(units + 1):
        expected = float(reference.chance_of_exceeding(count, units, control))
        assert_allclose(chance_of_exceeding(count, units, control), expected, rtol=1e-12)


def test_the_chance_agrees_with_simulation(rng: np.random.Generator) -> None:
    values = rng.random((20_000, 60))
    exceeding = (values[:, :30] > values[:, 30:].max(axis=1, keepdims=True)).sum(axis=1)
    for count in (1, 3, 5):
        expected = chance_of_exceeding(count, 30, 30)
        assert abs((exceeding >= count).mean() - expected) < 4 * np.sqrt(expected / len(values))


def test_seven_of_many_units_are_beyond_chance() -> None:
    assert chance_of_exceeding(6, 2048, 2048) > 0.01 > chance_of_exceeding(7, 2048, 2048)  # about 2 to the minus k


def test_importance_that_lasts_to_the_end(rng: np.random.Generator) -> None:
    rise, steps = rng.random((6, 40)), np.array([0, 1, 3, 10, 20, 90])
    expected = [reference.important_from(unit, 0.3, steps.tolist()) for unit in rise.T.tolist()]
    assert_array_equal(important_from(rise, 0.3, steps), expected)
    assert np.isnan(expected).any()
    assert len(set(expected)) > 4
    assert_array_equal(important_from(np.array([[1.0, np.nan], [1.0, 1.0]]), 0.0, np.array([5, 6])), [5.0, 6.0])
    assert np.isnan(important_from(rise, np.nan, steps)).all()
