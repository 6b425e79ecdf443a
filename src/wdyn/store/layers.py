"""Where the neurons of a layer lie in a parameter, and how they become rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


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


def needed(layer: Layer) -> slice:
    """The part of the parameter's first axis that holds the layer."""
    return slice(layer.start, layer.start + layer.rows) if layer.axis == 0 else slice(None)


def rows_of(values: Array, layer: Layer) -> Array:
    """The neurons of a layer as rows.

    Args:
        values: (B, ...) the `needed` part of the parameter at B steps.
        layer: what it belongs to. Of a transposed convolution, `(B, in, out / groups, *kernel)`, a neuron is an output
            channel: group by group, with the inputs of its group.

    Returns:
        (B, N, D).
    """
    if layer.axis == 0:
        return values.reshape(len(values), layer.rows, layer.columns)
    count, inputs, outputs, *kernel = values.shape
    size = int(np.prod(kernel, dtype=np.int64))
    split = values.reshape(count, layer.groups, inputs // layer.groups, outputs, size)
    return split.transpose(0, 1, 3, 2, 4).reshape(count, layer.rows, layer.columns)


def put_rows(rows: Array, layer: Layer, parameter: Array) -> Array:
    """The way back from `rows_of`: a parameter with the neurons of one of its layers replaced.

    Args:
        rows: (N, D) the new neurons, in the order of `rows_of`.
        layer: what they belong to.
        parameter: the whole parameter at one step, as recorded; it stays as it is.

    Returns:
        A new array of the parameter's shape and type, which differs in the layer alone.
    """
    changed = parameter.copy()
    place = changed[needed(layer)]
    if layer.axis == 0:
        place[...] = rows.reshape(place.shape)
        return changed
    inputs, outputs, *kernel = parameter.shape
    split = rows.reshape(layer.groups, outputs, inputs // layer.groups, int(np.prod(kernel, dtype=np.int64)))
    place[...] = split.transpose(0, 2, 1, 3).reshape(place.shape)
    return changed
