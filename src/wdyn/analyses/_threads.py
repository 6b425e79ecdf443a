"""Independent parts of an analysis at once, in threads: NumPy lets go of the interpreter while it works."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = min(4, os.cpu_count() or 1)

Item = TypeVar("Item")
Made = TypeVar("Made")


def at_once(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What `work` makes of each item, in their order, so that the number of threads changes no result.

    Args:
        work: may not depend on the other items.
        items: all of them are begun in time, whether or not the caller comes to them.
    """
    with ThreadPoolExecutor(THREADS, "wdyn-analysis") as pool:
        try:
            yield from pool.map(work, items)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # an interrupted analysis does not go on to its end
            raise
