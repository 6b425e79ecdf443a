"""Tickets for tests: a dense run and the round after it, recorded, and copies of such a run with a lie in it.

```python
dense, ticket = make_ticket(tmp_path, model=convolutional)
lie = copy_with(ticket, tmp_path / "lie.h5", arrays=lambda step, name, values: ...)
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import wdyn
from tests.make_run import make_run
from wdyn import Recorder
from wdyn.tickets.choose import highest, highest_of_all, scores, unit_scores
from wdyn.tickets.ladder import kept
from wdyn.tickets.masks import apply_masks, prunable

STEPS = 6
RATE = 0.3


def dense_net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 3))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.ConvTranspose2d(4, 5, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(5 * 16, 3),
    )  # fmt: skip


def momentum(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01)


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.01)


def train(
    model: nn.Module, path: Path, optimizer: Callable[[Any], torch.optim.Optimizer], ticket: Any, seed: int
) -> None:
    torch.manual_seed(seed)
    shape = (8, 1, 4, 4) if isinstance(model[0], nn.Conv2d) else (8, 6)
    with Recorder(model, path, program=False, metadata={"ticket": ticket}) as rec:
        steps = optimizer(model.parameters())
        for _ in range(STEPS):
            steps.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(shape)), torch.randint(3, (8,))).backward()
            steps.step()
        rec.log(val_loss=0.0)


def make_ticket(
    folder: Path, *, model: Callable[[], nn.Module] = dense_net, optimizer: Any = momentum, rounds: int = 1,
    rewind_to: int = 0, **how: Any,
) -> list[Path]:  # fmt: skip
    """`round-00.h5` and so on, by hand: not a line of the code that searches."""
    torch.manual_seed(1)
    net = model()
    facts = {
        "seed": 1, "rates": {"*": RATE}, "criterion": "magnitude", "scope": "layer", "structured": None,
        "one_shot": False, "rewind_to": rewind_to, **how,
    }  # fmt: skip
    names = [n for n in prunable(net) if not (facts["structured"] and n == list(prunable(net))[-1])]
    total = {name: prunable(net)[name].numel() for name in names}
    files = [folder / "round-00.h5"]
    dense = {
        "kind": "dense",
        "round": 0,
        "data_seed": 0,
        "start": None,
        "mask_from": None,
        "total": total,
        "kept": total,
    }
    train(net, files[0], optimizer, facts | dense, seed=0)
    alive = {name: np.ones(tuple(prunable(net)[name].shape), bool) for name in names}
    for number in range(1, rounds + 1):
        alive = next_mask(files[-1], alive, facts, number)
        net = model()
        place(files[0], rewind_to, net)
        apply_masks(net, alive)
        with wdyn.open_run(files[0]) as run, wdyn.open_run(files[-1]) as parent:
            ticket = facts | {
                "kind": "ticket", "round": number, "data_seed": number, "total": total,
                "kept": {name: int(mask.sum()) for name, mask in alive.items()},
                "start": {"file": run.path.name, "step": rewind_to, "run_id": run.meta["run_id"]},
                "mask_from": {"file": parent.path.name, "step": STEPS, "run_id": parent.meta["run_id"]},
            }  # fmt: skip
        files.append(folder / f"round-{number:02}.h5")
        train(net, files[-1], optimizer, ticket, seed=number)
    return files


def place(file: Path, step: int, net: nn.Module) -> None:
    with wdyn.open_run(file) as run, torch.no_grad():
        for name, values in run.state(step, masked=False).items():
            module, key = net.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
            getattr(module, key).copy_(torch.from_numpy(values))


def next_mask(file: Path, alive: dict[str, np.ndarray], facts: Mapping[str, Any], number: int) -> dict[str, np.ndarray]:
    with wdyn.open_run(file) as run:
        last, first = (run.state(step, list(alive), masked=False) for step in (STEPS, 0))
        axes = {each.parameter: each.axis for each in run.layers.values()}
    rng = np.random.default_rng(0)
    if norm := facts["structured"]:
        found = {}
        for name, each in last.items():
            axis = axes[name]
            score = unit_scores(facts["criterion"], each, first[name], norm=norm, axis=axis, rng=rng)
            left = np.moveaxis(alive[name], axis, 0).reshape(each.shape[axis], -1).all(1)
            stay = highest(score, left, kept(len(left), RATE, number))
            found[name] = alive[name] & np.expand_dims(stay, [a for a in range(each.ndim) if a != axis])
        return found
    values = {name: scores(facts["criterion"], last[name], first[name], rng=rng) for name in alive}
    if facts["scope"] == "global":
        return highest_of_all(values, alive, kept(sum(each.size for each in alive.values()), RATE, number))
    return {name: highest(values[name], alive[name], kept(alive[name].size, RATE, number)) for name in alive}


def copy_with(
    file: Path, path: Path, *, arrays: Any = None, masks: Any = None, layers: Any = None,
    ticket: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """The same run with other numbers.

    Args:
        file: of the honest run.
        path: of the copy.
        arrays: (step, name, values) -> values.
        masks: step to name to mask, in place of the recorded ones; an empty dict for a run without masks.
        layers: in place of the recorded ones.
        ticket: entries that its metadata have instead.
    """
    with wdyn.open_run(file) as run:
        change = arrays or (lambda step, name, values: values)
        values = {
            step: {name: change(step, name, array) for name, array in run.state(step, masked=False).items()}
            for step in run.steps.tolist()
        }
        metadata = dict(run.meta["metadata"])
        metadata["ticket"] = {**metadata["ticket"], **(ticket or {})}
        own = {0: run.masks(0)} if masks is None else masks
        buffers = [name for name, spec in run.parameters.items() if spec.role == "buffer"]
        own_layers = list(run.layers.values()) if layers is None else layers
        return make_run(path, values, masks=own, buffers=buffers, layers=own_layers, metadata=metadata)
