"""Exact counts after each round, against the published ladder and plain rational arithmetic."""

from decimal import Decimal

import numpy as np
import pytest

from wdyn.errors import MisuseError
from wdyn.tickets.ladder import kept, rate_of

LENET = {"fc1.weight": (784 * 300, 0.2), "fc2.weight": (300 * 100, 0.2), "fc3.weight": (100 * 10, 0.1)}


@pytest.mark.parametrize("rounds", range(21))
def test_lenet_keeps_the_ladder_to_the_single_weight(rounds):
    counts = {name: kept(total, rate, rounds) for name, (total, rate) in LENET.items()}
    for name, (total, rate) in LENET.items():
        exact = Decimal(total) * (1 - Decimal(str(rate))) ** rounds
        assert abs(counts[name] - exact) <= Decimal("0.5")
    # Frankle & Carbin (2019): 20 % a round, 10 % in the output layer
    share = (265200 * 0.8**rounds + 1000 * 0.9**rounds) / 266200
    assert abs(sum(counts.values()) - share * 266200) <= 1.5  # three layers, each rounded once


def test_a_rate_is_the_decimal_number_it_is_written_as():
    assert kept(10, np.float64(0.9), 1) == 1
    assert kept(10, 0.9, 1) == 1  # 10 * (1 - 0.9) is 0.9999999999999998 in binary
    assert kept(5, 0.1, 1) == 5  # 4.5, halves up
    assert kept(7, 0.0, 9) == 7


@pytest.mark.parametrize("rate", [1, 1.5, -0.1, float("nan"), True, "0.2"])
def test_a_rate_outside_of_its_range_is_refused(rate):
    with pytest.raises(MisuseError, match="pruning rate"):
        kept(10, rate, 1)


def test_the_first_glob_that_fits_gives_the_rate():
    rates = {"fc3*": 0.1, "*": 0.2}
    assert rate_of(["fc3", "fc3.weight"], rates) == 0.1
    assert rate_of(["fc1", "fc1.weight"], rates) == 0.2
    assert rate_of(["fc1", "fc1.weight"], {"fc3": 0.1}) is None
    assert rate_of(["fc1"], 0.3) == 0.3
