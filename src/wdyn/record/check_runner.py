"""Run a user's script in this process, with its Recorder at work or idle, and write down what each update came to.

    python -m wdyn.record.check_runner OUT FOLDER at-work|idle UPDATES SCRIPT [ARGUMENTS]

OUT takes the lines, FOLDER what the Recorder writes where it is at work.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import runpy
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from wdyn.record import packing
from wdyn.record import recorder as making
from wdyn.record.distributed import CHECKING
from wdyn.record.facts import check_arguments
from wdyn.record.recorder import EVERY_STEP, Recorder
from wdyn.record.watch import Followed, Line, Watch

CHECKED = {"optimizer": None, "schedule": EVERY_STEP, "when_behind": "wait"}
_make, _step, _close = Recorder.__init__, Recorder.step, Recorder._close


class Session:
    """Stands between a script and its Recorders, and ends the process when enough was seen.

    It never raises into the script: the process ends with `os._exit`, in the middle of whatever the script does.
    """

    def __init__(self, out: Path, *, folder: Path, recording: bool, compared: int) -> None:
        """Open the file of lines.

        Args:
            out: the file.
            folder: for what the Recorders write.
            recording: whether they do, or stay idle.
            compared: updates after which fingerprints are no more taken.
        """
        folder.mkdir(exist_ok=True)
        self._out, self._folder, self._recording, self._pid = out.open("w"), folder, recording, os.getpid()
        self._watch = Watch(self._write, compared=compared, done=self.finish)
        self._followed: dict[int, Followed] = {}
        self._open: list[Recorder] = []
        self._numbers = itertools.count()  # of Recorders
        self._over, self._left = False, 2 * compared  # updates to wait for a Recorder

    def attach(self) -> None:
        """Have the script's Recorders made, stepped and closed here."""
        patches: dict[str, Callable[..., Any]] = {"__init__": self._made, "step": self._stepped, "_close": self._closed}
        for name, method in patches.items():  # functions, since a bound method would not be given the Recorder
            setattr(Recorder, name, _unbound(method))
        packing.pack = lambda run_file: None
        os.environ[CHECKING] = "1"  # inherited by what the script starts, where nothing is patched
        making.started_by_check = lambda: False  # type: ignore[attr-defined]  # patched where it is used
        self._waiting = register_optimizer_step_post_hook(self._wait)

    def stop(self) -> None:
        """Do nothing more: the script failed, and what it says is what counts."""
        self._over = True
        self._out.close()

    def finish(self, reason: str) -> None:
        """Close what is open, write the last lines and end the process."""
        if self._over or not self._here:
            return
        self._over = True
        for recorder in self._open:
            _close(recorder, failed=False)
        self._watch.end(reason)
        self._leave()

    @property
    def _here(self) -> bool:
        """A forked child, such as a DataLoader's worker, is not looked at."""
        return os.getpid() == self._pid

    def _made(self, recorder: Recorder, model: Any, path: Any = None, **options: Any) -> None:
        # one file for each; what stands where the user wants it is neither read nor touched
        place = self._folder.absolute() / f"{next(self._numbers)}.h5"
        if self._recording and self._here:
            _make(recorder, model, place, **{**options, "resume": False})
            counted: Callable[[], None] = lambda: None  # noqa: E731
        else:  # as in a process of a group that is not the first: misuse is said, and nothing more is done
            check_arguments(model, *(options.get(name, usual) for name, usual in CHECKED.items()))
            recorder.path, recorder.step_count = place, 0
            recorder._closed, recorder._pid = True, os.getpid()
            counted = _counter(recorder)
        if self._here:
            self._waiting.remove()
            self._open.append(recorder)
            self._followed[id(recorder)] = self._watch.follow(model, options.get("optimizer"), counted=counted)

    def _stepped(self, recorder: Recorder) -> None:
        _step(recorder)
        if self._here and id(recorder) in self._followed:
            self._followed[id(recorder)].step()

    def _closed(self, recorder: Recorder, *, failed: bool) -> None:
        _close(recorder, failed=failed)
        if self._here and not failed and all(each is recorder for each in self._open):
            self.finish("closed")
        self._open = [each for each in self._open if each is not recorder]

    def _wait(self, *_: Any) -> None:
        """Without a Recorder a script would run to its end, which may be far."""
        self._left -= 1
        if self._left <= 0:
            self.finish("no Recorder")

    def _write(self, line: Line) -> None:
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()

    def _leave(self) -> NoReturn:
        with suppress(ValueError):  # torch's own handler would raise when a worker ends; only the main thread may ask
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for child in multiprocessing.active_children():
            child.terminate()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(0)


def _unbound(method: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **options: method(*args, **options)


def _counter(recorder: Recorder) -> Callable[[], None]:
    """Counts the updates that an idle Recorder would have counted: the script may ask it."""

    def count() -> None:
        recorder.step_count += 1

    return count


def run(script: str, arguments: Sequence[str], session: Session) -> None:
    """Run a script as `python SCRIPT ARGUMENTS` would, until the session ends the process."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):  # a script that sets no seed can be compared as well
        seed(0)
    sys.argv = [script, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.realpath(script)))
    try:
        runpy.run_path(os.path.abspath(script), run_name="__main__")
    except SystemExit as exit_:
        if exit_.code not in (None, 0):
            session.stop()
            raise
    except BaseException:
        session.stop()
        raise
    session.finish("the script ended")


def main(arguments: Sequence[str]) -> None:
    """Run what the command line says."""
    out, folder, how, updates, script, *rest = arguments
    session = Session(Path(out), folder=Path(folder), recording=how == "at-work", compared=int(updates))
    session.attach()
    run(script, rest, session)


if __name__ == "__main__":
    main(sys.argv[1:])
