"""How long does it take to score a network without each of its units, next to what people use today?

    python benchmarks/bench_ablation.py [--rounds 5] [--threads 1] [--resnet]

LeNet-300-100: all 300 units of fc1 on 2,000 images, next to a loop that clamps one unit in a forward hook, and to
Captum's LayerFeatureAblation of each image's loss, where it is installed (`pip install captum`). With `--resnet`, all
channels of a ResNet-20 of 16, 32 and 64 channels on 1,000 images, next to the loop: both do 4 channels of each layer,
and their times are scaled to all of them.

All run in turn in each round, in one process, after a first round that warms up. The numbers are compared as well.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wdyn.record.layers import find_layers
from wdyn.record.program import export_program
from wdyn.record.snapshot import Snapshot
from wdyn.replay.evaluator import evaluator
from wdyn.store.layers import Layer


class Block(nn.Module):  # noqa: D101
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, outputs // inputs, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2, self.relu1 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs), nn.ReLU()
        self.down = nn.Conv2d(inputs, outputs, 1, outputs // inputs) if outputs > inputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return F.relu(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))) + self.down(x))


def resnet_20() -> nn.Module:
    widths = [16] + [width for width in (16, 32, 64) for _ in range(3)]
    blocks = [Block(a, b) for a, b in pairwise(widths)]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def lenet() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))


def as_run(model: nn.Module, inputs: Tensor, targets: Tensor) -> Any:
    """What an evaluator asks of a run, without a file."""
    snapshot = Snapshot(model, ("*",), ())
    state = {name: place.tensor().detach().numpy() for name, place in snapshot.inventory.places.items()}
    return SimpleNamespace(
        path="in memory", steps=np.array([0]), parameters={spec.name: spec for spec in snapshot.tensors},
        layers={row["name"]: Layer(**row) for row in find_layers(snapshot)[0]},
        sample=(inputs.numpy(), targets.numpy()), state=lambda step, names: {name: state[name] for name in names},
        program=export_program(model, (inputs[:4],), {}, snapshot.inventory),
    )  # fmt: skip


def hook_loop(model: nn.Module, after: nn.Module, units: range, inputs: Tensor, targets: Tensor) -> np.ndarray:
    losses, unit = [], 0
    handle = after.register_forward_hook(lambda module, given, output: output.index_fill(1, torch.tensor([unit]), 0))
    with torch.no_grad():
        for unit in units:  # noqa: B007, the hook reads it
            losses.append(float(F.cross_entropy(model(inputs), targets)))
    handle.remove()
    return np.array(losses)


def captum(model: nn.Module, after: nn.Module, inputs: Tensor, targets: Tensor) -> np.ndarray | None:
    try:
        from captum.attr import LayerFeatureAblation
    except ImportError:
        return None

    def losses(given: Tensor) -> Tensor:
        return F.cross_entropy(model(given), targets, reduction="none")

    with torch.no_grad():
        intact = losses(inputs).mean()
        change = LayerFeatureAblation(losses, after).attribute(inputs)
    return (intact - change.mean(0)).numpy()


def compare(name: str, contestants: dict[str, Callable[[], np.ndarray | None]], rounds: int) -> None:
    """Print medians over the rounds and the ratio to the first, round by round."""
    values = {label: work() for label, work in contestants.items()}
    present = {label: work for label, work in contestants.items() if values[label] is not None}
    times = np.array([[seconds(work) for work in present.values()] for _ in range(rounds)])
    first = next(iter(values.values()))
    print(f"\n{name}\n{'':28}{'median, s':>10}{'of wdyn':>10}{'largest difference':>20}")
    for column, label in enumerate(present):
        ratio, other = np.median(times[:, column] / times[:, 0]), values[label]
        assert first is not None
        assert other is not None
        shared = min(len(first), len(other))
        apart = np.abs(first[:shared] - other[:shared]).max()
        print(f"{label:28}{np.median(times[:, column]):10.3f}{ratio:10.2f}{apart:20.1e}")
    for label in contestants.keys() - present.keys():
        print(f"{label:28}  not installed")


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def on_lenet(rounds: int) -> None:
    model, inputs, targets = lenet().eval(), torch.randn(2000, 784), torch.randint(10, (2000,))
    network, units = evaluator(as_run(model, inputs, targets)).at(0), np.eye(300, dtype=bool)
    compare(
        "LeNet-300-100, 300 units of fc1, 2,000 images",
        {
            "wdyn": lambda: network.scores({"0": units}).loss,
            "forward hook, one by one": lambda: hook_loop(model, model[1], range(300), inputs, targets),
            "Captum LayerFeatureAblation": lambda: captum(model, model[1], inputs, targets),
        },
        rounds,
    )


def on_resnet(rounds: int, some: int = 4) -> None:
    model, inputs, targets = resnet_20().eval(), torch.randn(1000, 3, 32, 32), torch.randint(10, (1000,))
    replayed = evaluator(as_run(model, inputs, targets))
    network, modules = replayed.at(0), dict(model.named_modules())
    behind = {"0": "2"} | {f"{block}.conv1": f"{block}.relu1" for block in range(3, 12)}
    behind |= {f"{block}.conv2": f"{block}.bn2" for block in range(3, 12)}
    ours, theirs = 0.0, 0.0
    network.scores({})
    for place, after in behind.items():
        count = replayed.places[place].units
        gone = np.eye(count, dtype=bool)[:some]
        times = np.array(
            [
                [
                    seconds(lambda gone=gone, place=place: network.scores({place: gone})),
                    seconds(lambda after=after: hook_loop(model, modules[after], range(some), inputs, targets)),
                ]
                for _ in range(rounds)
            ]
        )
        mine, loop = np.median(times, axis=0) * count / some
        ours, theirs = ours + mine, theirs + loop
        print(
            f"{place:12} {count:4} channels: wdyn {mine:8.1f} s, loop {loop:8.1f} s, {loop / mine:6.2f} times",
            flush=True,
        )
    print(f"ResNet-20, all of them on 1,000 images: wdyn {ours:.0f} s, loop {theirs:.0f} s, {theirs / ours:.2f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--resnet", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    on_lenet(args.rounds)
    if args.resnet:
        on_resnet(min(args.rounds, 1))


if __name__ == "__main__":
    main()
