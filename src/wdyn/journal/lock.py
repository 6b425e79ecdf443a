"""Who is writing a journal: a lock file that a dead process cannot hold."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

LOCK = "lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # a file system that has none: nobody can be kept out
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Holder:
    """The process that writes a journal.

    Attributes:
        pid: its process id.
        host: name of its machine.
        boot_id: the machine's boot, or None where the system has no such number.
        started: start of the process in clock ticks since boot, or None; tells a reused pid apart.
    """

    pid: int
    host: str
    boot_id: str | None
    started: int | None

    @classmethod
    def this_process(cls) -> Holder:
        """The calling process."""
        return cls(os.getpid(), socket.gethostname(), _boot_id(), _started(os.getpid()))

    @property
    def elsewhere(self) -> bool:
        """Whether it runs on another machine, where this one cannot see it."""
        return self.host != socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether the process may still be writing; a process of another machine counts as alive."""
        if self.elsewhere:
            return True
        if self.boot_id != _boot_id() or not runs(self.pid):
            return False
        return self.started is None or self.started == _started(self.pid)


def acquire(folder: Path) -> None:
    """Write this process's lock into a journal folder.

    Raises:
        FileExistsError: there is a lock already; it was not touched.
        OSError: it could not be written.
    """
    with (folder / LOCK).open("x") as file:
        json.dump(asdict(Holder.this_process()), file)


def take_over(folder: Path) -> Holder | None:
    """Make this process the writer of a journal that a dead one left, or that nobody writes.

    Returns:
        None, or the process that holds it, which was not disturbed.

    Raises:
        BlockingIOError: another process is changing the folder as a whole just now.
        OSError: the lock could not be written.
    """
    with alone(folder, wait=False):
        if (holder := live_holder(folder)) is None:
            release(folder)
            acquire(folder)
        return holder


@contextmanager
def alone(folder: Path, *, wait: bool) -> Iterator[None]:
    """Let no other process take over or pack the journal meanwhile. Recording and reading go on.

    Args:
        folder: of the journal.
        wait: for a process that has it; else it is an error.

    Raises:
        BlockingIOError: another process has it, and `wait` is False.
        OSError: the folder cannot be opened, or lost its name while another process had it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        if not os.path.samestat(os.fstat(descriptor), os.stat(folder)):  # it was packed meanwhile, and another made
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        yield
    finally:
        os.close(descriptor)  # gives it up as well


def release(folder: Path) -> None:
    """Remove the lock; nothing happens where there is none."""
    (folder / LOCK).unlink(missing_ok=True)


def live_holder(folder: Path) -> Holder | None:
    """The process that is writing this journal, or None: no lock, or one that a dead process left."""
    try:
        fields = json.loads((folder / LOCK).read_bytes())
        holder = Holder(fields["pid"], fields["host"], fields["boot_id"], fields["started"])
    except (OSError, ValueError, TypeError, KeyError):  # none, or torn when its writer died
        return None
    return holder if holder.alive else None


def _boot_id() -> str | None:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def _stat(pid: int) -> list[str]:
    """What /proc says of a process from its state on; empty where there is no such process, or no /proc."""
    try:  # the command's name, in parentheses, may itself hold spaces and parentheses
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _started(pid: int) -> int | None:
    stat = _stat(pid)
    return int(stat[19]) if len(stat) > 19 else None


def runs(pid: int) -> bool:
    """Whether a process of this machine has this number and is not dead."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it exists and belongs to somebody else
        return True
    return _stat(pid)[:1] not in (["Z"], ["X"])  # a zombie is dead, only its parent has not looked yet
