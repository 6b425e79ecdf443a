"""Read a journal's frames back, frame by frame, with NumPy alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wdyn.journal.frame import Kind, decode_arrays
from wdyn.journal.scan import read_schema, scan, segments
from wdyn.journal.schema import Schema
from wdyn.places import parts_folder


@dataclass
class Frames:
    schema: Schema
    kinds: list[Kind] = field(default_factory=list)
    order: list[int] = field(default_factory=list)  # steps in the order they were written
    steps: dict[int, dict[str, bytes]] = field(default_factory=dict)
    masks: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    metrics: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    notes: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    optimizers: list[str] = field(default_factory=list)  # seen at work, each once
    sample: dict[str, np.ndarray] | None = None
    program: dict[str, Any] | None = None
    no_program: list[str] = field(default_factory=list)  # why


def read(run_file: Path) -> Frames:
    paths = segments(parts_folder(run_file))
    schema = read_schema(scan(paths[0]))
    assert schema is not None
    found = Frames(schema)
    for frame in (frame for path in paths for frame in scan(path)):
        header, payload = frame.header, frame.read()
        found.kinds.append(header.kind)
        match header.kind:
            case Kind.STEP:
                found.order.append(header.step)
                found.steps[header.step] = split(payload, schema)
            case Kind.MASKS:
                found.masks[header.step] = dict(decode_arrays(payload))
            case Kind.METRICS:
                found.metrics.append((header.step, json.loads(payload)))
            case Kind.NOTE:
                note = json.loads(payload)
                if note["what"] == "optimizer":
                    found.optimizers.append(note["reason"])
                elif note["what"] == "no program":
                    found.no_program.append(note["reason"])
                else:
                    found.notes.append((header.step, note))
            case Kind.SAMPLE:
                found.sample = dict(decode_arrays(payload))
            case Kind.PROGRAM:
                assert found.program is None
                found.program = json.loads(payload)
    return found


def split(payload: bytes, schema: Schema) -> dict[str, bytes]:
    tensors, at = {}, 0
    for spec in schema.tensors:
        tensors[spec.name] = payload[at : at + spec.nbytes]
        at += spec.nbytes
    assert at == len(payload)
    return tensors
