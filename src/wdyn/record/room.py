"""What a step costs and what the disk has left, said while there is time to do something about it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

# Of the journal's bytes that its run file takes, measured under SGD and Adam; both stand for a while.
LEAST_PACKED, PACKED = 0.45, 2 / 3
FEW_STEPS = 100
SOON = 1800.0  # seconds


class Room:
    """Looks at the disk that a run is recorded to.

    Attributes:
        step_bytes: what one step takes in the journal.
    """

    def __init__(self, folder: Path, step_bytes: int, *, steps: int = 0, max_bytes: int | None = None) -> None:
        """Look for the first time.

        Args:
            folder: of the journal.
            step_bytes: what one step takes in it.
            steps: how many stand in it already.
            max_bytes: what all steps may take, where they are bounded.
        """
        self._folder, self.step_bytes, self._max_bytes = folder, max(step_bytes, 1), max_bytes
        self._began = time.monotonic()
        self._written = 0  # bytes since then
        self._bytes = steps * self.step_bytes  # of the steps in the journal now

    def count(self, steps: int) -> None:
        """Count steps that stand in the journal now, fewer after thinning."""
        self._bytes += steps * self.step_bytes
        self._written += max(steps, 0) * self.step_bytes

    def steps_left(self) -> int | None:
        """Steps that the disk has room for beside the run file of all, or None where it cannot be asked."""
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError:
            return None
        return max(0, int((free - PACKED * self._bytes) / (self.step_bytes * (1 + PACKED))))

    def shortage(self) -> str | None:
        """What to say where the disk will soon be full, or None."""
        left = self.steps_left()
        if left is None:
            return None
        if self._max_bytes is not None:
            return self._too_little(left) if left * self.step_bytes < self._max_bytes - self._bytes else None
        seconds = self._seconds(left)
        if left >= FEW_STEPS and (seconds is None or seconds > SOON):
            return None
        when = "" if seconds is None else f", about {_duration(seconds)} at the pace so far"
        return (
            f"the disk has room for {left:,} more steps of {size_text(self.step_bytes)}, the run file included{when}. "
            f"Steps beyond that would be missing: free some room, or record fewer with schedule=every(n) or max_bytes="
        )

    def _too_little(self, left: int) -> str:
        return (
            f"the disk has room for {left:,} more steps of {size_text(self.step_bytes)}, the run file included, which "
            f"is less than max_bytes={self._max_bytes:,} allows. Free some room or lower it"
        )

    def _seconds(self, left: int) -> float | None:
        passed = time.monotonic() - self._began
        if not self._written or passed < 1:
            return None
        return left * self.step_bytes / (self._written / passed)


def size_text(count: float) -> str:
    """Bytes in words, three digits."""
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if count >= 10**power:
            return f"{count / 10**power:.3g} {unit}"
    return f"{count:.0f} bytes"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
