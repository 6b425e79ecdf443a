"""The whole product on data that ships with scikit-learn: train, record, analyse, write the page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

from wdyn.places import REPORTS, RUNS
from wdyn.record.recorder import Recorder
from wdyn.report.build import build_report
from wdyn.report.sections import Evaluate

EPOCHS, BATCH, VALIDATION = 20, 60, 360


class LeNet300100(nn.Module):
    """The fully connected network of LeCun et al. (1998): two hidden layers of 300 and 100 ReLU units."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (B, classes) of flattened images (B, inputs)."""
        out: torch.Tensor = self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))
        return out


def run_demo(
    *, quick: bool = False, evaluate: Evaluate | None = None, progress: Callable[[str, float], None] | None = None
) -> tuple[Path, Path]:
    """Train LeNet-300-100 on scikit-learn's digits with every step recorded, and write the page.

    Args:
        quick: at most 40 steps, PCA in place of UMAP.
        evaluate: as for `build_report`.
        progress: told the stage and its fraction.

    Returns:
        Paths of the run file, below `checkpoints/`, and of the page, `reports/demo.html`.
    """
    tell = progress or (lambda stage, fraction: None)
    run_file = RUNS / f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}.h5"
    _train(run_file, tell)
    page = build_report(
        run_file,
        kind="html",
        quick=quick,
        evaluate=evaluate,
        out=REPORTS / "demo.html",
        command="wdyn demo",
        progress=progress,
    )
    return run_file, page


def _train(run_file: Path, tell: Callable[[str, float], None]) -> None:
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32) / 16
    y = torch.tensor(labels)
    x_val, y_val, x, y = x[:VALIDATION], y[:VALIDATION], x[VALIDATION:], y[VALIDATION:]
    model, loss_of = LeNet300100(64, 10), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    with Recorder(
        model, run_file, sample=(x_val, y_val), metadata={"dataset": "scikit-learn digits", "seed": 0}
    ) as rec:
        for epoch in range(EPOCHS):
            for batch in torch.split(torch.randperm(len(x)), BATCH):
                loss = loss_of(model(x[batch]), y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rec.log(loss=loss.item())
            with torch.no_grad():
                scores = model(x_val)
            rec.log(
                val_loss=loss_of(scores, y_val).item(), val_accuracy=(scores.argmax(1) == y_val).float().mean().item()
            )
            tell("training", (epoch + 1) / EPOCHS)
