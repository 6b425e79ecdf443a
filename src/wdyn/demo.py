"""The whole product on data that ships with scikit-learn: train, record, analyse, write the page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from wdyn.places import REPORTS, RUNS
from wdyn.record.recorder import Recorder
from wdyn.report.build import build_comparison, build_report
from wdyn.report.sections import Evaluate
from wdyn.tickets.search import find_ticket

EPOCHS, BATCH, VALIDATION = 20, 60, 360
TICKET_EPOCHS, TICKET_ROUNDS = 8, 3


class LeNet300100(nn.Module):
    """The fully connected network of LeCun et al. (1998): two hidden layers of 300 and 100 ReLU units."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (B, classes) of images (B, ...) of `inputs` pixels."""
        out: torch.Tensor = self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x.flatten(1))))))
        return out


class Demo(NamedTuple):
    """What the demo leaves.

    Attributes:
        run: the recorded run, below `checkpoints/`.
        page: its page, `reports/demo.html`.
        tickets: two winning tickets, one for each of two data sets, with all rounds beside them.
        comparison: the page that compares them, `reports/demo-tickets.html`.
    """

    run: Path
    page: Path
    tickets: tuple[Path, ...]
    comparison: Path


class Data(NamedTuple):
    """Images (n, 1, 8, 8) and classes (n,), to train on and to validate by."""

    x: torch.Tensor
    y: torch.Tensor
    x_val: torch.Tensor
    y_val: torch.Tensor


def run_demo(
    *, quick: bool = False, evaluate: Evaluate | None = None, progress: Callable[[str, float], None] | None = None
) -> Demo:
    """Train LeNet-300-100 on scikit-learn's digits with every step recorded, find two tickets, and write two pages.

    Args:
        quick: at most 40 steps on the first page, PCA in place of UMAP.
        evaluate: as for `build_report`.
        progress: told the stage and its fraction.

    Returns:
        Where everything is.
    """
    tell = progress or (lambda stage, fraction: None)
    name = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    run_file = RUNS / f"{name}.h5"
    _record(run_file, tell)
    page = build_report(
        run_file,
        kind="html",
        quick=quick,
        evaluate=evaluate,
        out=REPORTS / "demo.html",
        command="wdyn demo",
        progress=progress,
    )
    tickets = tuple(
        _ticket(RUNS / f"{name}-tickets" / title, title, turned, tell)
        for title, turned in (("upright", False), ("turned", True))
    )
    comparison = build_comparison(
        tickets,
        kind="html",
        only=["tickets"],
        evaluate=evaluate,
        out=REPORTS / "demo-tickets.html",
        command="wdyn demo",
        progress=progress,
    )
    return Demo(run_file, page, tickets, comparison)


def _record(run_file: Path, tell: Callable[[str, float], None]) -> None:
    torch.manual_seed(0)
    data, model = _digits(), LeNet300100(64, 10)
    with Recorder(
        model, run_file, sample=(data.x_val, data.y_val), metadata={"dataset": "scikit-learn digits", "seed": 0}
    ) as rec:
        _fit(model, rec, data, epochs=EPOCHS, tell=tell)


def _ticket(folder: Path, title: str, turned: bool, tell: Callable[[str, float], None]) -> Path:
    """The last round of a small search; both searches begin with the same weights."""
    data = _digits(turned=turned)
    search = find_ticket(
        lambda: LeNet300100(64, 10),
        lambda model, rec: _fit(model, rec, data, epochs=TICKET_EPOCHS, tell=lambda stage, fraction: None),
        folder=folder,
        rounds=TICKET_ROUNDS,
        rate={"fc3": 0.2, "*": 0.4},
        metadata={"dataset": f"{title} digits"},
        progress=lambda stage, fraction: tell(f"ticket of {title} digits", fraction),
    )
    return search.rounds[-1].file


def _digits(*, turned: bool = False) -> Data:
    """The small digits, or the same turned by a quarter."""
    pixels, labels = load_digits(return_X_y=True)
    images = pixels.reshape(-1, 1, 8, 8)
    if turned:
        images = np.rot90(images, axes=(2, 3)).copy()
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    return Data(x[VALIDATION:], y[VALIDATION:], x[:VALIDATION], y[:VALIDATION])


def _fit(model: nn.Module, rec: Recorder, data: Data, *, epochs: int, tell: Callable[[str, float], None]) -> None:
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    for epoch in range(epochs):
        for batch in torch.split(torch.randperm(len(data.x)), BATCH):
            loss = loss_of(model(data.x[batch]), data.y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rec.log(loss=loss.item())
        with torch.no_grad():
            scores = model(data.x_val)
        right = (scores.argmax(1) == data.y_val).float().mean()
        rec.log(val_loss=loss_of(scores, data.y_val).item(), val_accuracy=right.item())
        tell("training", (epoch + 1) / epochs)
