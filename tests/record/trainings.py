"""The ways in which people train, each as a function that is given a `Lab` to begin its recording and show its loss."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import distributed, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.record.networks import Branching, Calls, Endless, Net, OnlyTrains, Uncopyable, Wild
from wdyn.record.schedule import every

TWO_PROCESSES = "two processes"
Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


class Lab(Protocol):
    """What a training is given."""

    rank: int
    folder: Path
    loss: torch.Tensor
    scaler: Any
    calls: Calls | None

    def begin(self, model: nn.Module, **options: Any) -> Any:
        """The Recorder, or what stands in its place."""


def batches(*, workers: int = 0, size: int = 4) -> Batches:
    data = TensorDataset(torch.randn(32, 4), torch.randn(32, 2))
    yield from DataLoader(data, batch_size=size, shuffle=True, num_workers=workers)


def error(model: Callable[..., torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A loss in which all three generators have a part."""
    return (model(x + random.random() + np.random.rand()) - y).square().sum()  # noqa: NPY002


def loop(lab: Lab, model: Any, optimizer: torch.optim.Optimizer, data: Batches, *, dtype: Any = None) -> None:
    """The plain one."""
    for x, y in data:
        with torch.autocast("cpu", dtype, enabled=dtype is not None):
            lab.loss = error(model, x, y)
        optimizer.zero_grad()
        lab.loss.backward()
        optimizer.step()


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.01)


def plain(lab: Lab, kind: type[Net] = Net, *, workers: int = 0, dtype: Any = None, **options: Any) -> None:
    model = kind()
    model.drop.eval()  # a mode of its own
    lab.begin(model, **options)
    loop(lab, model, adam(model), batches(workers=workers), dtype=dtype)


def noisy(lab: Lab) -> None:
    """Dropout and BatchNorm at work, a schedule for the learning rate, weights without a gradient."""
    model = Net()
    model.fc.bias.requires_grad_(False)
    rec = lab.begin(model)
    optimizer = adam(model)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    for x, y in batches():
        loop(lab, model, optimizer, iter([(x, y)]))
        schedule.step()
        rec.log(loss=lab.loss)


def compiled(lab: Lab, *, before: bool) -> None:
    plain_ = Net()
    whole = torch.compile(plain_, backend="aot_eager")
    lab.begin(whole if before else plain_)
    loop(lab, whole, adam(plain_), batches())


def accumulated(lab: Lab) -> None:
    model = Net()
    lab.begin(model)
    optimizer = adam(model)
    for k, (x, y) in enumerate(batches(size=2)):
        lab.loss = error(model, x, y) / 4
        lab.loss.backward()
        if k % 4 == 3:
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)


def two_optimizers(lab: Lab, *, named: bool) -> None:
    model = Net()
    head = torch.optim.SGD(model.fc.parameters(), lr=0.01, momentum=0.9)
    body = torch.optim.Adam([*model.conv.parameters(), *model.norm.parameters()])
    lab.begin(model, **({"optimizer": head} if named else {}))
    for x, y in batches():
        lab.loss = error(model, x, y)
        for optimizer in (head, body):
            optimizer.zero_grad()
        lab.loss.backward()
        body.step()
        head.step()


def scaled(lab: Lab) -> None:
    model = Net()
    lab.begin(model)
    optimizer, lab.scaler = adam(model), torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    for k, (x, y) in enumerate(batches()):
        with torch.autocast("cpu", torch.bfloat16):
            lab.loss = error(model, x, y)
        optimizer.zero_grad()
        lab.scaler.scale(lab.loss * (float("inf") if k == 4 else 1.0)).backward()
        lab.scaler.step(optimizer)
        lab.scaler.update()


def by_hand(lab: Lab) -> None:
    model = Net()
    rec = lab.begin(model)
    for x, y in batches():
        lab.loss = error(model, x, y)
        model.zero_grad()
        lab.loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.01 * parameter.grad
        rec.step()


def closures(lab: Lab) -> None:
    model = Net()
    lab.begin(model)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    for x, y in batches():

        def closure(x: torch.Tensor = x, y: torch.Tensor = y) -> torch.Tensor:
            optimizer.zero_grad()
            lab.loss = error(model, x, y)
            lab.loss.backward()
            return lab.loss

        optimizer.step(closure)


def hooked(lab: Lab) -> None:
    model = Net()
    lab.calls = Calls(model)
    lab.begin(model)
    loop(lab, model, adam(model), batches())


def parallel(lab: Lab) -> None:
    """One of two processes."""
    distributed.init_process_group("gloo", init_method=f"file://{lab.folder}/meet", rank=lab.rank, world_size=2)
    model = nn.parallel.DistributedDataParallel(Net())
    lab.begin(model)
    optimizer = adam(model)
    for x, y in batches():
        loop(lab, model, optimizer, iter([(x + lab.rank, y)]))
    sys.stdout.flush()
    distributed.barrier()
    distributed.destroy_process_group()


TRAININGS: dict[str, Callable[[Any], None]] = {
    "plain": plain,
    "dropout and BatchNorm": noisy,
    "2 workers": partial(plain, workers=2),
    "autocast": partial(plain, dtype=torch.bfloat16),
    "accumulated gradients": accumulated,
    "two optimizers": partial(two_optimizers, named=False),
    "one of two optimizers": partial(two_optimizers, named=True),
    "loss scale": scaled,
    "by hand": by_hand,
    "LBFGS": closures,
    "hooks of the user": hooked,
    "sample": partial(plain, sample=(torch.zeros(3, 4), torch.zeros(3))),
    "skipping": partial(plain, when_behind="skip", program=False),
    "every third": partial(plain, schedule=every(3), program=False),
    "no program": partial(plain, program=False),
    "branching": partial(plain, kind=Branching),
    "uncopyable": partial(plain, kind=Uncopyable),
    "no eval mode": partial(plain, kind=OnlyTrains),
    "wild": partial(plain, kind=Wild),
    "endless": partial(plain, kind=Endless),
    "compiled before": partial(compiled, before=True),
    "compiled later": partial(compiled, before=False),
    TWO_PROCESSES: parallel,
}
