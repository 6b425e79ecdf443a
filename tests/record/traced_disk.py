"""A layer between wdyn and the file system: it writes down every operation with its bytes, and can refuse any of them.

From what it wrote down, `DiskModel` makes the folder as it stood after any number of operations, and what a power cut
could have left of it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

import pytest

OPERATIONS = ("open", "write", "writev", "ftruncate", "truncate", "fsync", "fdatasync", "replace", "rename", "link",
              "unlink", "mkdir", "rmdir")  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """One thing that was done to the folder.

    Attributes:
        what: `create`, `write`, `truncate`, `sync`, `sync folder`, `rename`, `link`, `unlink`, `mkdir` or `rmdir`.
        path: relative to the traced folder, as it was named then.
        other: second path of a rename or link.
        at: byte where a write begins, or the size that a file is cut to.
        data: what was written.
    """

    what: str
    path: str
    other: str = ""
    at: int = 0
    data: bytes = b""


class TracedDisk:
    """Stands in for functions of `os` while a test runs; only what lies in one folder is traced or refused.

    Attributes:
        operations: all that was done, in order.
        calls: how often each function of `OPERATIONS` was called.
        refuse: asked before each call with the function's name and which call of it this is; an OSError to raise.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = os.path.realpath(folder)
        self._lock = RLock()
        self._files: dict[int, str] = {}  # descriptor to path of what it was opened as
        self.operations: list[Operation] = []
        self.calls = dict.fromkeys(OPERATIONS, 0)
        self.refuse: Callable[[str, int], OSError | None] = lambda name, number: None
        self._real = {name: getattr(os, name) for name in (*OPERATIONS, "close")}
        for name in (*OPERATIONS, "close"):
            monkeypatch.setattr(os, name, getattr(self, f"_{name}"))
        self._io_open = io.open
        monkeypatch.setattr(io, "open", self._open_file)

    def _within(self, path: Any, descriptor: int | None = None) -> str | None:
        """The path relative to the folder, or None where it lies elsewhere."""
        if isinstance(path, int):
            return self._files.get(path)
        base = os.getcwd() if descriptor is None else os.readlink(f"/proc/self/fd/{descriptor}")
        full = os.path.abspath(os.path.join(base, os.fspath(path)))
        return os.path.relpath(full, self._folder) if f"{full}/".startswith(f"{self._folder}/") else None

    def _do(self, name: str, act: Callable[[], Any], *operations: Operation) -> Any:
        with self._lock:
            self.calls[name] += 1
            if (error := self.refuse(name, self.calls[name])) is not None:
                raise error
            result = act()
            self.operations += operations
            return result

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        inside = self._within(path, dir_fd)
        if inside is None:
            return int(self._real["open"](path, flags, mode, dir_fd=dir_fd))
        there = os.path.lexists(os.path.join(self._folder, inside))
        made = [Operation("create", inside)] if flags & os.O_CREAT and not there else []
        with self._lock:
            descriptor = self._do("open", lambda: self._real["open"](path, flags, mode, dir_fd=dir_fd), *made)
            self._files[descriptor] = inside
        return int(descriptor)

    def _close(self, descriptor: int) -> None:
        with self._lock:
            self._files.pop(descriptor, None)
            self._real["close"](descriptor)

    def _open_file(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        """Python's own files, where they are made: the lock."""
        if isinstance(file, int) or "x" not in mode or self._within(file) is None:
            return self._io_open(file, mode, *args, **kwargs)
        raw = _Raw(self._open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL), self)
        return io.TextIOWrapper(io.BufferedWriter(raw))

    def _write(self, descriptor: int, data: Any) -> int:
        return self._written("write", descriptor, [data])

    def _writev(self, descriptor: int, parts: Any) -> int:
        return self._written("writev", descriptor, parts)

    def _written(self, name: str, descriptor: int, parts: Any) -> int:
        whole = b"".join(bytes(part) for part in parts)
        real = lambda: self._real[name](descriptor, parts if name == "writev" else parts[0])  # noqa: E731
        if descriptor not in self._files:
            return int(real())
        with self._lock:
            at = os.lseek(descriptor, 0, os.SEEK_CUR)
            return int(self._do(name, real, Operation("write", self._files[descriptor], at=at, data=whole)))

    def _ftruncate(self, descriptor: int, size: int) -> None:
        inside = self._files.get(descriptor)
        traced = [] if inside is None else [Operation("truncate", inside, at=size)]
        self._do("ftruncate", lambda: self._real["ftruncate"](descriptor, size), *traced)

    def _truncate(self, path: Any, size: int) -> None:
        inside = self._within(path)
        assert inside is not None
        self._do("truncate", lambda: self._real["truncate"](path, size), Operation("truncate", inside, at=size))

    def _fsync(self, descriptor: int) -> None:
        self._synced("fsync", descriptor)

    def _fdatasync(self, descriptor: int) -> None:
        self._synced("fdatasync", descriptor)

    def _synced(self, name: str, descriptor: int) -> None:
        inside = self._files.get(descriptor)
        if inside is None:
            return
        full = os.path.join(self._folder, inside)
        if os.path.isdir(full):
            operation = Operation("sync folder", inside)
        elif os.fstat(descriptor).st_nlink and not any(each.path == inside for each in self.operations):
            operation = Operation("appear", inside, data=Path(full).read_bytes())  # libhdf5 wrote it
        else:
            operation = Operation("sync", inside)
        self._do(name, lambda: None, operation)

    def _replace(self, source: Any, target: Any) -> None:
        self._two("replace", "rename", source, target)

    def _rename(self, source: Any, target: Any) -> None:
        self._two("rename", "rename", source, target)

    def _link(self, source: Any, target: Any, **kwargs: Any) -> None:
        self._two("link", "link", source, target)

    def _two(self, name: str, what: str, source: Any, target: Any) -> None:
        inside, other = self._within(source), self._within(target)
        traced = [Operation(what, inside, other)] if inside is not None and other is not None else []
        with self._lock:
            self._do(name, lambda: self._real[name](source, target), *traced)
            if what == "rename" and inside is not None:
                for descriptor, path in self._files.items():
                    if f"{path}/".startswith(f"{inside}/"):
                        self._files[descriptor] = f"{other}{path[len(inside) :]}"

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._one("unlink", path, dir_fd)

    def _rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._one("rmdir", path, dir_fd)

    def _mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self._one("mkdir", path, dir_fd)

    def _one(self, name: str, path: Any, dir_fd: int | None) -> None:
        inside = self._within(path, dir_fd)
        act = lambda: self._real[name](path, dir_fd=dir_fd)  # noqa: E731
        if inside is None:
            act()
        else:
            self._do(name, act, Operation(name, inside))


class _Raw(io.RawIOBase):
    """A file whose bytes go through the traced functions."""

    def __init__(self, descriptor: int, disk: TracedDisk) -> None:
        super().__init__()
        self._descriptor, self._disk = descriptor, disk

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._disk._write(self._descriptor, data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._disk._close(self._descriptor)


@contextmanager
def traced(folder: Path) -> Iterator[TracedDisk]:
    """Trace, and refuse, what is done in a folder."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield TracedDisk(folder, monkeypatch)
