"""How a command lets the network of a run run again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wdyn.analyses._evaluate import Evaluator
    from wdyn.store.run import Run


def evaluate_with(data: Path | None = None, model: str | None = None) -> Callable[[Run], Evaluator]:
    """A function from a run to its evaluator; nothing is loaded before it is called, here or in another process."""
    return partial(_evaluator, data=data, model=model)


def _evaluator(run: Run, *, data: Path | None, model: str | None) -> Evaluator:
    from wdyn.replay.request import requested_evaluator

    return requested_evaluator(run, data_file=data, model=model)
