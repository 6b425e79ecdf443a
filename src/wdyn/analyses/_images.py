"""Which layers look at an image, and how the inputs of their neurons lie in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._chain_of_layers import RESHAPES
from wdyn.analyses._charts import Array

if TYPE_CHECKING:
    from wdyn.store.run import Layer, Run

FEWEST_PIXELS = 4  # of a kernel; smaller ones have no neighbourhoods to speak of
GUESSED_SIDE = 8  # of a square that nobody told us of: smaller numbers of inputs are square too often by accident
MOST_CHANNELS_LAST = 4
KEEPS_ORDER = (
    RESHAPES
    | {  # the numbers as they come, or each shifted and scaled
        f"aten.{name}" for name in ("add", "alias", "batch_norm", "clone", "contiguous", "detach", "div", "dropout")
    }
    | {"aten._to_copy", "aten.mul", "aten.sub", "aten.to"}
)
TAKEN = ", taken to be the model's input, since the run does not hold its forward pass"


class Field(NamedTuple):
    """How the inputs of a neuron lie.

    Attributes:
        channels: C, number of images side by side, such as colours.
        height: H, rows of pixels.
        width: W, columns of pixels.
        told: where we know that from, as the end of a sentence.
        last: whether the channels of a pixel stand together.
    """

    channels: int
    height: int
    width: int
    told: str
    last: bool = False

    def images(self, rows: Array) -> Array:
        """(..., D) weight rows as (..., C, H, W)."""
        before = rows.shape[:-1]
        if self.last:
            return np.moveaxis(rows.reshape(*before, self.height, self.width, self.channels), -1, -3)
        return rows.reshape(*before, self.channels, self.height, self.width)


def image_layers(run: Run) -> dict[str, Field]:
    """The layers whose neurons look at an image: two-dimensional convolutions, and fully connected layers on the input.

    Args:
        run: the run.

    Returns:
        Name of each to how its inputs lie, in the order of the run. Convolutions of one pixel and transposed ones are
        left out. Which fully connected layers look at the input is read from the recorded forward pass; where there is
        none, or it does not name the layer, the model's first layer is taken to.
    """
    found = {name: _field(run, layer) for name, layer in run.layers.items()}
    return {name: field for name, field in found.items() if field is not None}


def _field(run: Run, layer: Layer) -> Field | None:
    shape = run.parameters[layer.parameter].shape
    if len(shape) == 4 and layer.axis == 0:
        pixels = shape[2] * shape[3]
        return Field(*shape[1:], "those of the kernel") if pixels >= FEWEST_PIXELS else None
    if layer.kind != "Linear":
        return None
    proven = reads_input(run.program, layer.name)
    if proven is False or (proven is None and layer.name != run.meta["layers"][0]["name"]):
        return None
    field = _of_sample(run, layer.columns) or _of_program(run, layer.columns) or _guessed(layer.columns)
    return field if field is None or proven else field._replace(told=field.told + TAKEN)


def reads_input(program: Any, layer: str) -> bool | None:
    """Whether a fully connected layer weighs the numbers of the model's first input in their own order.

    Args:
        program: the recorded forward pass, see `replay`; None where there is none.
        layer: path of the module.

    Returns:
        None where the program does not say: it is missing, or holds no such layer.
    """
    if program is None:
        return None
    try:
        nodes = {name: (kind.rpartition(".")[0], given[0], path) for name, kind, given, _, path in program["nodes"]}
        weighed = [given for kind, given, path in nodes.values() if path == layer and kind == "aten.linear"]
        return (
            all(_source(nodes, each["node"]) == program["inputs"][0]["node"] for each in weighed) if weighed else None
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # anybody may have written the file
        return None


def _source(nodes: Mapping[str, tuple[str, Any, str]], name: str) -> str:
    """The node, on the way back, from which on the order of the numbers stays what it is."""
    left = dict(nodes)  # each is passed once, whatever a strange program says
    while name in left and left[name][0] in KEEPS_ORDER:
        name = left.pop(name)[1]["node"]
    return name


def _of_sample(run: Run, inputs: int) -> Field | None:
    return (
        None if run.sample is None else _shaped(run.sample.inputs.shape[1:], inputs, "as the recorded sample has them")
    )


def _of_program(run: Run, inputs: int) -> Field | None:
    given = [] if run.program is None else run.program["inputs"]
    sizes = given[0]["shape"][1:] if given else []
    return None if None in sizes else _shaped(sizes, inputs, "as the model's input has them")


def _shaped(sizes: tuple[int, ...] | list[int], inputs: int, told: str) -> Field | None:
    """A picture, or one with channels first or last, of as many numbers as there are inputs."""
    if len(sizes) not in (2, 3) or math.prod(sizes) != inputs or min(sizes[-2:]) < 1:
        return None
    if len(sizes) == 3 and sizes[2] <= MOST_CHANNELS_LAST < sizes[0]:
        return Field(sizes[2], sizes[0], sizes[1], told, last=True)
    channels, height, width = (1, *sizes)[-3:]
    return Field(channels, height, width, told) if min(height, width) > 1 else None


def _guessed(inputs: int) -> Field | None:
    """A square, or three of them, as flattened images have it."""
    for channels in (1, 3):
        side = math.isqrt(inputs // channels)
        if side >= GUESSED_SIDE and channels * side * side == inputs:
            squares = "a square" if channels == 1 else "three squares, as of colours"
            return Field(
                channels, side, side, f"a guess: the run does not say how its inputs lie, and {inputs} make {squares}"
            )
    return None
