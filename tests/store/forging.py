"""Run files as somebody with a purpose could write them: wrong in one thing, with checksums that match."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import wdyn
from wdyn.errors import RunFileError
from wdyn.store.chunks import binding, checksum, padded
from wdyn.store.layout import grid

FILTERS = {"shuffle": True, "compression": "gzip"}
SECONDS = 5  # one on a machine that has time; see also the longest of `pytest --durations`
OWN = ("checksums/index", "checksums/crc32", "checksums/self")


def datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All datasets behind hard links but the checksums, in the order that wdyn writes them in or any other."""
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return {name: item for name, item in found.items() if name not in OWN}


def sign(file: h5py.File) -> None:
    """Write the table of checksums anew over what is in the file now."""
    index: list[dict[str, Any]] = []
    sums: list[int] = []
    for path, dataset in datasets(file).items():
        entry = {"path": path, "shape": list(dataset.shape), "dtype": dataset.dtype.str, "first": len(sums)}
        values, bound = dataset[...], binding(path, dataset.dtype, dataset.shape)
        for offset in grid(dataset.shape, dataset.chunks):
            block = values
            if dataset.chunks is not None:
                part = tuple(slice(at, at + step) for at, step in zip(offset, dataset.chunks, strict=True))
                block = padded(values[part], dataset.chunks)
            sums.append(checksum(bound, offset, block))
        index.append({**entry, "chunks": dataset.chunks, "count": len(sums) - entry["first"]})
    write_table(file, index, sums)


def write_table(file: h5py.File, index: Any, sums: list[int]) -> None:
    """Write a table of checksums that matches itself."""
    text = np.frombuffer(index if isinstance(index, bytes) else json.dumps(index).encode(), np.uint8)
    row = np.array(sums, "<u4")
    for name in OWN:
        if name in file:
            del file[name]
    own = np.array([zlib.crc32(row.tobytes(), zlib.crc32(text.tobytes()))], "<u4")
    for name, values in zip(OWN, (text, row, own), strict=True):
        file[name] = values


def replace(file: h5py.File, name: str, values: np.ndarray) -> None:
    """Put other values in the place of a dataset."""
    del file[name]
    file[name] = values


def edit_meta(file: h5py.File, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the facts of a run."""
    meta = json.loads(file["meta"][...].tobytes())
    change(meta)
    replace(file, "meta", np.frombuffer(json.dumps(meta).encode(), np.uint8))


def everything(path: Path) -> list[Any]:
    """All that can be had from a run, so that two runs can be compared; an error where any of it is lost."""
    with wdyn.open_run(path) as run:
        facts = [json.dumps(dict(run.meta), sort_keys=True), run.program and json.dumps(dict(run.program))]
        facts += [list(run.layers), [list(each) for each in run.left_out], run.no_program]
        values = [run.steps, run.times, *(run.sample or ())]
        for name, metric in run.metrics.items():
            facts.append(name)
            values += metric
        for step in run.steps.tolist():
            masks, state = run.masks(step), run.state(step, masked=False)
            facts.append([list(masks), list(state)])
            values += [*masks.values(), *state.values(), *run.state(step).values()]
        return facts + [(array.dtype.str, array.shape, array.tobytes()) for array in values]


def check_refused(path: Path, what: str) -> None:
    """See that a file is refused at once, with one sentence that a terminal shows as it is."""
    started = time.monotonic()
    with pytest.raises(RunFileError, match=what) as caught:
        everything(path)
    assert time.monotonic() - started < SECONDS
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    assert len(text) < len(str(path)) + 600
