"""Outputs and targets → loss and score of each example, for many variants of a network at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wdyn.errors import MisuseError

MOST_CLASSES = 256  # with more of them no score per class is given
IGNORED = -100  # target of a position that does not count, as in torch
Metric = Callable[[Any, Any], float]


class Judged(NamedTuple):
    """What V variants give on B examples.

    Attributes:
        loss: (V, B) float32, mean over the example's positions where each has as many, else such that the mean over all
            examples is that over all positions.
        right: (V, B) float32, share of the positions that are right, likewise; None where targets are no classes.
        right_by_class: (V, C) float64, sums over the positions of each class; None likewise.
    """

    loss: Tensor
    right: Tensor | None
    right_by_class: Tensor | None


class Objective:
    """How outputs are held against targets: classes by cross-entropy, numbers by squared error.

    Attributes:
        classes: C, or 0 where targets are no classes or more than 256.
        counts: (C,) float64, positions of each class.
        has_classes: whether targets are classes.
    """

    def __init__(self, targets: Tensor, output: Tensor) -> None:
        """Tell from an output which kind of targets these are.

        Args:
            targets: (B, ...) of all examples.
            output: (b, ...) of some of them.

        Raises:
            MisuseError: the shapes fit no rule.
        """
        self._targets = targets
        whole = not targets.is_floating_point()
        self._one_logit = whole and output.numel() // len(output) == targets[:1].numel()
        self.has_classes = whole and (self._one_logit or output.ndim == targets.ndim + 1)
        if self._one_logit and not bool(((targets == 0) | (targets == 1) | (targets == IGNORED)).all()):
            self._one_logit = self.has_classes = False  # counts, not two classes
        self._class_axis = self._axis(output) if self.has_classes and not self._one_logit else -1
        if not self.has_classes and output[:1].numel() != targets[:1].numel():
            raise MisuseError(
                f"outputs of shape {_each(output)} and targets of shape {_each(targets)} for each example do not fit "
                "together. Whole numbers are taken for classes, and other targets must be as many as the outputs."
            )
        count = 2 if self._one_logit else output.shape[self._class_axis] if self.has_classes else 0
        self._check_range(count)
        self.classes = count if count <= MOST_CLASSES else 0
        self._positions = float((targets != IGNORED).sum()) / len(targets) if self.has_classes else 1.0  # of an example
        self.counts = self._by_class(torch.ones(1, targets.numel()), slice(None))[0]

    def judge(self, output: Tensor, examples: slice) -> Judged:
        """Hold the outputs of V variants on some examples, (V, B, ...), against their targets."""
        targets = self._targets[examples]
        variants, count = output.shape[:2]
        if not self.has_classes:
            error = output.float().reshape(variants, count, -1) - targets.float().reshape(1, count, -1)
            return Judged(error.square().mean(-1), None, None)
        logits = self._logits(output.float())  # (V, B, P, C)
        wanted = targets.reshape(1, count, -1)
        counted = wanted != IGNORED
        index = wanted.clamp(min=0).expand(variants, -1, -1)
        loss = logits.logsumexp(-1) - logits.gather(-1, index[..., None])[..., 0]
        right = (logits.argmax(-1) == wanted).float()
        if logits.shape[2] == 1 and bool(counted.all()):
            return Judged(loss[..., 0], right[..., 0], self._by_class(right.flatten(1), examples))
        # each position counts alike, so the mean over examples is that over all positions that are not ignored
        share = (loss * counted).sum(-1) / self._positions, (right * counted).sum(-1) / self._positions
        return Judged(*share, self._by_class(right.flatten(1), examples))

    def by_position(self, shape: tuple[int, ...]) -> bool:
        """Whether each position of a value of this shape, its last axis apart, has a target of its own."""
        return self.has_classes and shape[:-1] == tuple(self._targets.shape) and len(shape) > 2

    @property
    def one_class_each(self) -> bool:
        """Whether each example has one class, and each class an output."""
        return self.has_classes and not self._one_logit and self._targets.ndim == 1 and bool((self._targets >= 0).all())

    @property
    def targets(self) -> Tensor:
        """(B, ...) of all examples."""
        return self._targets

    def _logits(self, output: Tensor) -> Tensor:
        variants, count = output.shape[:2]
        if self._one_logit:
            flat = output.reshape(variants, count, -1, 1)
            return torch.cat([torch.zeros_like(flat), flat], -1)
        return output.movedim(self._class_axis, -1).reshape(variants, count, -1, output.shape[self._class_axis])

    def _axis(self, output: Tensor) -> int:
        """Which axis counts classes: the last, or the second as torch's own loss has it; counted from the end."""
        rest = tuple(self._targets.shape[1:])
        if output.ndim > 2 and tuple(output.shape[1:-1]) == rest == tuple(output.shape[2:]):
            raise MisuseError(
                f"outputs of shape {_each(output)} for each example count classes on their first or their last axis. "
                "Give a sample with another number of positions, or your own metric."
            )
        if tuple(output.shape[1:-1]) == rest:
            return -1
        if tuple(output.shape[2:]) == rest:
            return 1 - output.ndim
        raise MisuseError(f"outputs of shape {_each(output)} and targets of shape {_each(self._targets)} do not fit.")

    def _check_range(self, count: int) -> None:
        if self.has_classes:
            known = self._targets[self._targets != IGNORED]
            if known.numel() and not 0 <= int(known.min()) <= int(known.max()) < count:
                raise MisuseError(
                    f"targets go from {int(known.min())} to {int(known.max())}, but there are {count} outputs."
                )

    def _by_class(self, values: Tensor, examples: slice) -> Tensor:
        """(V, positions) summed over the positions of each class, (V, C) float64."""
        targets = self._targets[examples].reshape(-1)
        if not self.classes:
            return torch.zeros(len(values), 0, dtype=torch.float64)
        one_hot = torch.zeros(len(targets), self.classes)
        counted = targets != IGNORED
        one_hot[counted] = torch.nn.functional.one_hot(targets[counted].long(), self.classes).float()
        return (values.float() @ one_hot).double()  # sums of ones and zeros are exact


def chosen_output(output: Any) -> Tensor:
    """The tensor that is scored: the output itself, its entry `logits`, or its first tensor.

    Raises:
        MisuseError: there is none.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping) and isinstance(output.get("logits"), Tensor):
        found: Tensor = output["logits"]
        return found
    for each in output.values() if isinstance(output, Mapping) else output if isinstance(output, list) else ():
        if isinstance(each, Tensor):
            return each
    raise MisuseError("the model returns no tensor that could be scored. Give your own metric.")


def _each(values: Tensor) -> tuple[int, ...]:
    return tuple(values.shape[1:])
