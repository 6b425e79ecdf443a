"""Run trainings with a Recorder, without one or with a bad one, each in a process forked for it.

    python -m tests.record.observed FOLDER TRAINING|RECORDER ...

For each of them FOLDER gets a file that holds the lines of a Watch and what was recorded.
"""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from isal.isal_zlib import crc32
from torch import nn

from tests.record.bad_recorders import BAD, Bad, Nothing, Referring
from tests.record.frames import Frames, read
from tests.record.networks import Net
from tests.record.trainings import TRAININGS, TWO_PROCESSES, Calls
from wdyn.record import packing
from wdyn.record.difference import Difference, first_difference
from wdyn.record.fingerprint import Parts, checksum
from wdyn.record.recorder import Recorder
from wdyn.record.watch import Line, Watch

ROOT = Path(__file__).parents[2]
AT_ONCE = 2  # processes


class Desk:
    """A Lab of one process: where its training begins, and what it shows."""

    def __init__(self, recorder: str, folder: Path, rank: int) -> None:
        self.recorder, self.folder, self.rank = recorder, folder, rank
        self.loss, self.scaler, self.calls = torch.zeros(()), None, None
        self.path = folder / "run.h5"
        self.lines: list[Line] = []
        self.watch = Watch(self.lines.append)

    def begin(self, model: nn.Module, **options: Any) -> Any:
        self.made = self._make(model, options)
        self._followed = self.watch.follow(model, options.get("optimizer"), extra=self._extra)
        return self

    def step(self) -> None:
        self.made.step()
        self._followed.step()

    def log(self, **scalars: Any) -> None:
        self.made.log(**scalars)

    def _make(self, model: nn.Module, options: dict[str, Any]) -> Any:
        if self.recorder == "Recorder":
            return Recorder(model, self.path, **options)
        if self.recorder == "none":
            return Nothing()
        return Referring(model) if self.recorder == "refers" else Bad(BAD[self.recorder][0], model, self)

    def _extra(self) -> Parts:
        calls: Calls | None = self.calls
        return {
            "losses": {"": checksum(self.loss)},
            "loss scale": {"": None if self.scaler is None else self.scaler.get_scale()},
            "calls": {"": calls and calls.count},
            "warning filters": {"": checksum(repr(warnings.filters))},
        }

    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = {"lines": self.lines}
        if hasattr(self.made, "recorded"):
            found["recorded"] = self.made.recorded()
        elif self.recorder == "Recorder" and self.rank == 0:
            frames = read(self.path)
            found |= {"recorded": {step: checksums(frames, step) for step in frames.steps}, "program": frames.program}
            found["no_program"] = frames.no_program
        return found


def checksums(frames: Frames, step: int) -> dict[str, str]:
    specs = {spec.name: spec for spec in frames.schema.tensors}
    return {
        name: f"{specs[name].dtype}{specs[name].shape}:{crc32(data):08x}" for name, data in frames.steps[step].items()
    }


def work(training: str, recorder: str, folder: Path, rank: int) -> None:
    packing.pack = lambda path: None
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(1)
    desk = Desk(recorder, folder, rank)
    TRAININGS[training](desk)
    desk.made.close()
    desk.watch.end("closed")
    (folder / f"{rank}.json").write_text(json.dumps(desk.result()))


def forked(training: str, recorder: str, folder: Path, rank: int) -> int:
    if child := os.fork():
        return child
    status = 1
    try:
        work(training, recorder, folder, rank)
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def main(folder: Path, jobs: Sequence[str]) -> int:
    worst, running = 0, 0
    if jobs[0] != "fresh":  # loads what takes seconds, and half a second in each copy of this process
        torch.export.export(Net(), (torch.zeros(4, 4),))
        gc.freeze()  # else each copy copies what it collects
    for job in (each for each in jobs if each != "fresh"):
        training, recorder = job.split("|")
        place = folder / job
        place.mkdir(parents=True)
        for rank in range(2 if training == TWO_PROCESSES else 1):
            forked(training, recorder, place, rank)
            running += 1
        while running >= AT_ONCE:
            worst, running = max(worst, os.wait()[1]), running - 1
    for _ in range(running):
        worst = max(worst, os.wait()[1])
    return int(worst > 0)


def observe(folder: Path, jobs: Sequence[tuple[str, str]], *, fresh: bool = False) -> dict[tuple[str, str], list[Any]]:
    """Run trainings, in a fresh interpreter of which each process is a copy.

    Args:
        folder: for what they write.
        jobs: training and recorder.
        fresh: whether torch's exporter shall not be loaded before.

    Returns:
        By job, the results of its processes.
    """
    words = [*(["fresh"] if fresh else []), *("|".join(job) for job in jobs)]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.record.observed", str(folder), *words], check=False, capture_output=True,
        text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return {
        job: [json.loads(each.read_text()) for each in sorted((folder / "|".join(job)).glob("*.json"))] for job in jobs
    }


def difference(without: Sequence[Any], with_it: Sequence[Any]) -> Difference | None:
    """The first, of all processes, of a training without and one with a recorder."""
    for one, other in zip(without, with_it, strict=True):
        found = first_difference(one["lines"], other["lines"]) or misremembered(other)
        if found is not None:
            return found
    return None


def misremembered(result: dict[str, Any]) -> Difference | None:
    """Where what was recorded is not what the loop saw at that step."""
    for line in (each for each in result["lines"] if "end" not in each):
        recorded = result.get("recorded", {}).get(str(line["update"]), {})
        seen = {bare(name): value for name, value in (line["seen"]["weights"] | line["seen"]["buffers"]).items()}
        wrong = tuple(name for name, value in recorded.items() if seen[name] != value)
        if wrong:
            return Difference(f"at update {line['update']}", line["update"], {"recorded values": wrong})
    return None


def bare(name: str) -> str:
    return name.removeprefix("module.").removeprefix("_orig_mod.")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
