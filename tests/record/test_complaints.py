# ruff: noqa: PT031 - a warning may come at any moment of a training, its end included
from __future__ import annotations

import io
import shutil
import sys
import warnings

import pytest

from tests.record.conftest import really_pack
from tests.record.training import small, train
from wdyn.places import parts_folder
from wdyn.record import packing
from wdyn.record.complaints import Complaints
from wdyn.record.recorder import Recorder


@pytest.mark.parametrize("action", ["error", "always"])
@pytest.mark.parametrize("stderr", ["closed", None])
def test_nowhere_to_say_it_is_no_reason_to_raise(tmp_path, monkeypatch, action, stderr):
    stream = io.StringIO() if stderr else None
    if stream is not None:
        stream.close()
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        monkeypatch.setattr(warnings, "showwarning", lambda *_, **__: sys.stderr.write("as Python does"))
        monkeypatch.setattr(sys, "stderr", stream)
        Complaints(tmp_path / "a.h5").once("something")


def test_a_failed_packing_is_said_with_the_packers_own_sentence(tmp_path, monkeypatch):
    sentence = f"{tmp_path}/a.h5: could not be packed ([Errno 28] No space left).\n  The journal a.h5.parts\n stands.\n"
    said_by(monkeypatch, f"import sys; sys.stderr.write({sentence!r}); sys.exit(1)")
    with pytest.warns(UserWarning, match="packing failed") as caught, Recorder(small(), tmp_path / "a.h5") as rec:
        rec.step()
    text = str(caught[0].message)
    assert " ".join(sentence.split()) in text
    assert "wdyn.open_run finds it" in text
    assert ".." not in text
    assert ". (" not in text


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("raise KeyError('a bug')", "packing failed: KeyError: 'a bug'. What was recorded stands"),
        ("import os; os._exit(3)", "packing failed: the packing process ended with exit status 3. What was"),
    ],
)
def test_a_packer_that_breaks(tmp_path, monkeypatch, script, text):
    said_by(monkeypatch, script)
    with pytest.warns(UserWarning, match=text), Recorder(small(), tmp_path / "a.h5") as rec:
        rec.step()


def test_a_journal_that_was_deleted_is_not_called_whole(tmp_path, packing_on):
    pytest.importorskip("wdyn.store.pack")
    model = small()
    with pytest.warns(UserWarning, match="packing failed|missing|write") as caught, Recorder(model, tmp_path / "a.h5"):
        train(model, 2)
        shutil.rmtree(parts_folder(tmp_path / "a.h5"))
    text = str(caught[-1].message)
    assert "no journal a.h5.parts to pack" in text
    assert "The journal a.h5.parts is gone, and what was recorded with it" in text


def test_a_long_list_of_missing_steps_is_summed_up(tmp_path):
    from wdyn.record.journal import Journal
    from wdyn.record.missing import Missing

    journal = Journal.__new__(Journal)
    journal.missing = [Missing("gap", str(i), 3 * i, 3 * i + 1, 2) for i in range(100)]
    journal.lost_metrics = journal.lost_notes = 0
    journal.unwritten = {}
    with pytest.warns(UserWarning, match=r"2 steps from 57 to 58 \(gap: 19\); 160 more steps from 60 to 298\.$"):
        Complaints(tmp_path / "a.h5").missing(journal)


def said_by(monkeypatch, script):
    """Packing, with this script in the place of the packer."""
    popen = packing.subprocess.Popen
    monkeypatch.setattr(packing, "pack", really_pack)
    monkeypatch.setattr(packing.subprocess, "Popen", lambda _, **rest: popen([sys.executable, "-c", script], **rest))
