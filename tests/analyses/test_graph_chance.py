from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.reference import graph as reference
from wdyn.analyses._graph import closest_tree, component_curves, joining_cosines
from wdyn.analyses._graph_chance import curve_band, distance_band, norm_by_chance, random_cosines
from wdyn.analyses._groups import cosines
from wdyn.analyses._neurons import unit_rows

CUTOFFS = np.linspace(0, 0.98, 50)


@pytest.mark.parametrize("inputs", [3, 6, 7, 40])
def test_random_cosines_have_the_moments_of_random_directions(rng: np.random.Generator, inputs: int) -> None:
    drawn = np.array([random_cosines(6, inputs, rng=rng)[np.triu_indices(6, 1)] for _ in range(2000)])
    assert abs(drawn.mean()) < 4 / np.sqrt(inputs * drawn.size)
    # 30,000 cosines of variance 1/D, whose squares vary by at most 2/D²: four standard errors are 3.3 %
    assert_allclose((drawn**2).mean(), 1 / inputs, rtol=0.033)
    assert_allclose((drawn**4).mean(), 3 / (inputs * (inputs + 2)), rtol=0.1)  # and not only the second moment


@pytest.mark.parametrize("shape", [(20, 10), (12, 60), (30, 3)])
def test_whole_curves_leave_the_band_in_about_one_of_a_hundred_layers(
    rng: np.random.Generator, shape: tuple[int, int]
) -> None:
    low, high = curve_band(*shape, CUTOFFS, rng=rng)
    outside = 0
    for _ in range(400):
        tree = closest_tree(
            cosines(unit_rows(rng.uniform(-1, 1, size=shape) if shape[1] > 25 else rng.normal(size=shape)))
        )
        curves = component_curves(joining_cosines(tree, shape[0]), CUTOFFS)
        outside += bool(((curves < low) | (curves > high)).any())
    # 4 expected; the band's own draws make the rate itself vary like a Beta(1, 99): above 5 % in 0.7 % of bands
    assert outside <= 20


def test_the_band_is_narrow_enough_to_find_one_close_pair(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(40, 100))
    rows[1] = rows[0] + 0.7 * rng.normal(size=100)  # a cosine of about 0.8 among random ones of 0.1
    low, _ = curve_band(40, 100, CUTOFFS, rng=rng)
    curves = component_curves(joining_cosines(closest_tree(cosines(unit_rows(rows))), 40), CUTOFFS)
    assert (curves[0] < low[0]).any()


@pytest.mark.parametrize("count", [1, 2])
def test_bands_of_almost_nothing(rng: np.random.Generator, count: int) -> None:
    band = curve_band(count, 1, CUTOFFS, rng=rng)
    assert band.shape == (2, 2, 50)
    assert ((band >= 1) & (band <= count)).all()


def test_band_of_the_mean_distance_holds_random_layers(rng: np.random.Generator) -> None:
    low, high = distance_band(np.array([66, 0]), 9)
    assert np.isnan([low[1], high[1]]).all()
    i, j = np.triu_indices(12, 1)
    means = [(1 - cosines(unit_rows(rng.normal(size=(12, 9))))[i, j].mean()) / 2 for _ in range(2000)]
    # 95 % expected, standard error 0.5 %; the law is skewed to short distances, hence the lower limit
    assert 0.93 < np.mean((low[0] < means) & (means < high[0])) < 0.97


@pytest.mark.parametrize("members", [[0], [1, 4], [0, 1, 2], [0, 1, 2, 3, 4, 5]])
def test_norms_by_chance_agree_with_all_subsets(members: list[int]) -> None:
    norms = np.array([1.0, 5.0, 2.0, 2.0, 0.5, 7.0])
    inside = np.isin(np.arange(6), members)
    expected = reference.largest_by_chance(norms.tolist(), len(members), float(norms[inside].max()))
    assert_allclose(norm_by_chance(norms, inside), expected, rtol=1e-14, atol=1e-15)


def test_norms_by_chance_are_even_when_it_is_chance(rng: np.random.Generator) -> None:
    members = np.arange(30) < 5
    larger = np.array([norm_by_chance(rng.random(30), members)[0] for _ in range(2000)])
    assert 0.03 < np.mean(larger <= 0.05) < 0.07 or np.mean(larger <= 0.05) == 0  # discrete: steps of some percent
    assert (np.mean(larger[:, None] <= [0.3, 0.6, 0.9], axis=0) <= [0.34, 0.64, 0.93]).all()  # four standard errors
    assert_array_equal(larger > 0, True)
