"""What a run holds, in plain numbers and words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wdyn.errors import DamagedError
from wdyn.places import parts_folder
from wdyn.store.programs import NO_PROGRAM
from wdyn.store.sources import Array

if TYPE_CHECKING:
    from wdyn.store.run import Run


def describe(run: Run) -> dict[str, Any]:
    """Everything that can be said of a run without reading its weights.

    Args:
        run: an open run.

    Returns:
        JSON-able dict: file, condition, checksum, bytes, steps, parameters, layers, left_out, masks, metrics, sample,
        program, notes and the facts of the recording.
    """
    meta = run.meta
    raw = len(run.steps) * sum(spec.nbytes for spec in run.parameters.values())
    return {
        "file": run.path.name,
        "condition": run.condition,
        "checksum": run.checksum,
        "bytes": _bytes_on_disk(run.path),
        "raw_bytes": raw,
        **{
            key: meta[key] for key in ("run_id", "created", "model", "optimizer", "schedule", "wdyn", "torch", "python")
        },
        "steps": {"recorded": len(run.steps), "first": int(run.steps[0]), "last": int(run.steps[-1])},
        "parameters": [
            {"name": name, "role": spec.role, "shape": list(spec.shape), "dtype": spec.dtype}
            for name, spec in run.parameters.items()
        ],
        "layers": {name: [layer.rows, layer.columns] for name, layer in run.layers.items()},
        "left_out": [list(item) for item in run.left_out],
        "tied": meta["tied"],
        "kept_by_masks": {name: [int(mask.sum()), mask.size] for name, mask in _last_masks(run).items()},
        "metrics": {name: len(metric.steps) for name, metric in run.metrics.items()},
        "sample": None if run.sample is None else [list(part.shape) for part in run.sample],
        "program": _program(run),
        "no_program": run.no_program,
        "notes": list(run.notes),
        "metadata": meta["metadata"],
    }


def as_text(facts: dict[str, Any]) -> str:
    """The facts of `describe` for a person."""
    return "\n".join(f"{label:9} {printable(text)}" for label, text in rows(facts))


def rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of `describe` in words, each behind what it is of."""
    steps = facts["steps"]
    return [
        ("run", f"{facts['file']}  {facts['condition']}, checksum {facts['checksum']}, id {facts['run_id']}"),
        ("recorded", f"{facts['created']} with wdyn {facts['wdyn']}, torch {facts['torch']}, Python {facts['python']}"),
        ("model", f"{facts['model']}, optimizer {facts['optimizer'] or 'unknown'}, schedule {facts['schedule']}"),
        ("steps", f"{steps['recorded']} recorded, {steps['first']} to {steps['last']}"),
        ("size", f"{_size(facts['bytes'])} on disk for {_size(facts['raw_bytes'])} of weights"),
        *[
            ("layer", f"{name}  {rows} neurons of {columns} inputs")
            for name, (rows, columns) in facts["layers"].items()
        ],
        *[("left out", f"{name}: {reason}") for name, reason in facts["left_out"]],
        *[("tied", f"{alias} is {name}") for alias, name in facts["tied"].items()],
        *[
            ("mask", f"{name}  keeps {kept} of {size} ({kept / max(size, 1):.2%})")
            for name, (kept, size) in facts["kept_by_masks"].items()
        ],
        *[("metric", f"{name}  {count} values") for name, count in facts["metrics"].items()],
        *([] if facts["sample"] is None else [("sample", " and ".join(map(str, facts["sample"])))]),
        ("program", _program_text(facts["program"]) or f"none: {facts['no_program']}"),
        *[("note", note_text(note)) for note in facts["notes"] if note.get("what") not in ("closed", NO_PROGRAM)],
        *[("metadata", f"{key} = {value}") for key, value in facts["metadata"].items()],
    ]


def note_text(note: Mapping[str, Any]) -> str:
    """A note of the recording as a sentence.

    Args:
        note: `what`, `reason`, the `step` it was written at and, where it is about a stretch, `steps` (first, last).
    """
    words = {
        "gap": "Not recorded", "skipped": "Skipped", "ended": "Recording ended", "damaged": "Damaged",
        "left out": "Left out", "closed": "Closed", "resumed": "Resumed", "thinned": "Thinned",
    }  # fmt: skip
    what = words.get(note["what"], note["what"])
    first, last = note.get("steps") or (note.get("step"), note.get("step"))
    if first is not None:
        what += f" at step {first:,}" if first == last else f" at steps {first:,} to {last:,}"
    return f"{what}: {note.get('reason', 'no reason was noted')}"


def printable(text: str, length: int = 300) -> str:
    """One line that a terminal shows as it is: signs that would move or reorder text are escaped, long text is cut."""
    plain = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return plain if len(plain) <= length else plain[: length - 4] + " ..."


def _program(run: Run) -> dict[str, Any] | None:
    if run.program is None:
        return None
    inputs = [{"dtype": each["dtype"], "shape": each["shape"]} for each in run.program["inputs"]]
    return {"operations": len(run.program["nodes"]), "inputs": inputs}


def _program_text(program: dict[str, Any] | None) -> str:
    """What it can do in one line; empty for none."""
    if program is None:
        return ""
    shapes = [
        f"{each['dtype']} ({', '.join('any' if size is None else str(size) for size in each['shape'])})"
        for each in program["inputs"]
    ]
    return f"runs again: {program['operations']} operations on {' and '.join(shapes) or 'no input'}"


def _last_masks(run: Run) -> dict[str, Array]:
    try:
        return run.masks(int(run.steps[-1]))
    except DamagedError:  # a note tells of it
        return {}


def _bytes_on_disk(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(part.stat().st_size for part in parts_folder(path).iterdir())


def _size(count: int) -> str:
    power = min(int(math.log(max(count, 1), 1000)), 4)
    return f"{count / 1000**power:.{1 if power else 0}f} {['B', 'kB', 'MB', 'GB', 'TB'][power]}"
