from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest

from wdyn.errors import MisuseError, OutputError
from wdyn.report.write import replacing


def test_missing_folders_are_made_and_the_file_is_whole_and_ordinary(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "page.html"
    with replacing(target, keep=tmp_path / "run.h5") as write:
        write(b"whole")
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~mask


def test_an_older_report_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt), replacing(target, keep=tmp_path / "run.h5"):
        raise KeyboardInterrupt
    assert target.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [target]


def test_nothing_is_left_behind_not_even_the_folders(tmp_path: Path) -> None:
    with pytest.raises(ValueError), replacing(tmp_path / "a" / "b" / "page.html", keep=tmp_path / "run.h5"):
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError), replacing(tmp_path / "a" / "page.html", keep=tmp_path / "run.h5"):
        raise ValueError
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        path.open("wb").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"page\.html: cannot write here: No space left") as caught:  # noqa: SIM117
        with replacing(tmp_path / "a" / "page.html", keep=tmp_path / "run.h5") as write:
            write(b"whole")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_told_before_any_computing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write here"):  # noqa: SIM117
        with replacing(tmp_path / "a" / "page.html", keep=tmp_path / "run.h5"):
            pytest.fail("the block ran")


def test_a_read_only_folder_is_told_before_any_computing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")  # root could write into any folder made here

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    with pytest.raises(OutputError, match="Permission denied"):  # noqa: SIM117
        with replacing(tmp_path / "page.html", keep=tmp_path / "run.h5"):
            pytest.fail("the block ran")


def test_neither_the_run_nor_its_journal_is_replaced(tmp_path: Path) -> None:
    run = tmp_path / "run.h5"
    run.write_bytes(b"weights")
    (tmp_path / "link").symlink_to(tmp_path)
    for target in (run, tmp_path / "link" / "run.h5", tmp_path / "run.h5.parts" / "page.html"):
        with pytest.raises(MisuseError, match="run itself"), replacing(target, keep=run):
            pytest.fail("the block ran")
    assert run.read_bytes() == b"weights"


def test_a_folder_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"), replacing(tmp_path, keep=tmp_path / "run.h5"):
        pytest.fail("the block ran")


def test_a_pipe_or_device_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(OutputError, match="not an ordinary file"),
        replacing(tmp_path / "pipe", keep=tmp_path / "run.h5"),
    ):
        pass
    assert (tmp_path / "pipe").is_fifo()


def test_no_other_run_is_replaced_packed_or_not(tmp_path: Path) -> None:
    (tmp_path / "packed.h5").write_bytes(b"\x89HDF\r\n\x1a\n and more")
    (tmp_path / "journal.h5.parts").mkdir()
    for name in ("packed.h5", "journal.h5"):
        with (
            pytest.raises(MisuseError, match="another run stands here"),
            replacing(tmp_path / name, keep=tmp_path / "run.h5"),
        ):
            pass
    assert (tmp_path / "packed.h5").read_bytes().endswith(b"and more")
