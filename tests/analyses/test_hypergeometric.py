from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
from scipy.stats import hypergeom

from tests.reference import overlap as reference
from wdyn.analyses._hypergeometric import hypergeometric_tail


def test_every_tail_of_small_sets_equals_the_enumeration(rng: np.random.Generator) -> None:
    for _ in range(60):
        places = int(rng.integers(1, 120))
        first, second = (int(each) for each in rng.integers(0, places + 1, 2))
        law = reference.hypergeometric(first, second, places)
        for common in (*law, max(law) + 1):
            exact = float(reference.tail(law, common))
            # float64 all the way: logarithms of counts below 120 carry about 1e-13
            assert_allclose(hypergeometric_tail(common, first, second, places), exact, rtol=1e-10, atol=1e-300)


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


def test_a_certain_overlap_has_chance_one() -> None:
    assert hypergeometric_tail(5, 5, 9, 9) == 1.0
    assert hypergeometric_tail(0, 0, 3, 9) == 1.0
    assert hypergeometric_tail(1, 0, 3, 9) == 0.0
