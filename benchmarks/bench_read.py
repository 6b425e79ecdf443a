"""How fast does a run come back: all steps of a layer, a block at a time, and one step of everything?

    python benchmarks/bench_read.py [--steps 1000] [--rounds 5] [--folder DIR]

LeNet-300-100 on digits, every step, momentum SGD, packed. In turn, all steps of the first layer: wdyn block by block,
on one thread and on as many as it likes; plain h5py of the same file in one piece; h5py of a file that was appended to
step by step without compression, and one with h5py's shuffle and gzip in a step a chunk. MB/s are of float32 values, by
the wall and by processor time of all threads. Then one step of the whole network, the run being open.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import h5py
import torch
from trained import journal

import wdyn
from wdyn.store import packed_source
from wdyn.store.pack import pack

LAYER, WEIGHT = "0", "weights/0.weight"


def measured(work: Callable[[], int]) -> tuple[float, float, int]:
    """Wall and processor seconds, and what the work counted."""
    wall, used = time.perf_counter(), time.process_time()
    count = work()
    return time.perf_counter() - wall, time.process_time() - used, count


def in_blocks(path: Path, threads: int) -> int:
    before, packed_source.THREADS = packed_source.THREADS, threads
    try:
        with wdyn.open_run(path) as run:
            return sum(block.nbytes for _, block in run.blocks(LAYER))
    finally:
        packed_source.THREADS = before


def by_h5py(path: Path, name: str) -> int:
    with h5py.File(path) as file:
        return int(file[name][:].nbytes)


def appended(path: Path, run: Path, **options: object) -> Path:
    with h5py.File(run) as source, h5py.File(path, "w") as file:
        old = source[WEIGHT]
        made = file.create_dataset("w", (0, *old.shape[1:]), "f4", maxshape=(None, *old.shape[1:]),
                                   chunks=(1, *old.shape[1:]), **options)  # fmt: skip
        for start in range(0, len(old), 32):
            block = old[start : start + 32]
            made.resize(start + len(block), axis=0)
            made[start:] = block
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        run = journal(Path(folder, "run.h5"), args.steps)
        pack(run)
        plain = appended(Path(folder, "plain.h5"), run)
        gzip = appended(Path(folder, "gzip.h5"), run, shuffle=True, compression="gzip")
        every_thread = packed_source.THREADS
        wdyn.open_run(run).close()  # whatever is started once
        ways: dict[str, Callable[[], int]] = {
            "wdyn, blocks, 1 thread": lambda: in_blocks(run, 1),
            f"wdyn, blocks, {every_thread} threads": lambda: in_blocks(run, every_thread),
            "h5py, the same file": lambda: by_h5py(run, WEIGHT),
            "h5py, gzip, a step a chunk": lambda: by_h5py(gzip, "w"),
            "h5py, not compressed": lambda: by_h5py(plain, "w"),
        }
        found: dict[str, list[tuple[float, float, int]]] = {way: [] for way in ways}
        for _ in range(args.rounds):
            for way, work in ways.items():
                found[way].append(measured(work))
        print(f"{args.steps} steps of (300, 784), {args.rounds} rounds, medians")
        print(f"{'':32}{'MB/s':>8}{'MB/s a core':>14}{'file MB':>10}")
        sizes = {"h5py, gzip, a step a chunk": gzip, "h5py, not compressed": plain}
        for way, each in found.items():
            wall, used, count = (median(values) for values in zip(*each, strict=True))
            size = sizes.get(way, run).stat().st_size
            print(f"{way:32}{count / 1e6 / wall:8.0f}{count / 1e6 / used:14.0f}{size / 1e6:10.0f}")
        with wdyn.open_run(run) as opened:
            steps = [int(step) for step in opened.steps[:: max(1, args.steps // 20)]]
            times = [measured(lambda step=step: len(opened.state(step))) for step in steps]
        print(f"one step of the whole network: {1000 * median(t[0] for t in times):.0f} ms, "
              f"{1000 * median(t[1] for t in times):.0f} ms of processor time")  # fmt: skip
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB, "
              f"h5py's arrays in one piece among it")  # fmt: skip


if __name__ == "__main__":
    main()
