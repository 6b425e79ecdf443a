"""Arrays that took long to compute, kept from one command to the next in a folder that may vanish at any time.

A file is named after all that its arrays depend on, so it is never out of date, only unused; the oldest go first.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
from collections.abc import Callable, Mapping
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.places import cache_folder

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_BYTES = 500 * 2**20
DIGEST = 16  # bytes at the start of a file, over all that follow


def cached(run: Run, parameters: Mapping[str, Any], make: Callable[[], Mapping[str, Array]]) -> Mapping[str, Array]:
    """Arrays computed from a run, or those kept from the last time.

    A run that is still recording is never kept. A damaged file counts as none, and where nothing can be written nothing
    is kept.

    Args:
        run: what they are computed from.
        parameters: JSON values; with the run, the code of the analyses and its libraries they determine the arrays.
        make: computes them; of plain types, no objects.

    Returns:
        Name to array.
    """
    if run.condition == "recording":
        return make()
    return remembered({"run": [run.meta["run_id"], run.checksum], **parameters}, make)


def remembered(parameters: Mapping[str, Any], make: Callable[[], Mapping[str, Array]]) -> Mapping[str, Array]:
    """Arrays that depend on parameters alone, as a simulated null does, or those kept from the last time.

    Args:
        parameters: JSON values; with the code of the analyses and its libraries they determine the arrays.
        make: computes them; of plain types, no objects.

    Returns:
        Name to array.
    """
    key = json.dumps([_code(), parameters], sort_keys=True)
    try:
        file = cache_folder() / f"{blake2b(key.encode(), digest_size=DIGEST).hexdigest()}.arrays"
    except RuntimeError:  # a user without a home folder
        return make()
    found = _read(file)
    if found is None:
        found = make()
        with contextlib.suppress(OSError):  # a full disk or a read-only home costs time, nothing else
            _write(file, found)
            _make_room(file.parent)
    return found


@functools.cache
def _code() -> list[str]:
    """What the same numbers are sure to come from: the source of the analyses, and the libraries' versions."""
    source = b"\0".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return [blake2b(source).hexdigest(), *map(version, ("numpy", "scipy", "umap-learn"))]


def _read(file: Path) -> Mapping[str, Array] | None:
    try:
        content = file.read_bytes()
    except OSError:
        return None
    digest, stored = content[:DIGEST], content[DIGEST:]
    if blake2b(stored, digest_size=DIGEST).digest() != digest:
        return None
    with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
        return dict(arrays)


def _write(file: Path, arrays: Mapping[str, Array]) -> None:
    stored = io.BytesIO()
    np.savez(stored, **arrays)  # type: ignore[arg-type]  # its other parameters are no names of ours
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}")
    try:
        part.write_bytes(blake2b(stored.getbuffer(), digest_size=DIGEST).digest() + stored.getbuffer())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _make_room(folder: Path) -> None:
    total = 0
    for file in sorted(folder.iterdir(), key=lambda each: -each.stat().st_mtime_ns):
        total += file.stat().st_size
        if total > MOST_BYTES:
            file.unlink(missing_ok=True)
