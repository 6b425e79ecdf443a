"""The strict check that a file follows FORMAT.md, made before any value is read from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5l, h5t, h5z
from isal.isal_zlib import crc32

from wdyn.errors import DamagedError, RunFileError
from wdyn.journal.frame import MOST_PROGRAM
from wdyn.journal.schema import TensorSpec
from wdyn.store.chunks import Array, binding, checksum
from wdyn.store.layout import (
    BITS,
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
    chunk_count,
    escape,
    unescape,
)
from wdyn.store.sources import stored_dtype

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CUT_SHORT = re.compile(r"truncated file: eof = (\d+).*stored_eof = (\d+)")
_FILTERS = ((), (h5z.FILTER_DEFLATE,), (h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE))
_DEPTH = 3  # names in the longest path, masks/<name>/bits
_PLAIN = {STEPS: "<i8", TIME: "<f8", META: "|u1", INDEX: "|u1", CRC32: "<u4", SELF: "<u4"}
_MEMBERS = {
    (MASKS, BITS): ("|u1", 2),
    (MASKS, SINCE): ("<i8", 1),
    (METRICS, STEP): ("<i8", 1),
    (METRICS, VALUE): ("<f8", 1),
}


@dataclass(frozen=True)
class Entry:
    """One dataset as `checksums/index` describes it.

    Attributes:
        path: of the dataset in the file.
        shape: its shape.
        dtype: type of its values, little-endian.
        chunks: shape of a chunk, or None.
        first: number of its first chunk's checksum.
        count: number of its chunks.
        binding: what the checksums bind the chunks to.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...] | None
    first: int
    count: int
    binding: str


@dataclass(frozen=True)
class Table:
    """All checksums of a file.

    Attributes:
        entries: path to Entry, in order of their checksums.
        crcs: (C,) uint32, one per chunk.
        own: the checksum of this table, 8 hex digits.
    """

    entries: dict[str, Entry]
    crcs: Array
    own: str


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever libhdf5 makes of damaged bytes into one sentence."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, RunFileError):
            raise
        if cut := _CUT_SHORT.search(str(error)):
            there, whole = (f"{int(size):,}" for size in cut.groups())
            raise DamagedError(
                f"{path}: cut short, {there} of {whole} bytes are there. Copy the file again."
            ) from error
        raise DamagedError(f"{path}: {what} cannot be read, the file is damaged or cut short ({error}).") from error


def open_file(path: Path) -> h5py.File:
    """Open a file for reading, without touching or locking it.

    Raises:
        RunFileError: a folder, not HDF5, cut short, or not readable.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(_SIGNATURE))
    except OSError as error:
        what = "a folder, not a run file" if path.is_dir() else f"cannot be read ({error.strerror})"
        raise RunFileError(f"{path}: {what}.") from error
    if not head:
        raise RunFileError(f"{path}: the file is empty (0 bytes), so no run is in it.")
    if head != _SIGNATURE:
        raise RunFileError(f"{path}: not an HDF5 file, so not a run that wdyn wrote.")
    with reading(path, "its start"):
        return h5py.File(path, "r", locking=False)


def check(file: h5py.File, path: Path) -> tuple[dict[str, Any], Table]:
    """The facts of a run and its checksums, after everything in the file was seen to follow FORMAT.md.

    Args:
        file: an open HDF5 file.
        path: of the file, for the text of errors.

    Returns:
        The `meta` object and the table of checksums.

    Raises:
        RunFileError: not a wdyn run, a format this wdyn does not read, or something FORMAT.md does not allow.
        DamagedError: the checksums do not match themselves, or the facts do not match theirs.
    """
    with reading(path, "its structure"):
        found = dict(_walk(file, path))
        meta = _meta(file, found, path)
        for name, dataset in found.items():
            _check_dataset(dataset, name, path)
        table = _table(file, found, path)
        _check_table(table, found, path)
        _check_meta(meta, found, path)
    return meta, table


def _walk(group: h5py.Group, path: Path, prefix: str = "") -> Iterator[tuple[str, h5py.Dataset]]:
    for name in group:
        full = prefix + name
        if group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type != h5l.TYPE_HARD:
            raise _foreign(path, full, "is a link to somewhere else")
        item = group[name]
        if isinstance(item, h5py.Dataset):
            yield full, item
        elif isinstance(item, h5py.Group) and full.count("/") < _DEPTH - 1:
            yield from _walk(item, path, f"{full}/")
        else:
            raise _foreign(path, full, "is no dataset, or in a group too deep")


def _foreign(path: Path, name: str, what: str) -> RunFileError:
    return RunFileError(f"{path}: {name!r} {what}, which no run that wdyn wrote has. Nothing was read from it.")


def _meta(file: h5py.File, found: dict[str, h5py.Dataset], path: Path) -> dict[str, Any]:
    """The facts of the run, whose format number is read before anything else is looked at."""
    stranger = RunFileError(f"{path}: an HDF5 file, but not a run that wdyn wrote.")
    if META not in found or found[META].dtype != np.uint8 or found[META].ndim != 1:
        raise stranger
    _check_dataset(found[META], META, path)
    try:
        meta = json.loads(file[META][...].tobytes())
        version = meta["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise stranger from error
    if not isinstance(version, int) or version < 1:
        raise stranger
    if version > FORMAT:
        reads = f"{OLDEST} to {FORMAT}" if OLDEST < FORMAT else f"{FORMAT}"
        raise RunFileError(
            f"{path}: file format {version}, but this wdyn reads {reads}. Upgrade with: pip install -U wdyn"
        )
    assert isinstance(meta, dict)
    return meta


def _check_dataset(dataset: h5py.Dataset, name: str, path: Path) -> None:
    """Only what plain integers and floats, stored in the file itself, need."""
    made = dataset.id.get_create_plist()
    filters = tuple(made.get_filter(i)[0] for i in range(made.get_nfilters()))
    layout = made.get_layout()
    if not isinstance(dataset.id.get_type(), h5t.TypeIntegerID | h5t.TypeFloatID):
        raise _foreign(path, name, "holds neither integers nor floats")
    if dataset.dtype.newbyteorder("<") != dataset.dtype:
        raise _foreign(path, name, "is big-endian")
    if layout not in (h5d.CONTIGUOUS, h5d.CHUNKED, h5d.COMPACT) or made.get_external_count():
        raise _foreign(path, name, "is stored outside of the file")
    if filters not in _FILTERS or (filters and layout != h5d.CHUNKED):
        raise _foreign(path, name, "uses another filter than shuffle and gzip")


def _table(file: h5py.File, found: dict[str, h5py.Dataset], path: Path) -> Table:
    for name, dtype in _PLAIN.items():
        if name not in found:
            raise _foreign(path, name, "is missing")
        if found[name].dtype != np.dtype(dtype) or found[name].ndim != 1 or found[name].chunks is not None:
            raise _foreign(path, name, f"is not a plain row of {np.dtype(dtype).name}")
    index, crcs, own = (file[name][...] for name in (INDEX, CRC32, SELF))
    actual = crc32(crcs.tobytes(), crc32(index.tobytes()))
    if own.tolist() != [actual]:
        raise DamagedError(f"{path}: its table of checksums is damaged, so no value in it can be trusted.")
    entries, first = {}, 0
    for each in json.loads(index.tobytes()):
        entry = _entry(each)
        if entry.first != first or entry.count != chunk_count(entry.shape, entry.chunks):
            raise _foreign(path, entry.path, "has another number of checksums than of chunks")
        entries[entry.path], first = entry, first + entry.count
    if first != len(crcs):
        raise _foreign(path, CRC32, "has another length than its index")
    return Table(entries, crcs, f"{actual:08x}")


def _entry(fields: dict[str, Any]) -> Entry:
    dtype, shape = np.dtype(fields["dtype"]), tuple(fields["shape"])
    chunks = None if fields["chunks"] is None else tuple(fields["chunks"])
    bound = binding(fields["path"], dtype, shape)
    return Entry(fields["path"], shape, dtype, chunks, fields["first"], fields["count"], bound)


def _check_table(table: Table, found: dict[str, h5py.Dataset], path: Path) -> None:
    covered = found.keys() - {INDEX, CRC32, SELF}
    for name in sorted(covered ^ table.entries.keys()):
        raise _foreign(path, name, "has no checksum" if name in covered else "is missing")
    for name, entry in table.entries.items():
        dataset = found[name]
        if (dataset.shape, dataset.dtype, dataset.chunks) != (entry.shape, entry.dtype, entry.chunks):
            raise _foreign(path, name, "has another shape or type than its checksums were made for")
        filters = dataset.id.get_create_plist().get_nfilters()
        if entry.chunks is not None and filters != 2:
            raise _foreign(path, name, "is chunked, but not with shuffle and gzip")
    meta = found[META][...]
    if checksum(table.entries[META].binding, (0,), meta) != table.crcs[table.entries[META].first]:
        raise DamagedError(f"{path}: {META} does not match its checksum.")


def _check_meta(meta: dict[str, Any], found: dict[str, h5py.Dataset], path: Path) -> None:
    """Every dataset has its place, and every tensor its dataset."""
    count = found[STEPS].shape[0]
    if not count or found[TIME].shape != (count,):
        raise RunFileError(f"{path}: an empty run, no step was recorded, so there is nothing to read.")
    expected: dict[str, Any] = {}
    for name, role, dtype, shape in meta["tensors"]:
        spec = TensorSpec(name, role, dtype, tuple(shape))
        expected[f"{GROUPS[spec.role]}/{escape(name)}"] = (count, *shape), stored_dtype(spec)
    for full, dataset in found.items():
        group, _, rest = full.partition("/")
        if group in GROUPS.values():
            good = expected.pop(full, None) == (dataset.shape, dataset.dtype)
        else:
            good = full in _PLAIN or full in (INPUTS, TARGETS)
            good = good or (_is_program(dataset) if full == PROGRAM else _is_member(group, rest, dataset))
        if not good:
            raise _foreign(path, full, "has a name, shape or type")
    for name in expected:
        raise _foreign(path, name, "is missing")


def _is_program(dataset: h5py.Dataset) -> bool:
    """Text of a size that wdyn may have written; what it says is looked at when it is asked for."""
    plain = dataset.dtype == np.uint8 and dataset.ndim == 1 and dataset.chunks is None
    return bool(plain and dataset.shape[0] <= MOST_PROGRAM)


def _is_member(group: str, rest: str, dataset: h5py.Dataset) -> bool:
    link, _, member = rest.partition("/")
    unescape(link)
    return _MEMBERS.get((group, member)) == (dataset.dtype.str, dataset.ndim)
