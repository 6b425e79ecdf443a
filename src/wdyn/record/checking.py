"""Prove on a user's own script that recording changes nothing, and measure what it costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from wdyn.errors import MisuseError
from wdyn.journal.frame import Kind
from wdyn.journal.scan import Frame, scan, segments
from wdyn.record.difference import first_difference
from wdyn.record.proof import Proof, Recorded, Times
from wdyn.record.watch import Line

RECORDING = "with recording"
RUNS = ("without recording", RECORDING, "without recording again")
MOST_SAID = 20  # lines of a failed script that are passed on
FEW_TIMES = 5  # fewer timed updates than this tell nothing
ONE_LINE = "from wdyn import Recorder; rec = Recorder(model)"

Progress = Callable[[str, float], None]
Said = Callable[[str], None]


def check_script(
    script: Path,
    arguments: Sequence[str] = (),
    *,
    updates: int = 50,
    progress: Progress = lambda what, share: None,
    said: Said = lambda text: None,
) -> Proof:
    """Run a script three times, without recording, with it and without it again, and compare update by update.

    Each run is a process of its own. The script's own `Recorder` is used with its options, but its file goes to a
    temporary folder. Generators of random numbers that the script does not seed begin with seed 0.

    Args:
        script: makes a Recorder and trains.
        arguments: what follows the script's name on its command line.
        updates: to compare; as many again are timed, and then each run ends.
        progress: called with what is being done and which share of all is ready.
        said: called with the last lines that the script printed, if it fails.

    Returns:
        What was found, whether or not the runs were identical.

    Raises:
        MisuseError: the script fails, makes no Recorder or does not update its model.
    """
    # a worker of the script may still be ending, and write, while the folder is removed
    with tempfile.TemporaryDirectory(prefix="wdyn-check-", ignore_cleanup_errors=True) as folder:
        runs = []
        for number, how in enumerate(RUNS):
            process = _Process(script, arguments, updates=updates, how=how, out=Path(folder, str(number)))
            runs.append(process.lines(partial(_tell, progress, number), said))
        recorded = _recorded(Path(folder, f"{RUNS.index(RECORDING)}.runs"))
    return _proof(script, runs, recorded)


def _tell(progress: Progress, number: int, share: float) -> None:
    progress(RUNS[number], (number + share) / len(RUNS))


class _Process:
    """One run of the script."""

    def __init__(self, script: Path, arguments: Sequence[str], *, updates: int, how: str, out: Path) -> None:
        self._script, self._updates, self._how, self._out = script, updates, how, out
        self._log = out.with_suffix(".log")
        # -P: a file beside the working folder that is named like a library is not imported in its place
        command = [sys.executable, "-P", "-m", "wdyn.record.check_runner", str(out), str(out.with_suffix(".runs"))]
        mode = "at-work" if how == RECORDING else "idle"
        self._command = [*command, mode, str(updates), str(script), *arguments]

    def lines(self, progress: Callable[[float], None], said: Said) -> list[Line]:
        """Run it and read what it wrote.

        Raises:
            MisuseError: it fails, makes no Recorder or does not update its model.
        """
        with self._log.open("wb") as log, _started(self._command, log.fileno(), self._out.parent) as process:
            while process.poll() is None:
                progress(min(1.0, self._count() / (2 * self._updates + 2)))
                time.sleep(0.05)
        found = [json.loads(line) for line in self._text().splitlines()]
        self._check(found, process.returncode, said)
        return found

    def _text(self) -> str:
        return self._out.read_text() if self._out.exists() else ""

    def _count(self) -> int:
        return self._text().count("\n")

    def _check(self, found: Sequence[Line], status: int, said: Said) -> None:
        count = max((line.get("update", 0) for line in found), default=0)
        if status:
            printed = self._log.read_text(errors="replace").strip().splitlines()
            said("\n".join(printed[-MOST_SAID:]))
            raise MisuseError(
                f"{self._script} fails {self._how}, {_after(count)}, with {_ending(status)}"
                f"{': ' + printed[-1].strip().rstrip('.') if printed else ''}. "
                f"It must run on its own: python {self._script}"
            )
        for line in found:
            if "error" in line:
                raise MisuseError(f"{self._script}: an update cannot be compared {self._how} ({line['error']}).")
        if not found:
            raise MisuseError(
                f"{self._script} makes no Recorder, so there is nothing to compare. Add one line where the model is "
                f"made: {ONE_LINE}. One in a process that the script starts cannot be compared, and writes nothing"
            )
        if not count:
            raise MisuseError(
                f"{self._script} makes a Recorder, but no torch optimizer updates its model. A loop without one calls "
                f"rec.step() after each update."
            )


@contextmanager
def _started(command: Sequence[str], log: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which does not outlive an interrupt, nor do those that it started."""
    # sets of text have another order in each process unless this says otherwise, and a script may depend on it
    # and what it has for its time alone, it leaves behind where it is ended
    environment = {"PYTHONHASHSEED": "0"} | os.environ | {"TMPDIR": str(folder)}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
    )
    try:
        yield process
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)  # not waited for yet, so the number is still its own
        process.wait()
        raise


def _recorded(folder: Path) -> Recorded:
    """What the run with recording left in its temporary folder."""
    steps, ended = [], None
    for path in (path for parts in sorted(folder.glob("*.parts")) for path in segments(parts)):
        for frame in (each for each in scan(path) if isinstance(each, Frame)):
            if frame.header.kind is Kind.STEP:
                steps.append(frame.header.length)
            elif frame.header.kind is Kind.NOTE and (note := json.loads(frame.read()))["what"] == "ended":
                ended = ended or f"at step {frame.header.step}: {note['reason']}"
    return Recorded(len(steps), round(median(steps)) if steps else 0, ended)


def _proof(script: Path, runs: Sequence[Sequence[Line]], recorded: Recorded) -> Proof:
    without, with_it, again = runs
    unrepeatable = first_difference(without, again)
    return Proof(
        script=str(script),
        updates=sum("seen" in line and "seconds" in line for line in with_it),
        repeatable=unrepeatable is None,
        difference=unrepeatable or first_difference(without, with_it),
        times=Times((_seconds(without), _seconds(again)), _seconds(with_it)),
        recorded=recorded,
    )


def _seconds(lines: Sequence[Line]) -> float | None:
    """Median time of an update: of those that only time was taken of, unless the script ended before them."""
    taken = [line for line in lines if line.get("seconds") is not None]
    alone = [line["seconds"] for line in taken if "seen" not in line]
    chosen = alone if len(alone) >= FEW_TIMES else [line["seconds"] for line in taken]
    return median(chosen) if chosen else None


def _after(count: int) -> str:
    return f"after {count} update{'' if count == 1 else 's'}" if count else "before its first update"


def _ending(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
