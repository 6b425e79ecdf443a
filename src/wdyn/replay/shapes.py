"""The shapes of all values of a program for one batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from wdyn.replay.interpret import Operation, Program, Values, compute

Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(program: Program, values: Values) -> Shapes:
    """Run a program once.

    Args:
        program: to run.
        values: inputs, tensors and constants by node.

    Returns:
        Name of a node to its shape, for all that are tensors.
    """
    shapes = {name: tuple(value.shape) for name, value in values.items() if isinstance(value, Tensor)}

    def noted(each: Operation) -> Operation:
        def run(at: Values) -> Any:
            value = each.run(at)
            if isinstance(value, Tensor):
                shapes[each.name] = tuple(value.shape)
            return value

        return replace(each, run=run)

    with torch.no_grad():
        compute([noted(each) for each in program.operations], values, keep=())
    return shapes
