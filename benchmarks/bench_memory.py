"""How much memory does an analysis take, and does it grow with the run?

    python benchmarks/bench_memory.py [--gigabytes 1] [--widths 4096 256 256 10] [--jobs 1 2] [--keep RUN]

A run of so many gigabytes of weights is written with the store's own writer: a fully connected network whose weights
take a random walk on a coarse grid, so that it compresses as a training does. Then `wdyn analyze`, whole and `--quick`,
runs on it in a process of its own.

The memory is the largest sum of the resident sets of that process and all it started, looked at every 50 ms. Pages that
several processes share are counted once for each, so the truth is at most that. Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from wdyn.journal.schema import TensorSpec
from wdyn.store.layers import Layer
from wdyn.store.write import write_run

GRID = np.float32(2**-13)
POOL = 1 << 23
COMMAND = "from wdyn_cli.main import main; main()"


class RandomWalk:
    """A source of weights that are made when they are asked for, in order; see `wdyn.store.sources.Source`."""

    condition, checksum, sample = "finished", "0" * 8, None

    def __init__(self, path: Path, widths: list[int], gigabytes: float) -> None:
        self.path = path
        shapes = {f"fc{i + 1}.weight": (n, d) for i, (d, n) in enumerate(pairwise(widths))}
        self.tensors = {name: TensorSpec(name, "weight", "float32", shape) for name, shape in shapes.items()}
        count = max(2, round(gigabytes * 1e9 / sum(4 * n * d for n, d in shapes.values())))
        self.steps, self.times = np.arange(count), 1.7e9 + np.arange(float(count))
        self.metrics, self.masks = {}, {}
        self._rng = np.random.default_rng(0)
        self._now = {
            name: np.round(self._rng.normal(0, d**-0.5, (n, d)) / GRID).astype(np.float32) * GRID
            for name, (n, d) in shapes.items()
        }

    @cached_property
    def _pool(self) -> np.ndarray:
        """Changes of one weight in four, for each step another part of them: drawing all anew takes an hour."""
        moves = self._rng.integers(-2, 3, POOL) * (self._rng.random(POOL) < 0.25)
        return moves.astype(np.float32) * GRID

    @cached_property
    def meta(self) -> dict[str, object]:
        """The facts of the run."""
        layers = [
            Layer(name.removesuffix(".weight"), name, *each.shape, axis=0, start=0, groups=1, kind="Linear", bias=None)
            for name, each in self.tensors.items()
        ]
        return {
            "wdyn": "0.1.0", "run_id": "0" * 32, "created": "2026-01-02T03:04:05Z", "model": "RandomWalk",
            "torch": "2.6.0", "python": "3.11.0", "optimizer": "SGD", "schedule": "every(1)", "tied": {},
            "layers": [layer._asdict() for layer in layers], "left_out": [], "metadata": {}, "notes": [],
        }  # fmt: skip

    def read(self, name: str, positions: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        """The next steps of some rows."""
        now = self._now[name][rows]
        walk = np.empty((len(positions), *now.shape), np.float32)
        for step in walk:
            at = int(self._rng.integers(POOL - now.size))
            step[:] = now
            now += self._pool[at : at + now.size].reshape(now.shape)
        return walk

    def check_masks(self, position: int) -> None:
        """There are none."""

    def close(self) -> None:
        """Nothing to give up."""


def resident(root: int) -> int:
    """Bytes in memory of a process and all it started."""
    parents, sizes = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(folder.name)], sizes[int(folder.name)] = int(fields[1]), int(fields[21])
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(sizes.get(pid, 0) for pid in family) * resource.getpagesize()


def measure(command: list[str], cache: Path) -> tuple[float, float, int]:
    """Seconds, seconds of all cores, and bytes of memory that a command takes."""
    spent, begin, most = _processor(), time.perf_counter(), 0
    with subprocess.Popen(
        command, env={**os.environ, "WDYN_CACHE": str(cache)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        while running.poll() is None:
            most = max(most, resident(running.pid))
            time.sleep(0.05)
        if running.returncode:
            raise SystemExit(f"{' '.join(command)}: {running.stderr.read().decode()[-1000:]}")
    return time.perf_counter() - begin, _processor() - spent, most


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--widths", type=int, nargs="+", default=[4096, 256, 256, 10])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2], help="processes of the whole analysis")
    parser.add_argument("--keep", type=Path, help="write the run here and leave it; used as it is if it is there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = args.keep or folder / "walk.h5"
        if not run.exists():
            begin = time.perf_counter()
            write_run(run, RandomWalk(run, args.widths, args.gigabytes))
            print(f"written in {time.perf_counter() - begin:.0f} s, {run.stat().st_size / 1e9:.2f} GB on disk")
        print(f"{'':24}{'wall, s':>10}{'CPU, s':>10}{'memory, MB':>12}")
        modes = [("--quick",), *(("--jobs", str(jobs)) for jobs in args.jobs)]
        for k, mode in enumerate(modes):
            command = [sys.executable, "-c", COMMAND, "analyze", str(run), *mode, "-o", str(folder / "page.html")]
            wall, processor, most = measure(command, folder / f"cache{k}")
            print(f"{'analyze ' + ' '.join(mode):24}{wall:10.1f}{processor:10.1f}{most / 1e6:12.0f}", flush=True)


if __name__ == "__main__":
    main()
