"""A finished run file: its facts, its checksums, and its values read past libhdf5."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from wdyn.errors import DamagedError, MisuseError, RunFileError
from wdyn.store.answer import OddError, Place
from wdyn.store.chunks import Array, checksum, decompress
from wdyn.store.facts import check_facts
from wdyn.store.foreign import check_members, check_places, check_plain, read_meta
from wdyn.store.helper import HELPER
from wdyn.store.layout import CRC32, INDEX, META, SELF, STEPS, TIME
from wdyn.store.opening import StrangerError, examine, odd, open_file, stranger
from wdyn.store.sources import read_only
from wdyn.store.table import Entry, Table, own_checksum, read_index


class PackedFile:
    """An open run file, checked against FORMAT.md.

    Attributes:
        path: of the file.
        meta: the facts of the run, checked.
        tensors: name to tensor, in the order of the run.
        table: its checksums.
    """

    def __init__(
        self,
        path: Path,
        *,
        look: Callable[[int], bytes] = HELPER.ask,
        table: Callable[[PackedFile], Table],
    ) -> None:
        """Open the file.

        Args:
            path: of the file.
            look: looks at its structure; in a helper process unless this one has written the file.
            table: reads the checksums, such as `checked_table`.

        Raises:
            RunFileError: it is not a run file that this wdyn reads.
            DamagedError: what was read does not match its checksum.
        """
        self.path = path
        descriptor = open_file(path)
        self._descriptor = descriptor
        self.close = weakref.finalize(self, os.close, descriptor)  # further calls do nothing
        try:
            self._check(look, table)
        except OddError as error:
            self.close()
            raise odd(path, error) from error
        except BaseException:
            self.close()
            raise

    def _check(self, look: Callable[[int], bytes], table: Callable[[PackedFile], Table]) -> None:
        structure = examine(self._descriptor, self.path, look)
        self.places = structure.places
        check_places(self.places, os.fstat(self._descriptor).st_size)
        meta = self.places.get(META)
        if meta is None or (meta.dtype, len(meta.shape), meta.chunks) != (np.dtype("u1"), 1, None):
            raise stranger(self.path)
        try:
            self.meta = read_meta(self.unchecked(META).tobytes(), self.path)
        except StrangerError:
            self._check_damaged()
            raise
        if structure.odd is not None:
            raise OddError(*structure.odd)
        check_plain(self.places)
        self.table = table(self)
        self.whole(META)
        try:
            self.tensors = check_facts(self.meta)
        except ValueError as error:
            raise OddError(META, f"does not say {error} as a run does") from error
        if not self.places[STEPS].shape[0] or self.places[TIME].shape != self.places[STEPS].shape:
            raise RunFileError(f"{self.path}: an empty run, no step was recorded, so there is nothing to read.")
        check_members(self.tensors, self.places)

    def _check_damaged(self) -> None:
        """Facts that cannot be read are a stranger's, unless a table of checksums says that they are damaged."""
        with suppress(OddError):
            check_plain(self.places)
            self.table = checked_table(self)
            self.whole(META)

    def unchecked(self, path: str) -> Array:
        """All values of a dataset that is not chunked, as they are in the file.

        Raises:
            DamagedError: the file was cut short meanwhile.
        """
        place = self.places[path]
        values = np.empty(place.shape, place.dtype)
        self._read_into(values.reshape(-1).view(np.uint8).data, place, 0)
        return values

    def whole(self, path: str) -> Array:
        """All values of a dataset that is not chunked, checked, read-only.

        Raises:
            DamagedError: they do not match their checksum.
        """
        values, entry = self.unchecked(path), self.table.entries[path]
        if checksum(entry.binding, (0,) * values.ndim, values) != self.table.crcs[entry.first]:
            raise DamagedError(
                f"{self.path}: {path} does not match its checksum. See what is left: wdyn verify {self.path}"
            )
        return read_only(values)

    def chunk(self, path: str, offset: tuple[int, ...]) -> Array:
        """One chunk of a dataset, padded as it is stored, checked.

        Args:
            path: of a chunked dataset.
            offset: first index of the chunk.

        Raises:
            DamagedError: it does not match its checksum, or is not there.
        """
        entry, place = self.table.entries[path], self.places[path]
        assert entry.chunks is not None
        number = 0
        for at, step, length in zip(offset, entry.chunks, entry.shape, strict=True):
            number = number * -(-length // step) + at // step
        data = bytearray(int(place.sizes[number]))
        self._read_into(memoryview(data), place, number)
        try:
            block = decompress(data, entry.dtype, entry.chunks)
        except ValueError as error:
            raise self._lost(entry, offset) from error
        if checksum(entry.binding, offset, block) != self.table.crcs[entry.first + number]:
            raise self._lost(entry, offset)
        return block

    def _lost(self, entry: Entry, offset: tuple[int, ...]) -> DamagedError:
        assert entry.chunks is not None
        steps = self.unchecked(STEPS)
        last = min(offset[0] + entry.chunks[0], entry.shape[0]) - 1
        return DamagedError(
            f"{self.path}: {entry.path} is damaged at steps {steps[offset[0]]} to {steps[last]}. Other values "
            f"can still be read. See what is left: wdyn verify {self.path}"
        )

    def _read_into(self, target: memoryview, place: Place, number: int) -> None:
        if not self.close.alive:
            raise MisuseError(f"{self.path}: this run was closed. Open it again with wdyn.open_run.")
        at = int(place.offsets[number])
        while target:  # one call reads at most 2 GiB
            if not (read := os.preadv(self._descriptor, [target], at)):
                raise DamagedError(f"{self.path}: cut short while it was open. Copy the file again.")
            target, at = target[read:], at + read


def checked_table(file: PackedFile) -> Table:
    """The checksums of a file, where they match their own.

    Raises:
        DamagedError: they do not.
        OddError: they are not those of the datasets that are there.
    """
    index, crcs, own = (file.unchecked(name) for name in (INDEX, CRC32, SELF))
    actual = own_checksum(index.tobytes(), crcs)
    if own.tolist() != [actual]:
        raise DamagedError(f"{file.path}: its table of checksums is damaged, so no value in it can be trusted.")
    return Table(read_index(index.tobytes(), file.places, len(crcs)), crcs, f"{actual:08x}")
