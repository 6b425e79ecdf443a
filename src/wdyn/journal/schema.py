"""What every step frame of a run holds: names, shapes and types, agreed once at the start."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["weight", "buffer"]

# bytes per value of each type a run may hold; bfloat16 has no NumPy type and is widened when read
ITEM_SIZES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1,
}  # fmt: skip


@dataclass(frozen=True)
class TensorSpec:
    """One tensor that every step frame holds.

    Attributes:
        name: the parameter's or buffer's name, wrapper prefixes and torch's `_orig` suffix stripped.
        role: `weight` or `buffer`.
        dtype: type while training, a key of `ITEM_SIZES`.
        shape: shape of the tensor.
    """

    name: str
    role: Role
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that one step of this tensor takes in a frame."""
        return math.prod(self.shape) * ITEM_SIZES[self.dtype]


@dataclass(frozen=True)
class Schema:
    """The tensors of a step frame in order, and what is known of the run at its start.

    Attributes:
        tensors: in the order of their bytes in a frame, without gaps.
        meta: JSON-able facts of the run; the keys are listed in store/FORMAT.md.
    """

    tensors: tuple[TensorSpec, ...]
    meta: dict[str, Any]

    @property
    def nbytes(self) -> int:
        """Bytes of one step frame's payload."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def to_json(self) -> bytes:
        """UTF-8 JSON with sorted keys, so equal schemas are equal bytes."""
        tensors = [[t.name, t.role, t.dtype, list(t.shape)] for t in self.tensors]
        return json.dumps({"tensors": tensors, "meta": self.meta}, sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Schema:
        """The schema that `to_json` wrote."""
        data = json.loads(text)
        tensors = tuple(TensorSpec(n, role, dtype, tuple(shape)) for n, role, dtype, shape in data["tensors"])
        return cls(tensors, data["meta"])
