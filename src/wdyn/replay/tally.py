"""Sums of loss and score over examples, for M variants of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from wdyn.replay.score import Judged, Metric, Objective
from wdyn.scores import Array, Examples, Scores


class Tally:
    """Adds up what is judged, a few variants and a few examples at a time.

    Attributes:
        loss: (B,) float64 of each example, of the last variant only: for the intact network.
    """

    def __init__(self, objective: Objective, variants: int, intact_loss: Tensor | None) -> None:
        """Begin.

        Args:
            objective: what examples are held against.
            variants: M.
            intact_loss: (B,) float64, loss of the intact network on each example; None while that is found out.
        """
        self._objective, self._intact = objective, intact_loss
        self._loss, self._difference, self._square, self._right = torch.zeros(4, variants, dtype=torch.float64)
        self._by_class = torch.zeros(variants, objective.classes, dtype=torch.float64)
        self.loss = torch.zeros(len(objective.targets), dtype=torch.float64)

    def add(self, output: Tensor, which: slice, examples: slice) -> None:
        """Judge the outputs of some variants on some examples, (V, B, ...)."""
        judged: Judged = self._objective.judge(output, examples)
        loss = judged.loss.double()
        self._loss[which] += loss.sum(1)
        self.loss[examples] = loss[-1]
        if self._intact is not None:
            change = loss - self._intact[examples]
            self._difference[which] += change.sum(1)
            self._square[which] += change.square().sum(1)
        if judged.right is not None and judged.right_by_class is not None:
            self._right[which] += judged.right.double().sum(1)
            self._by_class[which] += judged.right_by_class

    def scores(self) -> Scores:
        """The means; NaN for a score that targets which are no classes do not have."""
        count = len(self._objective.targets)
        spread = (self._square - self._difference.square() / count).clamp(min=0) / max(count - 1, 1)
        right = self._right / count if self._objective.has_classes else torch.full_like(self._right, torch.nan)
        return Scores(
            _array(self._loss / count), _array(right), _array(self._by_class / self._objective.counts),
            _array((spread / count).sqrt()),
        )  # fmt: skip


class WithMetric:
    """A tally whose score is the user's own metric of all outputs of a variant."""

    def __init__(self, tally: Tally, metric: Metric, variants: int) -> None:
        """Wrap a tally."""
        self._tally, self._metric = tally, metric
        self._outputs: list[list[Tensor]] = [[] for _ in range(variants)]
        self._scores = np.full(variants, np.nan)

    def add(self, output: Tensor, which: slice, examples: slice) -> None:
        """See `Tally.add`; every variant must get its examples in order."""
        self._tally.add(output, which, examples)
        targets = self._tally._objective.targets
        for variant, part in zip(range(which.start, which.stop), output, strict=True):
            self._outputs[variant].append(part.clone())
            if examples.stop >= len(targets):
                whole = torch.cat(self._outputs[variant])
                self._outputs[variant] = []
                self._scores[variant] = float(self._metric(whole.numpy(), targets.numpy()))

    def scores(self) -> Scores:
        """See `Tally.scores`."""
        return self._tally.scores()._replace(score=self._scores)


def examples_of(judged: Sequence[Judged]) -> Examples:
    """The first variant of some batches, example by example."""
    right = [each.right[0] for each in judged if each.right is not None]
    loss = torch.cat([each.loss[0] for each in judged])
    return Examples(_array(loss.double()), _array(torch.cat(right).double()) if right else None)


def _array(values: Tensor) -> Array:
    return values.numpy()
