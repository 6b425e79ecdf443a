"""What a Run reads from: a packed file or a journal, behind one protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from wdyn.journal.schema import TensorSpec
from wdyn.store.layout import chunk_shape
from wdyn.store.programs import StoredProgram

Array = np.ndarray[Any, np.dtype[Any]]
Condition = Literal["finished", "recording", "interrupted"]


class Metric(NamedTuple):
    """A logged scalar: steps (K,) int64 and values (K,) float64, by step; read-only."""

    steps: Array
    values: Array


class Sample(NamedTuple):
    """The data the user gave as `sample=`; first axis of both is the example; read-only."""

    inputs: Array
    targets: Array


class MaskTrack(NamedTuple):
    """The pruning masks of one parameter through time.

    Attributes:
        since: (M,) int64, increasing; mask i holds from this step until the next one begins.
        bits: (M, ceil(n / 8)) uint8, the n values of a mask, first value in the lowest bit.
    """

    since: Array
    bits: Array

    def at(self, step: int) -> int:
        """Which mask holds at a step; -1 before the first."""
        return int(np.searchsorted(self.since, step, side="right")) - 1

    def mask(self, index: int, shape: tuple[int, ...]) -> Array:
        """Mask number `index` as a new bool array; all True for -1."""
        count = int(np.prod(shape, dtype=np.int64))
        if index < 0:
            return np.ones(shape, np.bool_)
        return np.unpackbits(self.bits[index], count=count, bitorder="little").view(np.bool_).reshape(shape)


class Source(Protocol):
    """Where the numbers of a run are."""

    @property
    def path(self) -> Path:
        """The run file, whether or not it exists yet."""

    @property
    def steps(self) -> Array:
        """(S,) int64, increasing."""

    @property
    def times(self) -> Array:
        """(S,) float64, seconds since 1970."""

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """Weights and buffers by name."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Logged scalars by name."""

    @property
    def masks(self) -> Mapping[str, MaskTrack]:
        """Pruning masks by parameter."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """The facts of the run, with `notes`."""

    @property
    def condition(self) -> Condition:
        """Whether the run is finished."""

    @property
    def checksum(self) -> str:
        """8 hex digits that stand for all of the run."""

    @property
    def sample(self) -> Sample | None:
        """The sample, read when asked for."""

    @property
    def program(self) -> StoredProgram:
        """The forward pass, read when asked for."""

    def read(self, name: str, positions: Array, rows: slice = slice(None)) -> Array:
        """Values of a tensor at some steps.

        Args:
            name: of a tensor.
            positions: (B,) increasing positions in `steps`.
            rows: part of the tensor's first axis, without a stride.

        Returns:
            `(B, rows, ...)`, new and writable, type as in `stored_dtype`.

        Raises:
            DamagedError: bytes that do not match their checksum.
        """

    def check_masks(self, position: int) -> None:
        """Raise where the masks that held at a step are lost.

        Raises:
            DamagedError: they are not known.
        """

    def close(self) -> None:
        """Give up the files; further calls do nothing."""


def stored_dtype(spec: TensorSpec) -> np.dtype[Any]:
    """Type of a tensor's values in a run: the training type, little-endian; bfloat16 is widened to float32."""
    return np.dtype("float32" if spec.dtype == "bfloat16" else spec.dtype).newbyteorder("<")


def steps_per_block(spec: TensorSpec, count: int) -> int:
    """Steps of a tensor that are stored, and best read, together."""
    chunks = chunk_shape((count, *spec.shape), stored_dtype(spec).itemsize)
    return chunks[0] if chunks else max(count, 1)


def read_only(array: Array) -> Array:
    """The same array, which can no longer be written to."""
    array.setflags(write=False)
    return array
