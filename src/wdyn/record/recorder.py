"""Recorder: attach to a model, hand each kept step to the journal, always detach, never disturb the training."""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from torch import nn
from torch.optim import Optimizer

from wdyn.journal.frame import Kind, encode_arrays
from wdyn.journal.lock import release
from wdyn.places import parts_folder
from wdyn.record import packing
from wdyn.record.capture import Camera, Captured
from wdyn.record.choice import check_each_matches
from wdyn.record.claim import checked_path, default_path
from wdyn.record.complaints import Complaints
from wdyn.record.distributed import SHARDED, class_name, is_first_rank, is_sharded, started_by_check
from wdyn.record.exporting import Exporter
from wdyn.record.facts import (
    check_arguments,
    checked_bound,
    checked_metadata,
    checked_patterns,
    checked_resume,
    checked_sample,
    facts,
    single_numbers,
)
from wdyn.record.hooks import OptimizerHooks, was_skipped
from wdyn.record.inventory import unwrapped
from wdyn.record.journal import Journal
from wdyn.record.missing import note
from wdyn.record.opening import Wish, open_record
from wdyn.record.past import BEGUN_AGAIN, FOUND_NOWHERE, Past
from wdyn.record.schedule import every
from wdyn.record.snapshot import ModelChangedError, Snapshot

WhenBehind = Literal["wait", "skip"]
EVERY_STEP = every(1)


class Recorder:
    """Records a model's weights while it trains, without changing the training.

    From its making on, each update by a torch optimizer that owns a parameter of the model is a step. Of two
    optimizers that train parts of one model each makes steps; name one with `optimizer=` to count only its own. Loops
    without a torch optimizer call `step()`. Where both happen, what came first counts and the other is ignored.

    Where several processes train one model with torch.distributed, the first of them records; in the others a Recorder
    checks its arguments and does nothing more, but for gathering the tensors of a model that is spread over them all.

    Once made, a Recorder never raises into the training: it warns, and `close()` says what is missing. It stays at
    work until `close()`, the end of its `with` block or the interpreter's exit, even if no name refers to it.

    Attributes:
        path: absolute path of the run file, which is there after `close()`.
        step_count: updates seen so far, kept or not.
    """

    def __init__(
        self,
        model: nn.Module,
        path: str | os.PathLike[str] | None = None,
        *,
        optimizer: Optimizer | None = None,
        schedule: Callable[[int], bool] = EVERY_STEP,
        sample: tuple[Any, Any] | None = None,
        include: str | Sequence[str] = "*",
        exclude: str | Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        when_behind: WhenBehind = "wait",
        program: bool | Mapping[str, Any] = True,
        resume: bool | int = False,
        max_bytes: float | None = None,
    ) -> None:
        """Record the initial weights as step 0 and attach.

        Args:
            model: any module with parameters; wrappers of torch.compile and data parallelism leave no trace in names.
            path: the run file to make; default `checkpoints/<model>-<UTC time>.h5`.
            optimizer: count the updates of this one alone.
            schedule: from a step's number to whether it is kept, as `every(10)`; step 0 always is.
            sample: (inputs, targets), tensors or arrays of one length, stored with the run for later analyses.
            include: names or globs of what to record: parameters, buffers, or modules with all that is in them.
            exclude: names or globs to leave out of these.
            metadata: whatever JSON can hold, stored with the run.
            when_behind: if the disk is slower than the training, `wait` for it or `skip` steps, which is noted.
            program: keep the forward pass too, so that the run needs no code of the model to run again. The export
                takes up to some seconds, once, after the first update; `run.program` of the same model spares it.
            resume: go on with the run that stands at `path`, if there is one, from the step whose weights and buffers
                the model has; or from the step given, whatever they are. What was recorded after it is replaced.
            max_bytes: what the recorded steps may take on the disk while the training runs. Where they would take
                more, every second of them goes, so that the others stay spread over the whole run; the last step of
                the schedule always stays.

        Raises:
            MisuseError: an argument cannot work; the text says which and why.
            RunExistsError: a run stands or is being recorded at this path; it was not touched.
        """
        file = checked_path(path)
        check_arguments(model, optimizer, schedule, when_behind)
        going_on, bound = checked_resume(resume, file), checked_bound(max_bytes)
        name, self._pid, self.step_count = class_name(unwrapped(model)), os.getpid(), 0
        follows = not is_first_rank() and not any(is_sharded(each) for each in model.parameters())
        self._closed = follows or started_by_check()
        if self._closed:
            self.path = Path(os.path.abspath(file or default_path(name)))
            return
        patterns = checked_patterns(include), checked_patterns(exclude)
        snapshot = Snapshot(model, *patterns)
        check_each_matches(snapshot.inventory, *patterns)
        arrays = None if sample is None else checked_sample(sample)
        meta = facts(model, snapshot, optimizer=optimizer, schedule=schedule, metadata=checked_metadata(metadata))
        self._schedule, self._ended = schedule, False
        self._counted_by: str | None = None
        self._optimizers = set() if optimizer is None else {type(optimizer).__name__}  # those the run knows of
        wish = Wish(file, name, meta, wait=when_behind == "wait", resume=going_on, max_bytes=bound)
        opened = open_record(Camera(model, snapshot), wish)
        self.path, self._tape, self.step_count = opened.path, opened.tape, opened.step
        self._past, self._found_by_values = opened.past, going_on is True
        self._complaints = Complaints(self.path)
        self._attach(model, optimizer, arrays, program=program)
        if not opened.resumed:  # else with the first update: only then is it sure which step the model is at
            self._tape.begin(self.step_count)
        elif self._past is not None and self._found_by_values and self.step_count == 0 and len(self._past.steps) > 1:
            self._complaints.once(BEGUN_AGAIN)  # a script run again, its checkpoint perhaps forgotten
        self._say_trouble()

    def _attach(self, model: nn.Module, optimizer: Optimizer | None, sample: Any, *, program: Any) -> None:
        there: frozenset[Kind] = self._past.kinds if self._past else frozenset()
        if sample is not None and Kind.SAMPLE not in there:
            self._put(Kind.SAMPLE, encode_arrays(sample))
        wanted = None if Kind.PROGRAM in there else program
        if wanted is True and self._tape.camera.sharded:
            wanted = SHARDED
        self._exporter = Exporter(model, sample, wanted=wanted, active=lambda: self._active, put=self._put)
        self._hooks = OptimizerHooks(optimizer, owns=self._owns, before=self._before, after=self._after)
        atexit.register(self.close)  # also keeps a Recorder alive to which no name refers

    def log(self, /, **scalars: Any) -> None:
        """Record scalars at the current step.

        Args:
            scalars: numbers, or tensors and arrays of one number; anything else is left out with one warning.
        """
        self._guarded(lambda: self._log(scalars))

    def step(self) -> None:
        """Count one update; only for loops without a torch optimizer."""
        self._guarded(lambda: self._count("rec.step()"))

    def close(self) -> None:
        """Detach, write what waits, pack the run file and say what is missing. Further calls do nothing.

        An interrupt (Ctrl-C) while the file is packed leaves the packing process at work.
        """
        self._close(failed=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(failed=kind is not None)

    def _close(self, *, failed: bool) -> None:
        if self._closed or os.getpid() != self._pid:
            return
        self._guarded(self._tape.camera.check)
        self._guarded(self._note_newcomers)
        self._exporter.close()
        self._hooks.detach()
        self._tape.close(self.step_count)
        self._closed = True
        atexit.unregister(self.close)
        if self._journal is not None:
            self._end_journal(self._journal, failed=failed)

    def _end_journal(self, journal: Journal, *, failed: bool) -> None:
        with suppress(OSError):
            release(parts_folder(self.path))
        if not self.step_count and not self._ended and not failed:
            self._complaints.once("no optimizer updated the model, so only step 0 is recorded. Call rec.step() instead")
        self._complaints.missing(journal)
        self._pack()

    def _pack(self) -> None:
        if problem := packing.pack(self.path):
            self._complaints.unpacked(problem)

    # what the hooks call

    @property
    def _active(self) -> bool:
        """A forked child, such as a DataLoader's worker, is not the process that records."""
        return not self._closed and not self._ended and os.getpid() == self._pid

    def _owns(self, optimizer: Optimizer) -> bool:
        try:
            return self._active and self._tape.camera.trained_by(optimizer)
        except Exception:  # an optimizer whose groups are not torch's own is none that can be asked
            return False

    def _before(self) -> None:
        self._guarded(lambda: self._settle(updated=False))

    def _after(self, optimizer: Optimizer) -> None:
        self._guarded(lambda: None if was_skipped(optimizer) else self._updated(optimizer))

    def _updated(self, optimizer: Optimizer) -> None:
        name = type(optimizer).__name__
        if name not in self._optimizers:
            self._optimizers.add(name)
            self._put(Kind.NOTE, note("optimizer", name))
        self._count("an optimizer")

    def _guarded(self, act: Callable[[], None]) -> None:
        """Nothing that goes wrong in here may reach the training."""
        if not self._active:
            return
        try:
            act()
        except ModelChangedError as error:
            self._end(str(error))
        except Exception as error:
            self._complaints.once("an error, which the training does not see", f"{type(error).__name__}: {error}")

    def _count(self, source: str) -> None:
        self._counted_by = self._counted_by or source
        if self._counted_by != source:
            self._complaints.once(f"steps are counted by {self._counted_by}, so {source} is ignored")
            return
        self._settle(updated=True)
        self.step_count += 1
        self._say_trouble()
        if self._keeps(self.step_count):
            self._record()
        self._exporter.after_update()

    def _keeps(self, step: int) -> bool:
        try:
            return bool(self._schedule(step))
        except Exception as error:
            self._complaints.once("the schedule failed, so the step is kept", f"{type(error).__name__}: {error}")
            return True

    # steps

    def _settle(self, *, updated: bool) -> None:
        initial = self._tape.camera.settle(updated=updated)
        if initial is None:
            return
        past, self._past = self._past, None
        if past is not None:
            self._settle_past(past, initial)
        self._tape.hand_over(initial, self.step_count)
        if past is not None:
            steps = (step for step in range(self.step_count + 1) if step == 0 or self._keeps(step))
            self._tape.go_on(past, self.step_count, steps)

    def _settle_past(self, past: Past, initial: Captured) -> None:
        """Weights may have been loaded after the Recorder was made, so look again which step they are of."""
        # of several processes that capture together the others would count other steps
        if self._found_by_values and past.steps and not self._tape.camera.sharded:
            initial.buffer.wait()
            values = initial.buffer.payload
            step = past.find(values)
            step = past.find_weights(values) if step is None else step  # buffers may have seen the first forward pass
            if step is None:
                self._tape.camera.pool.give(initial.buffer)
                raise ModelChangedError(FOUND_NOWHERE)
            self.step_count = step
        self._put(Kind.NOTE, note("resumed", f"the recording was resumed at step {self.step_count}"))

    def _record(self) -> None:
        self._tape.record(self.step_count)

    def _put(self, kind: Kind, payload: bytes) -> None:
        self._tape.put(kind, payload, self.step_count)

    @property
    def _journal(self) -> Journal | None:
        """What this process writes; of several that capture together, only the first does."""
        return self._tape.writer.journal

    def _say_trouble(self) -> None:
        if (journal := self._journal) is None:
            return
        if journal.trouble:
            self._complaints.trouble(journal)
        if journal.shortage:
            self._complaints.once("little room", journal.shortage)

    def _note_newcomers(self) -> None:
        if names := self._tape.camera.unrecorded():
            reason = f"{', '.join(names)}: new in the model after recording began"
            self._put(Kind.NOTE, note("left out", reason))
            self._complaints.once(f"not recorded are {reason}. Make a new Recorder after such a change")

    def _log(self, scalars: Mapping[str, Any]) -> None:
        values, others = single_numbers(scalars)
        for name, why in others.items():
            self._complaints.once("log() takes single numbers, and other values are left out", f"{name}: {why}")
        if values:
            self._put(Kind.METRICS, json.dumps(values).encode())

    def _end(self, reason: str) -> None:
        self._ended = True  # the hooks stay until close(): torch is walking through its list of them
        self._tape.flush()
        self._put(Kind.NOTE, note("ended", reason))
        self._complaints.once(
            f"recording ended at step {self.step_count}: {reason}. What was recorded is whole and training goes "
            f"on. Make the Recorder when the model has its final form, or a new one after the change"
        )
