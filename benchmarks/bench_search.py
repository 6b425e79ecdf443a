"""How much longer does a round of a search take than the same training without it?

    python benchmarks/bench_search.py [--steps 10000] [--rounds 3] [--repeats 3] [--threads 1]

LeNet-300-100 on noise of MNIST's size, batches of 60, Adam, evaluated 20 times, 100 recorded steps a round. In turn: a
whole search, with the export of the program and the packing, and the same trainings alone, from the same starts, under
the same masks and seeds. Packing is a process of its own beside the next round: it needs a free core.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from wdyn import at, open_run
from wdyn.tickets import find_ticket
from wdyn.tickets.masks import apply_masks
from wdyn.tickets.rewind import load, tensors_of
from wdyn.tickets.seeds import seeded

RATE = {"4": 0.1, "*": 0.2}


class Nobody:
    """Where nothing is recorded."""

    def log(self, **scalars: Any) -> None:
        """Take the numbers and forget them."""


def lenet() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))


def training(steps: int) -> Callable[[nn.Module, Any], None]:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(6000, 784, generator=generator), torch.randint(10, (6000,), generator=generator)

    def train(model: nn.Module, recorder: Any) -> None:
        optimizer = torch.optim.Adam(model.parameters(), lr=1.2e-3)
        for step in range(1, steps + 1):
            batch = torch.randint(len(x), (60,))
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % (steps // 20) == 0:
                with torch.no_grad():
                    recorder.log(val_loss=nn.functional.cross_entropy(model(x), y))

    return train


def clocks() -> np.ndarray:
    """Wall time, and processor time of this process, of which the packing is no part."""
    return np.array([time.perf_counter(), time.process_time()])


def searched(folder: Path, train: Callable[[nn.Module, Any], None], steps: int, rounds: int) -> np.ndarray:
    """Clocks of a whole search, its last packing included."""
    schedule = at(range(0, steps + 1, steps // 100))
    begin = clocks()
    find_ticket(lenet, train, folder=folder, rounds=rounds, rate=RATE, schedule=schedule)
    return clocks() - begin


def alone(file: Path, train: Callable[[nn.Module, Any], None]) -> np.ndarray:
    """Clocks of the training of a round without the search, from its start, under its masks and seed."""
    with open_run(file) as run:
        start, masks, last = tensors_of(run, 0), run.masks(0), run.state(int(run.steps[-1]), masked=False)
        seed = run.meta["metadata"]["ticket"]["data_seed"]
    model = lenet()
    load(model, start, source=str(file))
    apply_masks(model, masks)
    with seeded(seed):
        begin = clocks()
        train(model, Nobody())
        spent = clocks() - begin
    assert np.array_equal(
        last["0.bias"], dict(model.named_parameters())["0.bias"].detach().numpy()
    )  # the same training
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    train, count = training(args.steps), args.rounds + 1
    for _ in range(args.repeats):
        folder = Path(tempfile.mkdtemp(prefix="wdyn-bench-"))
        whole = searched(folder, train, args.steps, args.rounds)
        plain = sum(alone(file, train) for file in sorted(folder.glob("round-*.h5")))
        shutil.rmtree(folder)
        for name, a, b in zip(("wall", "processor"), whole / count, plain / count, strict=True):
            print(f"{name:9} a round within the search {a:.2f} s, alone {b:.2f} s: {a - b:+.2f} s, {a / b - 1:+.1%}")
        print(flush=True)


if __name__ == "__main__":
    main()
