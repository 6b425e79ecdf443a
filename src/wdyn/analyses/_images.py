"""Which layers look at an image, and how the inputs of their neurons lie in it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array

if TYPE_CHECKING:
    from wdyn.store.run import Layer, Run

FEWEST_PIXELS = 4  # of a kernel; smaller ones have no neighbourhoods to speak of
GUESSED_SIDE = 8  # of a square that nobody told us of: smaller numbers of inputs are square too often by accident
MOST_CHANNELS_LAST = 4


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
    """The layers whose neurons look at an image: two-dimensional convolutions, and a fully connected first layer.

    Args:
        run: the run.

    Returns:
        Name of each to how its inputs lie, in the order of the run. Convolutions of one pixel and transposed ones are
        left out; of fully connected layers only the model's first one can look at the input.
    """
    found = {name: _field(run, layer) for name, layer in run.layers.items()}
    return {name: field for name, field in found.items() if field is not None}


def _field(run: Run, layer: Layer) -> Field | None:
    shape = run.parameters[layer.parameter].shape
    if len(shape) == 4 and layer.axis == 0:
        pixels = shape[2] * shape[3]
        return Field(*shape[1:], "those of the kernel") if pixels >= FEWEST_PIXELS else None
    if layer.kind != "Linear" or layer.name != run.meta["layers"][0]["name"]:
        return None
    return _of_sample(run, layer.columns) or _of_program(run, layer.columns) or _guessed(layer.columns)


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
