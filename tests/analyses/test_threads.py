from __future__ import annotations

import threading
import time

import pytest

from wdyn.analyses._threads import THREADS, at_once


def test_results_come_in_the_order_of_the_items() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 * (item == 0))
        return item * item

    assert list(at_once(slow_first, range(20))) == [k * k for k in range(20)]


@pytest.mark.skipif(THREADS < 2, reason="needs two cores")
def test_two_are_done_at_once() -> None:
    both = threading.Barrier(2, timeout=30)  # none gets through alone
    list(at_once(lambda _: both.wait(), range(2)))


def test_an_error_stops_what_has_not_begun() -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        time.sleep(0.01)
        if item == 0:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(at_once(work, range(1000)))
    assert len(begun) < 1000
