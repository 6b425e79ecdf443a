"""From the model as it is at a step to frames for the journal, or to a note that the step is missing."""

from __future__ import annotations

import time
from collections.abc import Iterable

from wdyn.journal.frame import Kind
from wdyn.record.capture import Camera, Captured
from wdyn.record.missing import Missing
from wdyn.record.past import Past
from wdyn.record.snapshot import ModelChangedError
from wdyn.record.thinning import Thinning
from wdyn.record.writer import Job, NoWriter, Writer


class Tape:
    """Takes captures and hands them over in order, without a gap that is not noted.

    Attributes:
        camera: takes the captures.
        writer: what they are handed over to.
    """

    def __init__(
        self, camera: Camera, writer: Writer | NoWriter, *, wait: bool, thinning: Thinning | None = None
    ) -> None:
        """Begin with nothing on it.

        Args:
            camera: of the model.
            writer: its thread is at work.
            wait: for the disk, where it is slower than the training; else steps are skipped.
            thinning: keeps the record within its bounds, where it has any.
        """
        self.camera, self.writer = camera, writer
        self._wait, self._thinning = wait, thinning
        self._latest: tuple[int, Captured] | None = None  # the last step, where thinning does not keep it
        self._missing: Missing | None = None  # in a row up to now, not yet handed over

    def put(self, kind: Kind, payload: bytes, step: int) -> None:
        """Hand over a frame that is none of a step."""
        self.writer.put(Job(kind, payload, step, time.time()))

    def hand_over(self, captured: Captured, step: int) -> None:
        """Hand over a step that was captured."""
        self._replace_latest(None)
        self.writer.put(Job(Kind.STEP, captured.buffer, step, time.time(), captured.masks))

    def record(self, step: int) -> None:
        """Capture the model as it is now, and hand it over.

        Raises:
            ModelChangedError: its tensors are not the run's any more.
            Exception: it could not be copied; the step is noted as missing.
        """
        try:
            captured = self.camera.try_capture(wait=self._wait)
        except ModelChangedError:
            raise
        except Exception as error:
            self._miss("gap", f"{type(error).__name__}: {error}", step)
            raise
        if self._thinning is not None and not self._thinning.admits():
            if captured is not None:
                self._replace_latest((step, captured))
        elif captured is None:
            self._miss("skipped", "the disk was slower than the training", step)
        else:
            self.flush()
            self.hand_over(captured, step)
            self._count(step)

    def flush(self) -> None:
        """Hand over what is known to be missing."""
        if self._missing is not None:
            self.writer.put(self._missing)
            self._missing = None

    def close(self, step: int) -> None:
        """Write all that was handed over, and that the recording was closed after a step."""
        self.flush()
        if self._latest is not None:  # the end of a training is worth a step that thinning would leave out
            (last, captured), self._latest = self._latest, None
            self.hand_over(captured, last)
        self.writer.close(step)

    def begin(self, step: int) -> None:
        """Hand over the model as it is before training."""
        self.hand_over(self.camera.capture(), step)
        if self._thinning is not None and self._thinning.admits():
            self._count(step)

    def go_on(self, past: Past, step: int, scheduled: Iterable[int]) -> None:
        """Take into account what stands of a record that goes on from a step.

        Args:
            past: what stands.
            step: written again already.
            scheduled: all steps of the schedule up to it.
        """
        if self._thinning is None:
            return
        if (thinned := self._thinning.go_on(past.steps, past.stride, scheduled=scheduled, step=step)) is not None:
            self.writer.put(thinned)

    def _count(self, step: int) -> None:
        if self._thinning is not None and (thinned := self._thinning.keep(step)) is not None:
            self.writer.put(thinned)

    def _replace_latest(self, latest: tuple[int, Captured] | None) -> None:
        if self._latest is not None:
            self.camera.pool.give(self._latest[1].buffer)
        self._latest = latest

    def _miss(self, what: str, reason: str, step: int) -> None:
        missing = Missing(what, reason, step, step)
        if self._missing is None or not self._missing.extend(missing):
            self.flush()
            self._missing = missing
