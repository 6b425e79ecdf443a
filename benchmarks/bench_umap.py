"""How long do neuron paths take, next to umap-learn called directly on the same points?

    python benchmarks/bench_umap.py [--rounds 3] [--run RUN]

Without a run, LeNet-300-100's three layers take a random walk of 30 steps. umap-learn gets the same directions, all
steps of a layer together, with as many neighbours (10 and the point itself), the cosine, 200 epochs, principal
components to start from and a seed; that is the least a user would do, in one line. Ours is the whole analysis: it
reads the file, lays out every layer twice (the second time with each neuron's steps in random order, as a control) and
rates each step.

All run in turn in each round, so that other load on the machine meets all of them. The table gives medians over the
rounds, after a first one that compiles; `cached` is the analysis again, with its layouts in the cache.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import wdyn
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._paths import Paths, gather
from wdyn.analyses.umap import compute, layout
from wdyn.store.run import Run

LENET = {"fc1": (784, 300), "fc2": (300, 100), "out": (100, 10)}


def recorded_walk(path: Path) -> Path:
    torch.manual_seed(0)
    model = torch.nn.ModuleDict({name: torch.nn.Linear(*shape) for name, shape in LENET.items()})
    with wdyn.Recorder(model, path) as rec, torch.no_grad():
        for _ in range(29):
            for weight in model.parameters():
                weight += 0.2 * weight.std() * torch.randn_like(weight)
            rec.step()
    return path


def directly(layers: list[Paths]) -> None:
    from umap import UMAP

    for paths in layers:
        points = paths.points[paths.place[paths.place >= 0]]
        UMAP(n_neighbors=11, metric="cosine", n_epochs=200, init="pca", random_state=0, n_jobs=1).fit_transform(points)


def ours(run: Run, cache: Path) -> None:
    os.environ["WDYN_CACHE"] = str(cache)
    compute(run)


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", type=Path, help="a recorded run instead of the random walk")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with wdyn.open_run(args.run or recorded_walk(folder / "walk.h5")) as run:
            measure(run, folder, args.rounds)


def measure(run: Run, folder: Path, rounds: int) -> None:
    shown = run.select(steps=run.steps[shown_steps(run.steps, 30)])
    layers = [gather(shown, layer) for layer in run.layers]
    contestants: dict[str, Callable[[], object]] = {
        "umap-learn directly": lambda: directly(layers),
        "layout alone, aligned": lambda: [layout(paths, seed=0) for paths in layers],
        "layout alone, joint": lambda: [layout(paths, seed=0, mode="joint") for paths in layers],
        "analysis": lambda: ours(run, Path(os.devnull)),
        "analysis, cached": lambda: ours(run, folder / "cache"),
    }
    compiling = [seconds(work) for work in contestants.values()]
    times = [[seconds(work) for work in contestants.values()] for _ in range(rounds)]
    medians, ratios = np.median(times, axis=0), np.median([np.array(row) / row[0] for row in times], axis=0)
    print(f"{'':24}{'first, s':>10}{'median, s':>10}{'of direct':>10}")
    for name, first, median, ratio in zip(contestants, compiling, medians, ratios, strict=True):
        print(f"{name:24}{first:10.2f}{median:10.2f}{ratio:10.2f}")


if __name__ == "__main__":
    main()
