"""Make small runs for tests, with every number chosen by the test.

```python
arrays = {step: {"fc1.weight": w, "fc1.bias": b} for step in (0, 1, 5)}
path = make_run(tmp_path / "a.h5", arrays)  # a.h5, packed; layers are guessed from the names
path = write_journal(tmp_path / "b.h5", arrays)  # b.h5.parts, what a killed process leaves
with wdyn.open_run(path) as run: ...
```
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from isal.isal_zlib import crc32

from wdyn.journal.append import SegmentWriter, segment_path
from wdyn.journal.frame import Kind, encode_arrays
from wdyn.journal.lock import acquire
from wdyn.journal.schema import Schema, TensorSpec
from wdyn.places import parts_folder
from wdyn.store.run import Layer

Steps = Mapping[int, Mapping[str, np.ndarray]]
EPOCH = 1.7e9  # wall time of step 0; step n is n seconds later


def layer(name: str, shape: Sequence[int], **fields: Any) -> Layer:
    """A layer of `<name>.weight` with that shape, one neuron per row; any field of Layer can be given instead."""
    kind = "Linear" if len(shape) == 2 else f"Conv{len(shape) - 2}d"
    defaults = {
        "name": name, "parameter": f"{name}.weight", "rows": shape[0], "columns": int(np.prod(shape[1:])),
        "axis": 0, "start": 0, "groups": 1, "kind": kind, "bias": None,
    }  # fmt: skip
    return Layer(**{**defaults, **fields})


def guess_layers(arrays: Mapping[str, np.ndarray]) -> list[Layer]:
    """One layer for each `<name>.weight` with two axes or more, with its bias where there is one."""
    names = [name.removesuffix(".weight") for name, a in arrays.items() if name.endswith(".weight") and a.ndim > 1]
    bias = {name: f"{name}.bias" if f"{name}.bias" in arrays else None for name in names}
    return [layer(name, arrays[f"{name}.weight"].shape, bias=bias[name]) for name in names]


def write_journal(
    path: Path,
    arrays_by_step: Steps,
    *,
    layers: Sequence[Layer] | None = None,
    buffers: Iterable[str] = (),
    bfloat16: Iterable[str] = (),
    metrics: Mapping[str, Mapping[int, float]] | None = None,
    masks: Mapping[int, Mapping[str, np.ndarray]] | None = None,
    sample: tuple[np.ndarray, np.ndarray] | None = None,
    program: Mapping[str, Any] | bytes | None = None,
    tied: Mapping[str, str] | None = None,
    left_out: Sequence[tuple[str, str]] = (),
    metadata: Mapping[str, Any] | None = None,
    notes: Sequence[tuple[int, Mapping[str, Any]]] = (),
    meta: Mapping[str, Any] | None = None,
    steps_per_segment: int = 1_000_000,
    live: bool = False,
) -> Path:
    """Write the journal of a run as a Recorder would.

    Args:
        path: the run file that the journal belongs to, `a.h5`; the folder `a.h5.parts` is made.
        arrays_by_step: step to (name to array), the same names, shapes and types at every step, in order of writing.
            May be empty when `layers` is given: then there is a schema and no step.
        layers: defaults to `guess_layers`.
        buffers: which of the names are buffers.
        bfloat16: which of the float32 arrays to write as bfloat16 (they keep their upper 16 bits).
        metrics: name to (step to value).
        masks: step to the whole set of masks (name to bool array) that holds from then on.
        sample: inputs and targets.
        program: as an object or as its text, written after the first step.
        tied: alias to recorded name.
        left_out: (parameter, reason).
        metadata: the user's own facts.
        notes: (step, NOTE object).
        meta: overrides of any meta key.
        steps_per_segment: start a new segment after so many steps.
        live: leave a lock of this very process, as if it were still recording.

    Returns:
        `path`, which does not exist, only its `.parts` folder does.
    """
    first: Mapping[str, np.ndarray] = next(iter(arrays_by_step.values()), {})
    wide, buffers = set(bfloat16), set(buffers)
    specs = tuple(
        TensorSpec(n, "buffer" if n in buffers else "weight", "bfloat16" if n in wide else a.dtype.name, a.shape)
        for n, a in first.items()
    )
    facts = {
        "format": 1, "wdyn": "0.1.0", "run_id": "0" * 32, "created": "2026-01-02T03:04:05Z", "model": "Net",
        "torch": "2.6.0", "python": "3.11.0", "optimizer": "SGD", "schedule": "every(1)",
        "layers": [each._asdict() for each in (guess_layers(first) if layers is None else layers)],
        "left_out": [list(each) for each in left_out], "tied": dict(tied or {}), "metadata": dict(metadata or {}),
        **(meta or {}),
    }  # fmt: skip
    folder = parts_folder(path)
    folder.mkdir(parents=True)
    if live:
        acquire(folder)
    writer = _Writer(folder, Schema(specs, facts), steps_per_segment)
    if sample is not None:
        writer.add(Kind.SAMPLE, encode_arrays({"inputs": sample[0], "targets": sample[1]}), 0)
    pending = dict(masks or {})
    for step, arrays in arrays_by_step.items():
        for at in [at for at in pending if at <= step]:
            packed = {name: np.packbits(mask.ravel(), bitorder="little") for name, mask in pending.pop(at).items()}
            writer.add(Kind.MASKS, encode_arrays(packed), at)
        writer.add(Kind.STEP, b"".join(_raw(arrays[s.name], s.dtype) for s in specs), step)
        if program is not None:
            writer.add(Kind.PROGRAM, program if isinstance(program, bytes) else json.dumps(program).encode(), step)
            program = None
        if logged := {name: values[step] for name, values in (metrics or {}).items() if step in values}:
            writer.add(Kind.METRICS, json.dumps(logged).encode(), step)
    for step, note in notes:
        writer.add(Kind.NOTE, json.dumps(note).encode(), step)
    writer.close()
    return path


def make_run(path: Path, arrays_by_step: Steps, **options: Any) -> Path:
    """Write a journal and pack it; same arguments as `write_journal`. Returns `path`, the finished run file."""
    from wdyn.store.pack import pack

    pack(write_journal(path, arrays_by_step, **options))
    return path


def _raw(array: np.ndarray, dtype: str) -> bytes:
    if dtype == "bfloat16":  # the upper half of a float32
        return (array.astype("<f4").view("<u4") >> np.uint32(16)).astype("<u2").tobytes()
    return np.ascontiguousarray(array).tobytes()


class _Writer:
    """Segments in a row, each opened by the schema."""

    def __init__(self, folder: Path, schema: Schema, steps_per_segment: int) -> None:
        self._folder, self._text, self._limit = folder, schema.to_json(), steps_per_segment
        self._number, self._steps = -1, 0
        self._rotate()

    def _rotate(self) -> None:
        if self._number >= 0:
            self._segment.close()
        self._number, self._steps = self._number + 1, 0
        self._segment = SegmentWriter(segment_path(self._folder, self._number), crc32(self._text))
        self._segment.append(Kind.SCHEMA, self._text, step=0, time=EPOCH)

    def add(self, kind: Kind, payload: bytes, step: int) -> None:
        if kind is Kind.STEP and self._steps == self._limit:
            self._rotate()
        self._steps += kind is Kind.STEP
        self._segment.append(kind, payload, step=step, time=EPOCH + step)

    def close(self) -> None:
        self._segment.close()
