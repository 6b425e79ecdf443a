from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.record.training import small
from wdyn.errors import MisuseError, RunExistsError
from wdyn.places import parts_folder
from wdyn.record import claim as claiming
from wdyn.record.recorder import Recorder


def test_a_run_packed_between_the_look_and_the_folder_is_not_shadowed(tmp_path, monkeypatch):
    path, mkdir = tmp_path / "a.h5", Path.mkdir

    def late(self, *args, **kwargs):
        if self == parts_folder(path):
            path.write_bytes(b"another's run")  # its own folder was removed just now
        mkdir(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", late)
    with pytest.raises(RunExistsError, match="never overwritten"):
        claiming.claim(path)
    assert os.listdir(tmp_path) == ["a.h5"]
    assert path.read_bytes() == b"another's run"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (torch.optim.SGD(small().parameters(), lr=0.1), "got SGD. Did you mean optimizer="),
        (3, "got int. Give text"),
        (b"runs/a.h5", "got bytes. Give text"),
        ("", "'' names no file"),
        ("a\0b.h5", r"names no file"),
        (".", r"^\. is a folder. Give the path of a file in it, such as run.h5"),
    ],
)
def test_a_path_that_names_no_file_is_said(tmp_path, monkeypatch, path, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MisuseError, match=text):
        Recorder(small(), path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("../evil", "evil"),
        ("a/b\\c d", "a_b_c_d"),
        ("..", "model"),
        ("Nét", "Nét"),
        ("\0", "model"),
        ("x" * 300, "x" * 50),
        ("Net[1]", "Net_1"),
    ],
)
def test_a_class_of_any_name_is_recorded_in_the_default_folder(tmp_path, monkeypatch, name, stem):
    monkeypatch.chdir(tmp_path)
    model = type("Net", (torch.nn.Linear,), {})(2, 2)
    type(model).__name__ = name.replace("\0", "?")  # Python itself refuses a null character
    with Recorder(model) as rec:
        rec.step()
    assert rec.path.parent == tmp_path / "checkpoints"
    assert rec.path.name.startswith(f"{stem}-")
    assert os.listdir(tmp_path) == ["checkpoints"]
