"""How fast is a journal packed, how small does it get, and does a training beside it suffer?

    python benchmarks/bench_pack.py [--steps 1000] [--rounds 3] [--folder DIR]

LeNet-300-100 on digits, every step, momentum SGD and Adam. In turn: the packing process of wdyn, which also reads all
of the file back and compares it with the journal; the same arrays written by h5py with its own shuffle and gzip, in
chunks of one step, as an append makes them, and in wdyn's chunks. MB/s are of raw input per second of processor time,
all threads counted. Then: steps a second of a training on all cores, alone and beside a packer.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import h5py
import torch
from trained import journal, lenet, updates

from wdyn.places import parts_folder
from wdyn.store.journal_source import JournalSource
from wdyn.store.layout import chunk_shape


def packed(path: Path) -> tuple[float, int, int]:
    """Processor seconds, bytes and peak memory of the packing process."""
    code = (
        "import resource, sys; from wdyn.store.pack import main; status = main(sys.argv[1:]);"
        "used = resource.getrusage(resource.RUSAGE_SELF);"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024); sys.exit(status)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    seconds, memory = said.stdout.split()
    return float(seconds), path.stat().st_size, int(memory)


def by_h5py(path: Path, long_chunks: bool) -> tuple[float, int, int]:
    source = JournalSource(path)
    begin = time.process_time()
    with h5py.File(path, "w") as file:
        for name, spec in source.tensors.items():
            shape = (len(source.steps), *spec.shape)
            chunks = chunk_shape(shape, 4) if long_chunks else (1, *spec.shape)
            made = file.create_dataset(name, shape, "f4", chunks=chunks, shuffle=True, compression="gzip")
            for start in range(0, shape[0], 32):
                positions = range(start, min(start + 32, shape[0]))
                made[start : start + 32] = source.read(name, torch.tensor(list(positions)).numpy())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return time.process_time() - begin, path.stat().st_size, memory


def compare(optimizer: str, steps: int, rounds: int, place: Path) -> Path:
    master = journal(place / f"{optimizer}.h5", steps, optimizer)
    raw = sum(each.stat().st_size for each in parts_folder(master).glob("seg-*"))
    ways: dict[str, Callable[[Path], tuple[float, int, int]]] = {
        "wdyn": packed,
        "h5py, a step a chunk": lambda path: by_h5py(path, long_chunks=False),
        "h5py, wdyn's chunks": lambda path: by_h5py(path, long_chunks=True),
    }
    found: dict[str, list[tuple[float, int, int]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            path = place / f"{way}.h5".replace(" ", "-")
            shutil.rmtree(parts_folder(path), ignore_errors=True)
            path.unlink(missing_ok=True)
            shutil.copytree(parts_folder(master), parts_folder(path))
            found[way].append(run(path))
    print(f"\n{optimizer}, {steps} steps, {raw / 1e6:.0f} MB raw, {rounds} rounds, medians")
    print(f"{'':24}{'MB/s a core':>12}{'file/raw':>10}{'peak MB':>10}")
    for way, each in found.items():
        seconds, size, memory = (median(values) for values in zip(*each, strict=True))
        print(f"{way:24}{raw / 1e6 / seconds:12.0f}{size / raw:10.3f}{memory / 1e6:10.0f}")
    return master


def rate(seconds: float) -> float:
    """Updates a second of a training on all cores."""
    model, count = lenet(), 0
    training = updates("SGD", model)
    for _, _ in zip(range(20), training, strict=False):
        pass
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        next(training)
        count += 1
    return count / (time.perf_counter() - begin)


def beside(master: Path, rounds: int, place: Path) -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    alone, together = [], []
    for number in range(rounds):
        alone.append(rate(4))
        path = place / f"beside-{number}.h5"
        shutil.copytree(parts_folder(master), parts_folder(path))
        packer = subprocess.Popen([sys.executable, "-m", "wdyn.store.pack", str(path)])
        together.append(rate(4))
        print(f"the packer was {'still at work' if packer.poll() is None else 'done before the end'}")
        packer.wait()
    slower = 1 - median(together) / median(alone)
    print(f"\na training on all {os.cpu_count()} cores: {median(alone):.0f} updates a second alone, "
          f"{median(together):.0f} beside the packer, {slower:.1%} fewer")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        place = Path(folder)
        compare("Adam", args.steps, args.rounds, place)
        beside(compare("SGD", args.steps, args.rounds, place), args.rounds, place)


if __name__ == "__main__":
    main()
