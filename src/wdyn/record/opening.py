"""Begin the record of a run, or go on with one that stands."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wdyn.errors import MisuseError
from wdyn.journal.append import SEGMENT_SIZE
from wdyn.journal.frame import Kind
from wdyn.journal.lock import release
from wdyn.journal.schema import Schema
from wdyn.places import parts_folder
from wdyn.record.capture import Camera
from wdyn.record.claim import abandon, claim, claim_default
from wdyn.record.distributed import from_first_rank
from wdyn.record.journal import Journal
from wdyn.record.past import Past, take_up
from wdyn.record.room import Room
from wdyn.record.snapshot import ModelChangedError
from wdyn.record.tape import Tape
from wdyn.record.thinning import Thinning, steps_that_fit
from wdyn.record.writer import NoWriter, Writer


@dataclass(frozen=True)
class Opened:
    """A record that is being written.

    Attributes:
        path: absolute path of the run file.
        tape: what takes the steps.
        step: the step that the model is at.
        resumed: whether the recording goes on with one that stood.
        past: what stood; None where this process writes nothing.
    """

    path: Path
    tape: Tape
    step: int = 0
    resumed: bool = False
    past: Past | None = None


@dataclass(frozen=True)
class Wish:
    """What the user wants of the record.

    Attributes:
        file: the run file, or None for the default place.
        name: of the model, for that place.
        meta: facts of the run.
        wait: whether training waits for a slow disk.
        resume: whether to go on with what stands, or from which step.
        max_bytes: what the steps may take, or None.
    """

    file: Path | None
    name: str
    meta: dict[str, Any]
    wait: bool
    resume: bool | int
    max_bytes: int | None


def open_record(camera: Camera, wish: Wish) -> Opened:
    """`open_here`; of several processes that capture together, in the first, and the others follow it."""
    if not camera.sharded:
        return open_here(camera, wish)

    def act() -> tuple[Opened, tuple[Path, int, bool]]:
        opened = open_here(camera, wish)
        return opened, (opened.path, opened.step, opened.resumed)

    own, (path, step, resumed) = from_first_rank(act)
    return own or Opened(path, Tape(camera, NoWriter(camera.pool), wait=True), step, resumed)


def open_here(camera: Camera, wish: Wish) -> Opened:
    """Claim the run file and begin its journal, or take up the one that stands.

    Raises:
        MisuseError: it cannot be recorded to, or not be resumed.
        RunExistsError: a run stands there and is not to be resumed, or is being recorded.
    """
    if wish.max_bytes is not None:
        steps_that_fit(wish.max_bytes, camera.step_bytes)  # before anything is touched
    past = take_up(wish.file) if wish.resume is not False and wish.file is not None else None
    return _begin(camera, wish) if past is None else _go_on(camera, wish, past)


def _begin(camera: Camera, wish: Wish) -> Opened:
    path = claim_default(wish.name) if wish.file is None else claim(wish.file)
    with _undone_by(lambda: abandon(path), path):
        return Opened(path, _tape(camera, wish, path, Schema(camera.tensors, wish.meta)))


def _go_on(camera: Camera, wish: Wish, past: Past) -> Opened:
    assert wish.file is not None  # a default path is new at every start
    path = Path(os.path.abspath(wish.file))
    with _undone_by(lambda: release(parts_folder(path)), path):
        step = _place(camera, wish, past)
        tape = _tape(camera, wish, path, past.schema, past=past.until(step))
        return Opened(path, tape, step, resumed=True, past=past)


def _place(camera: Camera, wish: Wish, past: Past) -> int:
    """The step that the model is at; from now on the camera's captures are laid out as those of the run."""
    assert wish.file is not None
    assert camera.initial is not None
    try:
        camera.arrange(past.schema.tensors)
    except ModelChangedError as error:
        raise MisuseError(f"{wish.file} cannot be resumed: {error}. It must be the same model.") from error
    camera.settles_later = True
    buffer = camera.initial.buffer
    buffer.wait()
    return past.where(buffer.payload, wish.resume, wish.file)


def _tape(camera: Camera, wish: Wish, path: Path, schema: Schema, *, past: Past | None = None) -> Tape:
    folder, size, bound = parts_folder(path), camera.step_bytes, wish.max_bytes
    room = Room(folder, size, steps=len(past.steps) if past else 0, max_bytes=bound)
    segment = None if bound is None else min(SEGMENT_SIZE, bound // 8)
    journal = Journal(folder, schema, number=past.number if past else 0, segment_size=segment, room=room)
    thinning = None if bound is None else Thinning(steps_that_fit(bound, size))
    masks_known = past is None or Kind.MASKS not in past.kinds
    return Tape(camera, Writer(journal, camera.pool, masks_known), wait=wish.wait, thinning=thinning)


@contextmanager
def _undone_by(undo: Callable[[], None], path: Path) -> Iterator[None]:
    """Leave nothing behind where the record cannot be begun."""
    try:
        yield
    except BaseException as error:
        undo()
        if isinstance(error, OSError):
            raise MisuseError(f"{path} cannot be recorded to ({error}). Choose another folder.") from error
        raise
