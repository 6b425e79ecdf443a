"""A folder that one process at a time fills with runs, each there whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from wdyn.errors import MisuseError, OutputError, RunExistsError
from wdyn.journal.append import sync_path
from wdyn.journal.lock import LOCK, acquire, live_holder, release
from wdyn.record import packing

UNFINISHED = ".unfinished"  # what is in it belongs to this module, and may go at any time


class Workshop:
    """One process at work in a folder.

    Files are made in a folder of their own below `.unfinished` and get their place by a rename, which is the mark
    that they are done. A process killed at any point leaves what is done, a stale lock and things in `.unfinished`;
    the next one takes both away. Its packing process may live on: it works in a folder that no other attempt uses.

    Attributes:
        folder: where the files shall be.
        bench: where they are made.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is done before `with`.

        Args:
            folder: made if it is not there.
        """
        self.folder = Path(os.path.abspath(folder))
        self.bench = self.folder / UNFINISHED / uuid.uuid4().hex
        self._pool = ThreadPoolExecutor(1, "wdyn-publish")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        """Take the folder.

        Raises:
            RunExistsError: another process works in it.
            MisuseError: it cannot be made.
        """
        unfinished = self.folder / UNFINISHED
        try:
            unfinished.mkdir(parents=True, exist_ok=True)
            with _one_at_a_time(self.folder):
                self._take(unfinished)
        except RunExistsError:
            raise
        except OSError as error:
            raise MisuseError(f"{self.folder} cannot be written to ({error}). Choose another folder.") from error
        return self

    def _take(self, unfinished: Path) -> None:
        unfinished.mkdir(exist_ok=True)  # the one before may have taken it away just now
        if (holder := live_holder(unfinished)) is not None:
            raise RunExistsError(
                f"{self.folder}: process {holder.pid} on {holder.host} is at work in it. Wait for it, or give another "
                f"folder. If that process is gone, delete {unfinished / LOCK}."
            )
        for left in unfinished.iterdir():
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        acquire(unfinished)
        self.bench.mkdir()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is being packed, and give the folder free.

        Raises:
            OutputError: something could not be packed or put in place, and no other error is under way.
        """
        try:
            self._pool.shutdown(wait=True)
            if kind is None:
                self._settle()
        finally:
            shutil.rmtree(self.bench, ignore_errors=True)
            with suppress(OSError), _one_at_a_time(self.folder):
                release(self.bench.parent)
                self.bench.parent.rmdir()

    def publish(self, run: str, *beside: str) -> None:
        """Pack a run whose journal is on the bench and put it in its place, while the caller goes on.

        One run at a time is packed; this waits for the one before.

        Args:
            run: name of the run file.
            beside: names of other files on the bench, which are put in place before it.

        Raises:
            OutputError: the one before could not be packed or put in place.
        """
        self._settle()
        self._pending = self._pool.submit(self._publish, run, beside)

    def write(self, name: str, text: str) -> None:
        """Put a small file in its place.

        Raises:
            OutputError: it could not be written.
        """
        try:
            (self.bench / name).write_text(text)
            os.replace(self.bench / name, self.folder / name)
        except OSError as error:
            raise OutputError(f"{self.folder / name}: could not be written ({error}).") from error

    def _settle(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _publish(self, run: str, beside: tuple[str, ...]) -> None:
        final = self.folder / run
        if problem := packing.pack(self.bench / run):
            raise OutputError(f"{final}: trained, but not kept: {problem} Start again to make it again.")
        try:
            for name in beside:
                os.replace(self.bench / name, self.folder / name)
            if os.path.lexists(final):  # somebody else's, since no other process makes runs here
                raise FileExistsError("something has that name by now")
            os.rename(self.bench / run, final)
            sync_path(self.folder)
        except OSError as error:
            raise OutputError(f"{final}: trained, but not kept: {error}.") from error


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """While a lock is looked at and taken: of two processes that find a stale one, both would take it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
