from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import hypergeom

from tests.reference import overlap as reference
from wdyn.analyses._hypergeometric import Strata, hypergeometric_tail, strata_moments, strata_tail


def each_once(*columns: np.ndarray) -> Strata:
    return Strata(*columns, np.ones(len(columns[0]), dtype=np.int64))


def test_every_tail_of_small_sets_equals_the_enumeration(rng: np.random.Generator) -> None:
    for _ in range(60):
        places = int(rng.integers(1, 120))
        first, second = (int(each) for each in rng.integers(0, places + 1, 2))
        law = reference.hypergeometric(first, second, places)
        for common in (*law, max(law) + 1):
            exact = float(reference.tail(law, common))
            one = strata_tail(common, each_once(*(np.array([each]) for each in (places, first, second))))
            # float64 all the way: logarithms of counts below 120 carry about 1e-13
            assert_allclose([hypergeometric_tail(common, first, second, places), one], exact, rtol=1e-10, atol=1e-300)


def test_far_into_the_tail() -> None:
    places, kept = 235_200, 30_000
    expected, deviation = kept**2 / places, np.sqrt(kept**2 / places * (1 - kept / places) ** 2)
    for z in (3, 10, 30):
        common = int(expected + z * deviation)
        # scipy's sums of log gammas of 2e5 carry about 1e-9
        assert_allclose(
            np.log(hypergeometric_tail(common, kept, kept, places)),
            hypergeom.logsf(common - 1, places, kept, kept),
            rtol=1e-8,
        )


@pytest.mark.parametrize("seed", range(8))
def test_a_sum_of_strata_equals_the_convolution_everywhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 17, 9)
    first, second = rng.integers(0, sizes + 1), rng.integers(0, sizes + 1)
    law = reference.sum_of_strata(list(zip(sizes.tolist(), first.tolist(), second.tolist(), strict=True)))
    for common in (*law, max(law) + 1):
        assert_allclose(
            strata_tail(common, each_once(sizes, first, second)),
            float(reference.tail(law, common)),
            rtol=1e-9,
            atol=1e-300,
        )
    mean = sum(x * p for x, p in law.items())
    variance = sum(x * x * p for x, p in law.items()) - mean**2
    # moments of fractions against float64
    assert_allclose(
        strata_moments(each_once(sizes, first, second)), (float(mean), float(variance)), rtol=1e-12, atol=1e-12
    )


def test_many_strata_and_a_deep_tail() -> None:
    """400 equal strata of two: the number common to both is binomial, which has a tail of its own."""
    from scipy.stats import binom

    count, one = 400, np.array([1])
    for common in (150, 200, 260, 399, 400):
        found = strata_tail(common, Strata(2 * one, one, one, np.array([count])))
        assert_allclose(found, binom.sf(common - 1, count, 0.5), rtol=1e-9)


def test_a_certain_overlap_has_chance_one() -> None:
    assert hypergeometric_tail(5, 5, 9, 9) == 1.0
    assert hypergeometric_tail(0, 0, 3, 9) == 1.0
    assert hypergeometric_tail(1, 0, 3, 9) == 0.0
