"""Does the cost of recording, packing and reading grow no faster than the bytes?

    python benchmarks/bench_size.py [--largest 8] [--longest 5] [--budget 2e9] [--folder DIR]

Networks of 10^4 to 10^8 parameters at 30 steps (fewer where that takes more than the budget of bytes), and 10^2 to 10^5
steps of a network of 10^3. Each is a Linear layer whose weights move a little at every step. Seconds of processor
time per gigabyte of raw input, and peak memory of a process of its own: where cost grows with size the columns do
not change from row to row, but for what a process costs at its start, torch's own included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

RECORD = """
import json, resource, sys, time
import torch
from wdyn.record import packing
from wdyn.record.recorder import Recorder
packing.pack = lambda run_file: None
path, width, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(0); torch.set_num_threads(1)
model = torch.nn.Linear(width, width, bias=False)
drift = torch.randn(width, width) * 1e-4
begin = time.process_time()
with torch.no_grad(), Recorder(model, path, program=False) as rec:
    start = time.process_time()
    for _ in range(steps):
        model.weight.add_(drift)
    moving = time.process_time() - start  # the loop's own work, which is not the Recorder's
    for _ in range(steps):
        model.weight.add_(drift)
        rec.step()
used = time.process_time() - begin - 2 * moving
print(json.dumps([used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""
PACK = """
import json, resource, sys, time
from pathlib import Path
from wdyn.store.pack import pack
begin = time.process_time()
pack(Path(sys.argv[1]))
print(json.dumps([time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""
READ = """
import json, resource, sys, time
import wdyn
begin = time.process_time()
with wdyn.open_run(sys.argv[1]) as run:
    for name in run.layers:
        for _ in run.blocks(name):
            pass
print(json.dumps([time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def of(script: str, *arguments: object) -> tuple[float, float]:
    """Processor seconds and peak megabytes."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    seconds, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return seconds, memory / 1e3


def row(width: int, steps: int, folder: Path) -> None:
    raw = 4e-9 * width * width * (steps + 1)
    path = folder / f"{width}-{steps}.h5"
    costs = [of(RECORD, path, width, steps), of(PACK, path), of(READ, path)]
    cells = "".join(f"{seconds / raw:12.2f}{memory:8.0f}" for seconds, memory in costs)
    print(f"{width * width:12,}{steps:9,}{raw:9.3f}{cells}", flush=True)
    path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=8)
    parser.add_argument("--longest", type=int, default=5)
    parser.add_argument("--budget", type=float, default=2e9)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    print(f"{'':30}{'record':>20}{'pack':>20}{'read':>20}")
    print(f"{'parameters':>12}{'steps':>9}{'GB':>9}" + f"{'s/GB':>12}{'MB':>8}" * 3)
    with tempfile.TemporaryDirectory(dir=args.folder) as place:
        for power in range(4, args.largest + 1):
            width = round(10 ** (power / 2))
            row(width, max(3, min(30, int(args.budget / (4 * width * width)))), Path(place))
        for power in range(2, args.longest + 1):
            row(32, 10**power, Path(place))


if __name__ == "__main__":
    main()
