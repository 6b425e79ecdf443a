"""What a Recorder refuses before anything is touched: taken paths, misuse, a disk that takes nothing."""

from __future__ import annotations

import os
import re
import sys

import pytest
import torch
from torch import nn

from tests.record.frames import read
from tests.record.training import small
from wdyn.errors import MisuseError, RunExistsError
from wdyn.journal.lock import live_holder
from wdyn.places import parts_folder
from wdyn.record.recorder import Recorder


def test_paths(tmp_path, monkeypatch, journal_only):
    monkeypatch.chdir(tmp_path)
    with Recorder(small()) as first, Recorder(small()) as second:
        assert re.fullmatch(r"Sequential-\d{8}-\d{6}\.h5", first.path.name)
        assert first.path.parent == tmp_path / "checkpoints"
        assert second.path != first.path
        first.step()
        second.step()
    assert journal_only == [second.path, first.path]


def test_a_taken_path_is_refused_before_anything_is_touched(tmp_path):
    path = tmp_path / "deep" / "a.h5"
    with Recorder(small(), path) as rec:
        rec.step()
        assert live_holder(parts_folder(path)).pid == os.getpid()
        with pytest.raises(RunExistsError, match=f"process {os.getpid()} on "):
            Recorder(small(), path)
    before = {p: p.read_bytes() for p in parts_folder(path).iterdir()}
    assert not any(p.name == "lock" for p in before)
    with pytest.raises(RunExistsError, match="interrupted recording"):
        Recorder(small(), path)
    assert {p: p.read_bytes() for p in parts_folder(path).iterdir()} == before
    other = tmp_path / "b.h5"
    other.write_bytes(b"mine")
    with pytest.raises(RunExistsError, match="never overwritten"):
        Recorder(small(), other)
    assert other.read_bytes() == b"mine"
    assert not parts_folder(other).exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"model": "net"}, "must be a torch.nn.Module"),
        ({"model": nn.ReLU()}, "no parameters"),
        ({"model": nn.LazyLinear(3)}, "Run one batch"),
        ({"model": nn.Linear(2, 2, device="meta")}, "meta device"),
        ({"model": nn.Linear(2, 2, dtype=torch.complex64)}, "weight is complex64.*exclude='weight'"),
        ({"include": "nothing*"}, "leave no parameter. The model has: 0.weight, 0.bias"),
        ({"include": [3]}, "names or globs"),
        ({"optimizer": torch.optim.SGD([nn.Parameter(torch.zeros(1))])}, "owns no parameter"),
        ({"optimizer": "sgd"}, "must be a torch.optim.Optimizer"),
        ({"metadata": {"when": {1, 2}}}, "JSON"),
        ({"metadata": {"lr": float("nan")}}, "JSON"),
        ({"metadata": [1]}, "metadata is a dict"),
        ({"sample": torch.zeros(3, 2)}, "pair"),
        ({"sample": (torch.zeros(3), torch.zeros(2))}, "3 inputs but 2 targets"),
        ({"sample": (["a", "b"], [1, 2])}, "arrays of numbers"),
        ({"sample": (torch.eye(2).to_sparse(), torch.zeros(2))}, "arrays of numbers"),
        ({"sample": (torch.zeros(2).to(torch.float8_e4m3fn), torch.zeros(2))}, "arrays of numbers"),
        ({"include": 5}, "names or globs such as 'fc\\*', but got 5"),
        ({"exclude": None}, "names or globs such as 'fc\\*', but got None"),
        ({"metadata": 0}, "metadata is a dict of names to JSON values, but got int"),
        ({"metadata": {"big": 10**4299 * 7, "too": [10**4298 * 100]}}, "whole number of 4301 digits|4300 digits"),
        ({"schedule": 10}, "function of the step"),
        ({"when_behind": "never"}, "'wait' or 'skip'"),
    ],
)
def test_misuse_is_said_at_the_door(tmp_path, arguments, text):
    with pytest.raises(MisuseError, match=text):
        Recorder(**{"model": small(), "path": tmp_path / "a.h5", **arguments})
    assert not list(tmp_path.iterdir())


def test_numbers_that_json_reads_only_on_a_machine_told_so(tmp_path):
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        with pytest.raises(MisuseError, match="whole number of 4301 digits"):
            Recorder(small(), tmp_path / "a.h5", metadata={"seeds": [10**4300]})
        with Recorder(small(), tmp_path / "a.h5", metadata={"seeds": [10**4299]}) as rec:
            rec.step()
    finally:
        sys.set_int_max_str_digits(limit)
    assert read(tmp_path / "a.h5").schema.meta["metadata"] == {"seeds": [10**4299]}


def test_a_path_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MisuseError, match="cannot be recorded to"):
        Recorder(small(), tmp_path / "file" / "a.h5")


def test_a_disk_that_is_full_from_the_start(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(MisuseError, match="No space left"):
        Recorder(small(), tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())
