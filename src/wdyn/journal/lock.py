"""Who is writing a journal: a lock file that a dead process cannot hold."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

LOCK = "lock"
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
