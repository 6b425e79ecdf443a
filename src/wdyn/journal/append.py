"""Write one frame at the end of a segment with one system call."""

from __future__ import annotations

import os
from pathlib import Path

from wdyn.journal.frame import Buffer, Kind, encode

SEGMENT_SIZE = 256 * 2**20  # bytes after which the next segment begins


def segment_path(folder: Path, number: int) -> Path:
    """Path of the numbered segment in a journal folder."""
    return folder / f"seg-{number:06d}.wdj"


def sync_path(path: Path) -> None:
    """Ask the disk to keep a file, or a folder's list of files, so that a power cut loses nothing of it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SegmentWriter:
    """An append-only segment file, created exclusively.

    Attributes:
        path: the file.
        size: bytes of whole frames written.
        frames: number of whole frames written.
    """

    def __init__(self, path: Path, schema: int) -> None:
        """Create the file.

        Args:
            path: must not exist.
            schema: CRC-32 of the schema's JSON, stamped into every frame.

        Raises:
            FileExistsError: the path exists; it was not touched.
            OSError: it could not be created.
        """
        self.path, self.size, self.frames = path, 0, 0
        self._schema = schema
        self._torn = False
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def append(self, kind: Kind, payload: Buffer, *, step: int, time: float) -> None:
        """Write one frame, or leave the file as it was.

        Args:
            kind: what the payload is.
            payload: contiguous bytes.
            step: optimizer step.
            time: wall time, seconds since 1970.

        Raises:
            OSError: the frame could not be written; the file was cut back to its last whole frame.
        """
        head = encode(kind, payload, schema=self._schema, step=step, time=time, index=self.frames)
        total = len(head) + len(payload)
        if self._torn:
            self._cut_back()
        try:
            written = os.writev(self._fd, [head, payload])
            while written < total:  # a signal or a nearly full disk can cut a write short
                rest = memoryview(head)[written:] if written < len(head) else memoryview(payload)[written - len(head) :]
                written += os.write(self._fd, rest)
        except OSError:
            self._torn = True  # stays so when cutting back fails too, and the next append begins with it
            self._cut_back()
            raise
        self.size += total
        self.frames += 1

    def _cut_back(self) -> None:
        os.ftruncate(self._fd, self.size)
        os.lseek(self._fd, self.size, os.SEEK_SET)
        self._torn = False

    def sync(self) -> None:
        """Ask the disk to keep what was written, so that a power cut loses none of it."""
        os.fdatasync(self._fd) if hasattr(os, "fdatasync") else os.fsync(self._fd)

    def close(self) -> None:
        """Cut off what a failed write left, sync and close; further calls do nothing."""
        if self._fd >= 0:
            try:
                if self._torn:
                    self._cut_back()
                self.sync()
            finally:
                os.close(self._fd)
                self._fd = -1
