"""What small frames of a journal say at single steps → metrics and masks over the whole run."""

from __future__ import annotations

import json
import math

import numpy as np

from wdyn.journal.frame import decode_arrays
from wdyn.journal.scan import Frame
from wdyn.journal.schema import TensorSpec
from wdyn.store.sources import Array, MaskTrack, Metric, read_only

Payload = tuple[Frame, bytes]


def metrics_of(payloads: list[Payload]) -> dict[str, Metric]:
    """One series per logged scalar, by name; what was logged last at a step holds."""
    values: dict[str, dict[int, float]] = {}
    for frame, payload in payloads:
        for name, value in json.loads(payload).items():
            values.setdefault(name, {})[frame.header.step] = value
    series = {name: sorted(by_step.items()) for name, by_step in sorted(values.items())}
    return {
        name: Metric(
            read_only(np.array([step for step, _ in pairs], dtype=np.int64)),
            read_only(np.array([value for _, value in pairs], dtype=np.float64)),
        )
        for name, pairs in series.items()
    }


def mask_tracks(payloads: list[Payload], tensors: dict[str, TensorSpec]) -> dict[str, MaskTrack]:
    """One track per parameter that was ever masked, with an entry only where its mask changed."""
    sets = {frame.header.step: decode_arrays(payload) for frame, payload in payloads}  # the last set of a step wins
    names = sorted({name for each in sets.values() for name in each if name in tensors})
    return {name: _mask_track(name, sets, tensors[name].shape) for name in names}


def _mask_track(name: str, sets: dict[int, dict[str, Array]], shape: tuple[int, ...]) -> MaskTrack:
    everything = np.packbits(np.ones(math.prod(shape), np.bool_), bitorder="little")
    since, bits, last = [], [], everything
    for step, masks in sorted(sets.items()):
        current = masks.get(name, everything)  # a parameter that is no longer masked keeps all its values
        if not np.array_equal(current, last):
            since.append(step)
            bits.append(current)
        last = current
    stacked = np.array(bits, dtype=np.uint8).reshape(len(bits), len(everything))
    return MaskTrack(np.array(since, dtype=np.int64), stacked)
