"""Running statistics of normalisation layers as some data give them, in place of those that training left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wdyn.replay.interpret import Operation, Program, Values, compute

_NORMS = ("aten.batch_norm.default", "aten._native_batch_norm_legit_no_training.default")
_MEAN, _VARIANCE = 3, 4  # where their arguments are


def normalised(program: Program) -> tuple[Operation, ...]:
    """The operations of a program that normalise by recorded statistics."""
    return tuple(
        each
        for each in program.operations
        if each.kind in _NORMS and all(_node(each, at) in program.tensors for at in (_MEAN, _VARIANCE))
    )


def fresh_statistics(program: Program, values: Mapping[str, Any]) -> dict[str, Tensor]:
    """Run a program once, each normalisation layer with the statistics of what reaches it.

    Args:
        program: in eval mode.
        values: inputs, tensors and constants by node, for all examples that count.

    Returns:
        Recorded name of each running mean and variance to its value: what a module's own forward pass in train mode
        leaves in it with `momentum=None`. A layer that is used several times has the mean of its uses.
    """
    found: dict[str, list[Tensor]] = {}
    norms = {each.name for each in normalised(program)}
    operations = [
        replace(each, run=partial(_renewed, each, program.tensors, found)) if each.name in norms else each
        for each in program.operations
    ]
    compute(operations, values, keep=())
    return {name: torch.stack(each).mean(0) for name, each in found.items()}


def _renewed(operation: Operation, tensors: Mapping[str, str], found: dict[str, list[Tensor]], values: Values) -> Any:
    given = values[operation.positional[0]["node"]]
    axes = [axis for axis in range(given.ndim) if axis != 1]
    variance, mean = torch.var_mean(given, axes, correction=0)
    count = given.numel() // given.shape[1]
    mean_node, variance_node = (_node(operation, at) for at in (_MEAN, _VARIANCE))
    found.setdefault(tensors[mean_node], []).append(mean)
    found.setdefault(tensors[variance_node], []).append(variance * (count / max(count - 1, 1)))  # as torch keeps it
    return operation.run({**values, mean_node: mean, variance_node: variance})


def _node(operation: Operation, at: int) -> str:
    argument = operation.positional[at] if len(operation.positional) > at else None
    node: str = argument["node"] if isinstance(argument, dict) and "node" in argument else ""
    return node


def normalising(module: nn.Module) -> list[_BatchNorm]:
    """The modules in it that normalise by running statistics."""
    return [each for each in module.modules() if isinstance(each, _BatchNorm) and each.track_running_stats]


@contextmanager
def renewing(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Let forward passes average their own statistics into these modules, which are in eval mode before and after."""
    momenta = [each.momentum for each in norms]
    try:
        for each in norms:
            each.reset_running_stats()
            each.momentum = None
            each.train()
        yield
    finally:
        for each, momentum in zip(norms, momenta, strict=True):
            each.momentum = momentum
            each.eval()
