"""Syncs beside the writing: one may take as long as all that was written since the last."""

from __future__ import annotations

from collections.abc import Callable
from queue import Queue
from threading import Thread

MOST_WAITING = 2  # syncs behind the one at work; a disk that is slower still has to be waited for


class Syncer:
    """One thread that syncs files in order."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        """Nothing is started before the first sync.

        Args:
            failed: told in the thread of the syncs what the disk refused.
        """
        self._failed = failed
        self._queue: Queue[Callable[[], None] | None] = Queue(MOST_WAITING)
        self._thread: Thread | None = None

    def hand_over(self, sync: Callable[[], None]) -> None:
        """Sync soon; returns at once unless several syncs are waiting already."""
        if self._thread is None:
            thread = Thread(target=self._work, name="wdyn-syncer", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is too far into its exit for a thread
                self._try(sync)
                return
            self._thread = thread
        self._queue.put(sync)

    def wait(self) -> None:
        """Return when all that was handed over is synced."""
        self._queue.join()

    def end(self) -> None:
        """Wait likewise, and let the thread go: a process may make many recordings."""
        self.wait()
        if self._thread is not None:
            self._queue.put(None)
            self._thread = None

    def _work(self) -> None:
        while (sync := self._queue.get()) is not None:
            self._try(sync)
            self._queue.task_done()
        self._queue.task_done()

    def _try(self, sync: Callable[[], None]) -> None:
        try:
            sync()
        except Exception as error:  # whatever it is, nobody may end up waiting for a dead thread
            self._failed(error)
