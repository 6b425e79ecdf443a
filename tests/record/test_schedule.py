from __future__ import annotations

import numpy as np
import pytest

from wdyn.errors import MisuseError
from wdyn.record.schedule import at, dense_then, describe, every, log_spaced


@pytest.mark.parametrize("per_decade", [1, 2, 7, 20, 100])
def test_log_spaced_is_the_rounded_geometric_row(per_decade):
    row = {0} | {round(10 ** (i / per_decade)) for i in range(4 * per_decade + 1)}
    schedule = log_spaced(per_decade)
    assert {step for step in range(10_001) if schedule(step)} == row


def test_log_spaced_keeps_that_many_in_a_decade():
    schedule = log_spaced()
    assert sum(schedule(step) for step in range(10_001, 100_001)) == 20
    assert all(schedule(10**k) for k in range(7))


@pytest.mark.parametrize(
    ("schedule", "kept"),
    [
        (every(1), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (every(4), [0, 4, 8]),
        (at([3, 3, 1]), [0, 1, 3]),
        (at(np.array([2, 8])), [0, 2, 8]),
        (at([]), [0]),
        (dense_then(3, 4), [0, 1, 2, 3, 4, 8]),
        (dense_then(0, 5), [0, 5]),
    ],
)
def test_kept_steps(schedule, kept):
    assert [step for step in range(10) if schedule(step)] == kept


@pytest.mark.parametrize(
    "make",
    [
        lambda: every(0),
        lambda: every(1.5),
        lambda: log_spaced(0),
        lambda: at([-1]),
        lambda: at(["a"]),
        lambda: dense_then(-1, 2),
        lambda: dense_then(3, 0),
    ],
)
def test_impossible_numbers_are_refused(make):
    with pytest.raises(MisuseError, match="whole numbers from"):
        make()


def test_each_describes_itself():
    assert [repr(s) for s in (every(3), log_spaced(5), at([2, 1]), dense_then(3, 4))] == [
        "every(3)", "log_spaced(5)", "at([1, 2])", "dense_then(3, 4)",
    ]  # fmt: skip
    assert describe(at(range(1, 100))) == "at(99 steps from 1 to 99)"
    assert describe(test_kept_steps) == "test_kept_steps"

    class Mine:
        def __call__(self, step):
            return True

    assert describe(Mine()).endswith("Mine")
