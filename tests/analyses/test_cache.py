from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from wdyn.analyses import _cache
from wdyn.analyses._cache import cached
from wdyn.places import cache_folder


def run(**facts: object) -> SimpleNamespace:
    return SimpleNamespace(**{"condition": "finished", "checksum": "0badcafe", "meta": {"run_id": "0" * 32}, **facts})


def counting() -> tuple[list[int], Callable[[], dict[str, np.ndarray]]]:
    """Calls so far, and a function that makes other arrays at each."""
    calls: list[int] = []

    def make() -> dict[str, np.ndarray]:
        calls.append(len(calls))
        return {"numbers": np.arange(5.0) + len(calls), "method": np.array("umap")}

    return calls, make


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WDYN_CACHE", str(tmp_path / "a" / "b"))
    return tmp_path / "a" / "b"


def test_the_second_time_is_kept(folder: Path) -> None:
    calls, make = counting()
    first, second = (cached(run(), {"seed": 0}, make) for _ in range(2))
    assert calls == [0]
    assert list(second) == ["numbers", "method"]
    for name in first:
        assert_array_equal(first[name], second[name])
    assert [file.suffix for file in folder.iterdir()] == [".arrays"]  # nothing half-written is left


@pytest.mark.parametrize(
    ("other", "parameters"),
    [
        (run(checksum="1"), {"seed": 0}),
        (run(meta={"run_id": "1" * 32}), {"seed": 0}),
        (run(), {"seed": 1}),
        (run(), {"seed": 0, "layer": "fc"}),
    ],
)
def test_anything_else_is_made_anew(folder: Path, other: SimpleNamespace, parameters: dict[str, object]) -> None:
    _, make = counting()
    cached(run(), {"seed": 0}, make)
    assert_array_equal(cached(other, parameters, make)["numbers"], np.arange(5.0) + 2)


def test_other_code_is_made_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, make = counting()
    cached(run(), {}, make)
    monkeypatch.setattr(_cache, "_code", lambda: ["other"])
    cached(run(), {}, make)
    assert calls == [0, 1]


def test_a_run_still_recording_is_not_kept(folder: Path) -> None:
    calls, make = counting()
    for _ in range(2):
        cached(run(condition="recording"), {}, make)
    assert calls == [0, 1]
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "folder"])
def test_a_damaged_file_is_ignored_and_replaced(folder: Path, damage: str) -> None:
    calls, make = counting()
    cached(run(), {}, make)
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes({"flip": bytes(content), "cut": bytes(content[:100]), "empty": b""}[damage])
    assert_array_equal(cached(run(), {}, make)["numbers"], np.arange(5.0) + 2)
    cached(run(), {}, make)
    assert calls == ([0, 1, 2] if damage == "folder" else [0, 1])  # a folder in its place only costs time


@pytest.mark.parametrize("place", ["file in the way", "no home"])
def test_without_a_place_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    if place == "no home":
        monkeypatch.delenv("WDYN_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    else:
        (tmp_path / "file").touch()
        monkeypatch.setenv("WDYN_CACHE", str(tmp_path / "file" / "wdyn"))
    calls, make = counting()
    for _ in range(2):
        cached(run(), {}, make)
    assert calls == [0, 1]


def test_a_full_disk_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    cached(run(), {}, counting()[1])
    assert list(folder.iterdir()) == []


def test_the_oldest_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, seed in enumerate((3, 1, 2)):
        cached(run(), {"seed": seed}, counting()[1])
        for file in folder.iterdir():
            os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns - 10**9))
        assert len(list(folder.iterdir())) == age + 1
    size = file.stat().st_size
    monkeypatch.setattr(_cache, "MOST_BYTES", 3 * size)
    cached(run(), {"seed": 4}, counting()[1])
    monkeypatch.setattr(_cache, "_make_room", lambda folder: None)
    kept = {}
    for seed in (1, 2, 3, 4):
        calls, make = counting()
        cached(run(), {"seed": seed}, make)
        kept[seed] = not calls
    assert kept == {1: True, 2: True, 3: False, 4: True}


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WDYN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "wdyn"
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for unset in ("", "not/absolute"):  # to be ignored, by the XDG specification
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert cache_folder() == tmp_path / "home" / ".cache" / "wdyn"
