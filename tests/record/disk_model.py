"""What a folder holds after some of the operations that `traced_disk` wrote down, and what a power cut leaves of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from tests.record.traced_disk import Operation

SECTOR = 512
DEAD = 4194305  # no process has this number


@dataclass
class File:
    """A file: what it holds, what of it the disk was made to keep, and where they may differ."""

    now: bytearray = field(default_factory=bytearray)
    kept: bytes = b""
    dirty: set[int] = field(default_factory=set)  # sectors
    shortest: int = 0  # size that a truncation since the last sync may have left

    def write(self, at: int, data: bytes) -> None:
        """Put bytes in."""
        self.now += bytes(max(0, at - len(self.now)))
        self.now[at : at + len(data)] = data
        self.dirty |= set(range(at // SECTOR, -(-(at + len(data)) // SECTOR)))

    def cut(self, size: int) -> None:
        """Cut to a size."""
        self.dirty |= set(range(size // SECTOR, -(-len(self.now) // SECTOR)))
        del self.now[size:]
        self.shortest = min(self.shortest, size)

    def sync(self) -> None:
        """The disk keeps it as it is."""
        self.kept, self.dirty, self.shortest = bytes(self.now), set(), len(self.now)

    def after_power_cut(self, rng: np.random.Generator) -> bytes:
        """Any of the sectors written since the last sync, and any size between; for a lost sector the old bytes."""
        low, high = sorted((self.shortest, len(self.now)))
        size = int(rng.choice([low, high, rng.integers(low, high + 1)]))
        share = rng.choice([0, 0.5, 0.9, 1])
        found = bytearray(self.kept[:size].ljust(size, b"\0"))
        for sector in sorted(self.dirty):
            if rng.random() < share:
                start, stop = sector * SECTOR, min((sector + 1) * SECTOR, size, len(self.now))
                if start < stop:
                    found[start:stop] = self.now[start:stop]
        return bytes(found)


@dataclass
class Folder:
    """A folder: its entries, those the disk was made to keep, and the changes since."""

    now: dict[str, Node] = field(default_factory=dict)
    kept: dict[str, Node] = field(default_factory=dict)
    changes: list[tuple[str, str, Node | None]] = field(default_factory=list)

    def change(self, name: str, node: Node | None, source: str = "") -> None:
        """Put a name there or take it away; or, with `source`, rename in one."""
        self.changes.append((name, source, node))
        _apply(self.now, self.changes[-1])

    def sync(self) -> None:
        """The disk keeps the entries."""
        self.kept, self.changes = dict(self.now), []

    def after_power_cut(self, rng: np.random.Generator) -> dict[str, Node]:
        """The first of the changes since the last sync; at times any of them, as no journal of metadata is promised."""
        found = dict(self.kept)
        if rng.random() < 0.5:
            surviving = self.changes[: rng.integers(0, len(self.changes) + 1)]
        else:
            surviving = [change for change in self.changes if rng.random() < 0.5]
        for change in surviving:
            _apply(found, change)
        return found


Node = File | Folder


def _apply(entries: dict[str, Node], change: tuple[str, str, Node | None]) -> None:
    name, source, node = change
    if source:
        entries.pop(source, None)
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node


class DiskModel:
    """A folder to which operations are applied one by one."""

    def __init__(self, start: Path) -> None:
        """Begin with what stands in a folder, all of it kept by the disk."""
        self.root = _read(start)

    def apply(self, operation: Operation) -> None:
        """Do what was done."""
        folder, name = self._find(operation.path)
        match operation.what:
            case "create":
                folder.change(name, File())
            case "appear":
                file = File(bytearray(operation.data))
                file.sync()
                folder.change(name, file)
            case "mkdir":
                folder.change(name, Folder())
            case "unlink" | "rmdir":
                folder.change(name, None)
            case "rename" | "link":
                into, other = self._find(operation.other)
                assert into is folder
                folder.change(other, folder.now[name], name if operation.what == "rename" else "")
            case "sync folder":
                node = folder.now[name] if name else folder
                node.sync()
            case _:
                self._apply_to_file(operation, folder, name)

    def _apply_to_file(self, operation: Operation, folder: Folder, name: str) -> None:
        file = folder.now[name]
        assert isinstance(file, File)
        if operation.what == "write":
            file.write(operation.at, operation.data)
        elif operation.what == "truncate":
            file.cut(operation.at)
        else:
            assert operation.what == "sync"
            file.sync()

    def _find(self, path: str) -> tuple[Folder, str]:
        parts, folder = PurePosixPath(path).parts, self.root
        for part in parts[:-1]:
            node = folder.now[part]
            assert isinstance(node, Folder)
            folder = node
        return folder, parts[-1] if parts else ""

    def write(self, into: Path, rng: np.random.Generator | None = None) -> None:
        """Make a folder that holds this; with `rng`, what a power cut at this moment leaves of it.

        Whatever lock there is is that of a dead process.
        """
        _write(self.root, into, rng)


def replay(start: Path, operations: Iterable[Operation]) -> DiskModel:
    """The model after all the operations."""
    model = DiskModel(start)
    for operation in operations:
        model.apply(operation)
    return model


def _read(path: Path) -> Folder:
    folder = Folder()
    for each in sorted(path.iterdir()):
        if each.is_dir():
            folder.now[each.name] = _read(each)
        else:
            file = File(bytearray(each.read_bytes()))
            file.sync()
            folder.now[each.name] = file
    folder.sync()
    return folder


def _write(folder: Folder, into: Path, rng: np.random.Generator | None) -> None:
    into.mkdir()
    for name, node in (folder.now if rng is None else folder.after_power_cut(rng)).items():
        if isinstance(node, Folder):
            _write(node, into / name, rng)
            continue
        data = bytes(node.now) if rng is None else node.after_power_cut(rng)
        (into / name).write_bytes(_of_a_dead_process(data) if name == "lock" else data)


def _of_a_dead_process(data: bytes) -> bytes:
    try:
        return json.dumps({**json.loads(data), "pid": DEAD}).encode()
    except ValueError:  # torn
        return data
