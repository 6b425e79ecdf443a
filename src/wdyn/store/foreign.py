"""The strict check that a file follows FORMAT.md, made before any value is read from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wdyn.errors import RunFileError
from wdyn.journal.frame import MOST_PROGRAM
from wdyn.journal.schema import TensorSpec
from wdyn.store.answer import OddError, Place
from wdyn.store.layout import (
    BITS,
    BLOCK_BYTES,
    CRC32,
    FORMAT,
    GROUPS,
    INDEX,
    INPUTS,
    MASKS,
    META,
    METRICS,
    OLDEST,
    PROGRAM,
    SELF,
    SINCE,
    STEP,
    STEPS,
    TARGETS,
    TIME,
    VALUE,
    escape,
    unescape,
)
from wdyn.store.opening import stranger
from wdyn.store.plain_json import read_json
from wdyn.store.sources import stored_dtype

_PLAIN = {STEPS: "<i8", TIME: "<f8", META: "|u1", INDEX: "|u1", CRC32: "<u4", SELF: "<u4"}
_MEMBERS = {
    (MASKS, BITS): ("|u1", 2),
    (MASKS, SINCE): ("<i8", 1),
    (METRICS, STEP): ("<i8", 1),
    (METRICS, VALUE): ("<f8", 1),
}


def check_places(places: Mapping[str, Place], size: int) -> None:
    """See that all values lie within the file, each in bytes of its own.

    Args:
        places: all datasets.
        size: bytes of the file.

    Raises:
        OddError: they do not.
    """
    for name, place in places.items():
        raw = math.prod(place.shape if place.chunks is None else place.chunks) * place.dtype.itemsize
        if place.chunks is None and place.sizes[0] != raw:
            raise OddError(name, "was never written")
        if place.chunks is not None and raw > BLOCK_BYTES:
            raise OddError(name, f"has chunks of more than {BLOCK_BYTES:,} bytes")
        # deflate makes what it cannot compress hardly longer
        if place.chunks is not None and (place.sizes > raw + raw // 8 + 1024).any():
            raise OddError(name, "has a chunk that is longer than its values")
        if (place.sizes > size).any() or (place.offsets[place.sizes > 0] > size - place.sizes[place.sizes > 0]).any():
            raise OddError(name, "lies outside of the file")
    nothing = np.empty(0, "<u8")
    starts = np.concatenate([nothing, *(place.offsets[place.sizes > 0] for place in places.values())])
    ends = starts + np.concatenate([nothing, *(place.sizes[place.sizes > 0] for place in places.values())])
    order = np.argsort(starts)
    for at in np.flatnonzero(ends[order[:-1]] > starts[order[1:]])[:1].tolist():
        raise OddError(_at(places, int(starts[order[at + 1]])), "lies where other values lie")


def _at(places: Mapping[str, Place], offset: int) -> str:
    return next(name for name, place in places.items() if offset in place.offsets)


def read_meta(text: bytes, path: Path) -> dict[str, Any]:
    """The facts of a run, of a format that this wdyn reads; all else about them is left to `check_facts`."""
    try:
        meta = read_json(text)
        version = meta["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise stranger(path) from error
    if not isinstance(meta, dict) or type(version) is not int or version < 1:
        raise stranger(path)
    if version > FORMAT:
        reads = f"{OLDEST} to {FORMAT}" if OLDEST < FORMAT else f"{FORMAT}"
        raise RunFileError(
            f"{path}: file format {version}, but this wdyn reads {reads}. Upgrade with: pip install -U wdyn"
        )
    return meta


def check_plain(places: Mapping[str, Place]) -> None:
    """See that all datasets are there that every run has, each a row of its type.

    Raises:
        OddError: one is not.
    """
    for name, dtype in _PLAIN.items():
        if name not in places:
            raise OddError(name, "is missing")
        place = places[name]
        if place.dtype != np.dtype(dtype) or len(place.shape) != 1 or place.chunks is not None:
            raise OddError(name, f"is not a plain row of {np.dtype(dtype).name}")


def check_members(tensors: Mapping[str, TensorSpec], places: Mapping[str, Place]) -> None:
    """See that every dataset has its place, and every tensor its dataset.

    Raises:
        OddError: one has not.
    """
    count = places[STEPS].shape[0]
    expected = {
        f"{GROUPS[spec.role]}/{escape(name)}": ((count, *spec.shape), stored_dtype(spec))
        for name, spec in tensors.items()
    }
    for full, place in places.items():
        if full.partition("/")[0] in GROUPS.values():
            good = expected.pop(full, None) == (place.shape, place.dtype)
        else:
            good = full in _PLAIN or _is_member(full, place, places, tensors)
        if not good:
            raise OddError(full, "has a name, shape or type")
    for name in expected:
        raise OddError(name, "is missing")


def _is_member(full: str, place: Place, places: Mapping[str, Place], tensors: Mapping[str, TensorSpec]) -> bool:
    if place.chunks is not None:
        return False
    if full == PROGRAM:  # what it says is looked at when it is asked for
        return (place.dtype, len(place.shape)) == (np.dtype("u1"), 1) and place.shape[0] <= MOST_PROGRAM
    if full in (INPUTS, TARGETS):
        lengths = [places[each].shape[:1] for each in (INPUTS, TARGETS) if each in places]
        return len(lengths) == 2 and lengths[0] == lengths[1]
    group, _, rest = full.partition("/")
    link, _, member = rest.partition("/")
    try:
        name = unescape(link)
    except ValueError:
        return False
    if _MEMBERS.get((group, member)) != (place.dtype.str, len(place.shape)):
        return False
    others = [places.get(f"{group}/{link}/{each}") for kind, each in _MEMBERS if kind == group]
    if any(each is None or each.shape[:1] != place.shape[:1] for each in others):
        return False
    return group != MASKS or (name in tensors and _holds(places[f"{MASKS}/{link}/{BITS}"], tensors[name]))


def _holds(bits: Place, tensor: TensorSpec) -> bool:
    return bits.shape[1:] == (-(-math.prod(tensor.shape) // 8),)
