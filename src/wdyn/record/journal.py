"""The segments that a recording appends to, and what it does when the disk will not take a frame."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from isal.isal_zlib import crc32

from wdyn.errors import DamagedError
from wdyn.journal.append import SEGMENT_SIZE, SegmentWriter, segment_path, sync_path
from wdyn.journal.frame import Buffer, Kind
from wdyn.journal.scan import segments
from wdyn.journal.schema import Schema
from wdyn.journal.thin import drop_replaced, thin_segment
from wdyn.record.missing import Missing, note
from wdyn.record.room import Room
from wdyn.record.syncing import Syncer
from wdyn.record.thinning import Thinned

SYNC_EVERY = 30.0  # seconds; a power cut loses at most what was written since
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 60.0  # seconds without a try after the disk refused a step

_OF_STEPS = (Kind.STEP, Kind.MASKS)  # a step is not written without its masks


class Journal:
    """Segments in a row. A frame that cannot be written is counted, never raised.

    Attributes:
        missing: steps that could not be written, or were not handed over.
        lost_metrics: calls of log() of which nothing was written.
        lost_notes: notes that could not be written.
        unwritten: payloads of the sample and the program while they could not be written.
        trouble: the first refusal of the disk, in words.
        shortage: what to say where the disk will soon be full.
    """

    def __init__(
        self,
        folder: Path,
        schema: Schema,
        *,
        number: int = 0,
        segment_size: int | None = None,
        room: Room | None = None,
    ) -> None:
        """Begin the first segment.

        Args:
            folder: of the journal.
            schema: of the run.
            number: of the segment; more than 0 where a recording is resumed.
            segment_size: bytes after which the next begins; default `SEGMENT_SIZE`.
            room: looks at the disk whenever it is synced.

        Raises:
            OSError: it could not be written.
        """
        self._folder, self._schema = folder, schema.to_json()
        self._number, self._room = number, room
        self._resumed, self._restarts = number > 0, frozenset[int]()
        self._segment_size = SEGMENT_SIZE if segment_size is None else segment_size
        self._masks: bytes | None = None  # what holds now
        self._has_masks = True  # whether the segment says so
        self._syncer = Syncer(lambda error: self._refused(error, "syncing"))
        self._segment = self._begin()
        sync_path(folder)
        self._dirty_since: float | None = None
        self._pause, self._silent_until = FIRST_PAUSE, 0.0
        self._last_error = ""
        self._row: Missing | None = None  # missing steps up to now
        self._unnoted: list[Missing] = []
        self.missing: list[Missing] = []
        self.lost_metrics = self.lost_notes = 0
        self.unwritten: dict[Kind, bytes] = {}
        self.trouble: str | None = None
        self.shortage = None if room is None else room.shortage()

    def write(self, kind: Kind, payload: Buffer, *, step: int, time_: float) -> bool:
        """Append a frame if the disk takes it; whether it did."""
        if time.monotonic() < self._silent_until:
            self._lose(kind, payload, step)
            return False
        try:
            self._append(kind, payload, step, time_)
        except OSError as error:
            self.fail(kind, payload, step, error)
            return False
        if kind is Kind.STEP:  # a nearly full disk takes small frames long after it has no room for steps
            self._pause, self._row = FIRST_PAUSE, None
            if self._room is not None:
                self._room.count(1)
            self._note_missing(time_)
        return True

    def miss(self, missing: Missing) -> None:
        """Count kept steps that are not there; their note follows the next step that can be written."""
        if self._row is None or not self._row.extend(missing):
            self._row = missing
            self._unnoted.append(missing)
            self.missing.append(missing)

    def fail(self, kind: Kind, payload: Buffer, step: int, error: Exception) -> None:
        """Count a frame that could not be written, and after one of a step leave the disk alone for a while."""
        self._refused(error, f"writing step {step}" if kind in _OF_STEPS else f"writing {kind.name.lower()}")
        if kind in _OF_STEPS:
            self._silent_until = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._lose(kind, payload, step)

    def sync_in(self) -> float | None:
        """Seconds until what was written must be on the disk; None where all of it is."""
        return None if self._dirty_since is None else max(0.0, self._dirty_since + SYNC_EVERY - time.monotonic())

    def sync(self) -> None:
        """Ask the disk to keep all that was written; it does so beside what is written next."""
        self._dirty_since = None
        self._syncer.hand_over(self._segment.sync)
        if self._room is not None:
            self.shortage = self._room.shortage() or self.shortage

    def thin(self, thinned: Thinned) -> None:
        """Write the segments anew without the steps that are not to stay; where the disk refuses, they stay."""
        # the note first: a recording that goes on after this one died finds that it has to end the thinning
        self.write(Kind.NOTE, thinned.note(), step=thinned.step, time_=time.time())
        try:
            self._next_segment()
            self._syncer.wait()
            keep = thinned.keep | self._drop_replaced()
            for path in segments(self._folder)[:-1]:
                with suppress(DamagedError):  # such a segment is left alone, and takes its room
                    thin_segment(path, keep=keep)
        except Exception as error:  # no memory, for one; training must not end up waiting for a dead thread
            self._refused(error, "thinning")
            return
        if self._room is not None:
            self._room.count(len(thinned.keep) - thinned.count)

    def close(self, step: int) -> None:
        """Write the last notes, whatever the disk said before, and close."""
        self._silent_until = 0.0
        unwritten, self.unwritten = self.unwritten, {}
        for kind, payload in unwritten.items():
            self.write(kind, payload, step=0, time_=time.time())
        self._note_missing(time.time())
        self.lost_notes += len(self._unnoted)
        self.write(Kind.NOTE, note("closed", "the recording was closed"), step=step, time_=time.time())
        self._syncer.end()
        try:
            self._segment.close()
        except OSError as error:
            self._refused(error, "syncing")

    def _drop_replaced(self) -> frozenset[int]:
        """Once, where the recording was resumed."""
        if self._resumed:
            self._restarts, self._resumed = drop_replaced(self._folder), False
        return self._restarts

    def _append(self, kind: Kind, payload: Buffer, step: int, time_: float) -> None:
        if self._segment.size >= self._segment_size and kind in _OF_STEPS:
            self._next_segment()
        if kind is Kind.STEP and not self._has_masks:  # each segment can be read without those before it
            assert self._masks is not None
            self._append(Kind.MASKS, self._masks, step, time_)
        self._segment.append(kind, payload, step=step, time=time_)
        if kind is Kind.MASKS:
            self._masks, self._has_masks = bytes(payload), True
        if self._dirty_since is None:
            self._dirty_since = time.monotonic()

    def _next_segment(self) -> None:
        following = self._begin()
        finished, self._segment, self._has_masks = self._segment, following, self._masks is None
        self._syncer.hand_over(finished.close)
        self._syncer.hand_over(lambda: sync_path(self._folder))

    def _begin(self) -> SegmentWriter:
        path = segment_path(self._folder, self._number)
        segment = SegmentWriter(path, crc32(self._schema))
        try:
            segment.append(Kind.SCHEMA, self._schema, step=0, time=time.time())
        except OSError:
            with suppress(OSError):
                segment.close()
            path.unlink(missing_ok=True)
            raise
        self._number += 1
        return segment

    def _note_missing(self, time_: float) -> None:
        while self._unnoted:
            missing = self._unnoted[0]
            if not self.write(Kind.NOTE, missing.note(), step=missing.last, time_=time_):
                self.lost_notes -= 1  # not lost while it is tried again
                return
            del self._unnoted[0]

    def _lose(self, kind: Kind, payload: Buffer, step: int) -> None:
        if kind is Kind.METRICS:
            self.lost_metrics += 1
        elif kind is Kind.NOTE:
            self.lost_notes += 1
        elif kind in (Kind.SAMPLE, Kind.PROGRAM):
            self.unwritten[kind] = bytes(payload)
        elif kind in _OF_STEPS:
            self.miss(Missing("gap", self._last_error, step, step))

    def _refused(self, error: Exception, doing: str) -> None:
        self._last_error = str(error)
        self.trouble = self.trouble or f"{doing} failed ({error})"
