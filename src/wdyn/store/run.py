"""The one data object: a recorded run, read-only, whatever it is stored in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Metric(NamedTuple):
    """A logged scalar: steps (K,) int64 and values (K,) float64, by step."""

    steps: Array
    values: Array


class Sample(NamedTuple):
    """The data the user gave as `sample=`; first axis of both is the example."""

    inputs: Array
    targets: Array


class LeftOut(NamedTuple):
    """A recorded parameter that gives no neuron rows, and why."""

    name: str
    reason: str


class Layer(NamedTuple):
    """Where the neuron rows of a layer lie in a parameter.

    Attributes:
        name: the module's path (`fc1`), for packed matrices with the part (`lstm.weight_ih_l0:forget`).
        parameter: name of the recorded parameter.
        rows: N, number of neurons.
        columns: D, inputs of a neuron.
        axis: axis of the parameter that counts neurons: 0, or 1 for transposed convolutions.
        start: first row on that axis that belongs to the layer.
        groups: groups of a transposed convolution; 1 elsewhere.
        kind: class name of the module, `Linear`, `Conv2d`, ...
        bias: name of the recorded bias parameter whose entries `start` to `start + rows` belong to the rows, or None.
    """

    name: str
    parameter: str
    rows: int
    columns: int
    axis: int
    start: int
    groups: int
    kind: str
    bias: str | None
