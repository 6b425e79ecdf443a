"""What a check of a script found, in words and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wdyn.record.difference import Difference

PARTS = "weights, buffers, gradients, optimizer state, random numbers, modes, addresses"
SEED_IT = (
    "Give every source of chance a seed (NumPy generators of your own, generator= of a shuffling DataLoader, data read "
    "in the order of a set or a folder) and on CUDA set torch.use_deterministic_algorithms(True), then check again"
)


@dataclass(frozen=True)
class Times:
    """Median seconds of one update of the training loop; None where there was no more than one.

    Attributes:
        without: of both runs without recording.
        with_recorder: of the run with it, what the Recorder does in the loop included.
    """

    without: tuple[float | None, float | None]
    with_recorder: float | None

    @property
    def base(self) -> float | None:
        """Seconds without recording: the mean of both."""
        first, second = self.without
        return None if first is None or second is None else (first + second) / 2

    @property
    def ratio(self) -> float | None:
        """How many times as long an update takes with recording."""
        return None if self.base is None or self.with_recorder is None else self.with_recorder / self.base


@dataclass(frozen=True)
class Recorded:
    """What the Recorder wrote.

    Attributes:
        steps: how many, step 0 included.
        bytes_per_step: before packing; 0 where it wrote none.
        ended: when and why recording ended before the training, or None.
    """

    steps: int
    bytes_per_step: int
    ended: str | None


@dataclass(frozen=True)
class Proof:
    """What a check found.

    Attributes:
        script: what was checked.
        updates: how many were compared.
        repeatable: whether the two runs without recording were identical; if not, nothing can be proven.
        difference: the first one, of these two or else of the runs with and without recording.
        times: what an update takes.
        recorded: what the Recorder wrote.
    """

    script: str
    updates: int
    repeatable: bool
    difference: Difference | None
    times: Times
    recorded: Recorded

    @property
    def identical(self) -> bool:
        """Whether recording is proven to change nothing in these updates."""
        return self.difference is None and self.recorded.ended is None

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "script": self.script,
            "identical": self.identical,
            "repeatable": self.repeatable,
            "updates": self.updates,
            "difference": None if self.difference is None else self.difference.to_dict(),
            "seconds_without": self.times.base,
            "seconds_without_each": list(self.times.without),
            "seconds_with": self.times.with_recorder,
            "ratio": self.times.ratio,
            "steps_recorded": self.recorded.steps,
            "bytes_per_step": self.recorded.bytes_per_step,
            "recording_ended": self.recorded.ended,
        }

    def __str__(self) -> str:
        if not self.repeatable:
            return (
                f"{self.script}: nothing can be proven, since two runs without recording differ {self.difference}. "
                f"{SEED_IT}."
            )
        if self.difference is not None:
            return (
                f"{self.script}: recording changes the training. Runs with and without it differ {self.difference}. "
                f"This is a fault of wdyn: please report it."
            )
        if self.recorded.ended is not None:
            return f"{self.script}: nothing is proven, since recording ended {self.recorded.ended}."
        return "\n".join([f"identical over {self.updates} updates ({PARTS})", *self._costs()])

    def _costs(self) -> list[str]:
        costs = [f"bytes per step: {self.recorded.bytes_per_step:,} ({self.recorded.steps} steps recorded)"]
        times = self.times
        if times.base is not None and times.with_recorder is not None and times.ratio is not None:
            low, high = sorted(1e3 * each for each in times.without if each is not None)
            costs.insert(
                0,
                f"time per update: {1e3 * times.base:.3g} ms without ({low:.3g} and {high:.3g}), "
                f"{1e3 * times.with_recorder:.3g} ms with, ratio {times.ratio:.2f}",
            )
        return costs
