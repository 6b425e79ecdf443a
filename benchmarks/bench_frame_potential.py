"""How fast is the frame potential, and the exact greedy order, next to the code one would write?

    python benchmarks/bench_frame_potential.py [--steps 1000] [--rounds 5]

The layers of LeNet-300-100 take a random walk in memory (1 GB for 1,000 steps). All contestants run in turn in each
round, on one thread each; the table gives medians over the rounds of processor seconds. Ours is the whole
analysis: besides the potential it gives the null, the un-normalised potential, mean |cosine|, each neuron's share and
the removal curves, where the others give the potential alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from wdyn.analyses._leave_one_out import greedy_order
from wdyn.analyses.frame_potential import compute, frame_potential

LENET = {"fc1": (300, 784), "fc2": (100, 300), "out": (10, 100)}
SIZES = (300, 240, 180, 120, 60, 20, 2)  # at which one recomputation is timed


class InMemory:
    """The part of a run that the analysis reads."""

    name, block = "walk", 32

    def __init__(self, weights: dict[str, np.ndarray], steps: np.ndarray) -> None:
        self.weights, self.steps = weights, steps
        self.layers = {
            name: SimpleNamespace(name=name, rows=w.shape[1], columns=w.shape[2], kind="Linear", bias=None)
            for name, w in weights.items()
        }
        self.meta = {"layers": [{"name": name} for name in weights]}

    def blocks(self, layer: str, *, bias: bool = False) -> Iterator[tuple[int, np.ndarray]]:
        """As `Run.blocks`."""
        for at in range(0, len(self.steps), self.block):
            yield at, self.weights[layer][at : at + self.block]

    def select(self, *, steps: list[int]) -> InMemory:
        """As `Run.select`."""
        return InMemory({name: w[steps] for name, w in self.weights.items()}, np.array(steps))


def walk(steps: int) -> InMemory:
    rng, weights = np.random.default_rng(0), {}
    for name, (rows, columns) in LENET.items():
        history = np.empty((steps, rows, columns), dtype=np.float32)
        history[0] = rng.uniform(-1, 1, size=(rows, columns)) / np.sqrt(columns)
        for i in range(1, steps):
            history[i] = history[i - 1] + 0.003 / np.sqrt(columns) * rng.standard_normal((rows, columns), np.float32)
        weights[name] = history
    return InMemory(weights, np.arange(steps))


def numpy_loop(run: InMemory, dtype: type) -> list[float]:
    found = []
    for history in run.weights.values():
        for vectors in history:
            unit = vectors.astype(dtype)
            unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
            gram = unit @ unit.T
            found.append(float((gram**2).sum()))
    return found


def torch_loop(run: InMemory) -> list[float]:
    found = []
    for history in run.weights.values():
        for vectors in torch.from_numpy(history):
            unit = torch.nn.functional.normalize(vectors)
            found.append(float((unit @ unit.T).square().sum()))
    return found


def products_alone(run: InMemory, dtype: type) -> None:
    """The matrix products and nothing else; a few steps again and again, since a float64 copy would take 2 GB."""
    for history in run.weights.values():
        ready = history[:32].astype(dtype)
        for i in range(len(history)):
            ready[i % len(ready)] @ ready[i % len(ready)].T


def greedy_by_recomputation(vectors: np.ndarray) -> float:
    """Seconds for the whole order if each candidate's potential is computed anew: one candidate is timed per size."""
    sizes = np.arange(1, len(vectors) + 1)
    one = [clock(lambda n=n: frame_potential(vectors[:n])) for n in SIZES]
    return float(np.sum(sizes * np.interp(sizes, SIZES[::-1], one[::-1])))


def clock(work: Callable[[], object]) -> float:
    """Processor seconds, which other load on the machine changes far less than the time on the wall."""
    start = time.process_time()
    work()
    return time.process_time() - start


def table(title: str, seconds: dict[str, list[float]]) -> None:
    ours = np.array(next(iter(seconds.values())))
    print(f"\n{title}\n{'':34} {'median CPU':>11} {'over ours':>10}   least and most in a round")
    for name, times in seconds.items():
        ratio = np.array(times) / ours
        median = f"{np.median(times):8.3f} s" if np.median(times) > 0.1 else f"{1e3 * np.median(times):7.2f} ms"
        print(f"{name:34} {median:>11} {np.median(ratio):10.2f}   {ratio.min():.2f} to {ratio.max():.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    torch.set_num_threads(1)
    with threadpool_limits(1):
        measure(args.steps, args.rounds)


def measure(steps: int, rounds: int) -> None:
    run, vectors = walk(steps), np.random.default_rng(1).standard_normal((300, 784))
    contestants: dict[str, Callable[[], object]] = {
        "wdyn, whole analysis": lambda: compute(run),
        "NumPy loop, float64": lambda: numpy_loop(run, np.float64),
        "NumPy loop, float32": lambda: numpy_loop(run, np.float32),
        "torch loop, float32": lambda: torch_loop(run),
        "matrix products alone, float64": lambda: products_alone(run, np.float64),
        "matrix products alone, float32": lambda: products_alone(run, np.float32),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    greedy: dict[str, list[float]] = {"wdyn, exact order": [], "recomputation, extrapolated": []}
    compute(run.select(steps=[0, 1]))  # so that no contestant pays for imports
    torch_loop(run.select(steps=[0, 1]))
    for _ in range(rounds):
        for name, work in contestants.items():
            seconds[name].append(clock(work))
        greedy["wdyn, exact order"].append(
            np.median([clock(lambda: greedy_order(vectors, largest=True)) for _ in range(5)])
        )
        greedy["recomputation, extrapolated"].append(greedy_by_recomputation(vectors))

    print(f"{rounds} rounds")
    table(f"Frame potential of LeNet-300-100, {steps} steps", seconds)
    far = np.abs(compute(run).potential.T.ravel() / numpy_loop(run, np.float64) - 1).max()
    print(f"largest relative difference of wdyn from the float64 loop: {far:.1e}")
    table("Greedy order of 300 neurons of 784 inputs, one candidate timed at each of 7 sizes", greedy)


if __name__ == "__main__":
    main()
