"""How fast are groups and spectrum of a step, next to SciPy's linkage and NumPy's svd called as one would?

    python benchmarks/bench_clusters.py [--steps 60] [--rounds 5]

The layers of LeNet-300-100 take a random walk in memory. All contestants run in turn in each round, on one thread
each; the table gives medians over the rounds of processor seconds per step. Ours are whole analyses: besides the groups
of both modes (opposite neurons apart, and together) `clusters` follows them through time (a random walk forms none, so
no time goes into their stability); besides the singular values
`spectrum` gives the leading directions, their angles to first and last step, and the null of each number.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from threadpoolctl import threadpool_limits

from wdyn.analyses import clusters, spectrum
from wdyn.analyses._grouping import groups_at
from wdyn.analyses._groups import cosines
from wdyn.analyses._neurons import directions
from wdyn.analyses._spectra import decompose

LENET = {"fc1": (300, 784), "fc2": (100, 300), "out": (10, 100)}


class InMemory:
    """The part of a run that the analyses read."""

    name, block = "walk", 32

    def __init__(self, weights: dict[str, np.ndarray], steps: np.ndarray) -> None:
        self.weights, self.steps = weights, steps
        self.layers = {name: SimpleNamespace(rows=w.shape[1], columns=w.shape[2]) for name, w in weights.items()}

    def neurons(self, layer: str, step: int) -> np.ndarray:
        """As `Run.neurons`."""
        return self.weights[layer][np.searchsorted(self.steps, step)]

    def blocks(self, layer: str, *, bias: bool = False) -> Iterator[tuple[int, np.ndarray]]:
        """As `Run.blocks`."""
        for at in range(0, len(self.steps), self.block):
            yield at, self.weights[layer][at : at + self.block]

    def select(self, *, steps: np.ndarray) -> InMemory:
        """As `Run.select`."""
        at = np.searchsorted(self.steps, steps)
        return InMemory({name: w[at] for name, w in self.weights.items()}, self.steps[at])


def walk(steps: int) -> InMemory:
    rng, weights = np.random.default_rng(0), {}
    for name, (rows, columns) in LENET.items():
        start = rng.uniform(-1, 1, size=(rows, columns)) / np.sqrt(columns)
        moves = 0.01 / np.sqrt(columns) * rng.standard_normal((steps - 1, rows, columns))
        weights[name] = np.cumsum(np.concatenate([start[None], moves]), axis=0).astype(np.float32)
    return InMemory(weights, np.arange(steps))


def every_step(run: InMemory, work: Callable[[np.ndarray], object]) -> None:
    for history in run.weights.values():
        for vectors in history:
            work(vectors)


def scipy_from_rows(vectors: np.ndarray) -> None:
    """One call per mode, each from the rows."""
    fcluster(linkage(vectors, "average", metric="cosine"), 0.5, "distance")
    apart = pdist(vectors, "cosine")
    fcluster(linkage(1 - np.abs(1 - apart), "average"), 0.5, "distance")


def our_groups(vectors: np.ndarray) -> None:
    unit, _, live = directions(vectors)
    cosine = cosines(unit)
    for mode in ("ray", "line"):
        groups_at(cosine, live, vectors.shape[1], mode)


def clock(work: Callable[[], object]) -> float:
    """Processor seconds, which other load on the machine changes far less than the time on the wall."""
    start = time.process_time()
    work()
    return time.process_time() - start


def table(title: str, seconds: dict[str, list[float]], steps: int) -> None:
    ours = np.array(next(iter(seconds.values())))
    print(f"\n{title}\n{'':42} {'CPU per step':>12} {'over ours':>10}   least and most in a round")
    for name, times in seconds.items():
        ratio = np.array(times) / ours
        each = f"{1e3 * np.median(times) / steps:9.2f} ms"
        print(f"{name:42} {each:>12} {np.median(ratio):10.2f}   {ratio.min():.2f} to {ratio.max():.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with threadpool_limits(1):
        measure(args.steps, args.rounds)


def measure(steps: int, rounds: int) -> None:
    run = walk(steps)
    contests: dict[str, dict[str, Callable[[], object]]] = {
        f"Groups in both modes, three layers of LeNet-300-100, {steps} steps": {
            "wdyn, groups of both modes": lambda: every_step(run, our_groups),
            "wdyn, whole analysis": lambda: clusters.compute(run),
            "wdyn, whole analysis with HDBSCAN": lambda: clusters.compute(run, method="hdbscan"),
            "SciPy: linkage(rows, 'cosine'), fcluster": lambda: every_step(run, scipy_from_rows),
        },
        f"Singular values, the same layers, {steps} steps": {
            "wdyn, singular values and directions": lambda: [
                decompose(history[i : i + 4]) for history in run.weights.values() for i in range(0, len(history), 4)
            ],
            "wdyn, whole analysis": lambda: spectrum.compute(run),
            "numpy.linalg.svd, values alone, float64": lambda: every_step(
                run, lambda vectors: np.linalg.svd(vectors.astype(np.float64), compute_uv=False)
            ),
            "numpy.linalg.svd, with vectors, float64": lambda: every_step(
                run, lambda vectors: np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
            ),
            "numpy.linalg.svd, values alone, float32": lambda: every_step(
                run, lambda vectors: np.linalg.svd(vectors, compute_uv=False)
            ),
        },
    }
    short = run.select(steps=run.steps[:2])
    for analysis in (clusters, spectrum):  # so that no contestant pays for imports
        analysis.compute(short)
    clusters.compute(short, method="hdbscan")
    seconds = {title: {name: [] for name in contest} for title, contest in contests.items()}
    for _ in range(rounds):
        for title, contest in contests.items():
            for name, work in contest.items():
                seconds[title][name].append(clock(work))
    print(f"{rounds} rounds")
    for title, times in seconds.items():
        table(title, times, steps)


if __name__ == "__main__":
    main()
