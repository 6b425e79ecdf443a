"""Recording that goes on where another ended: nothing kept twice, nothing of the past lost that still holds."""

from __future__ import annotations

import copy
import os
import shutil
import socket
import time
import warnings
from threading import Thread

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

from tests.record.training import raw, small, update
from wdyn.errors import MisuseError, RunExistsError, RunFileError
from wdyn.journal.lock import LOCK, alone
from wdyn.journal.scan import segments
from wdyn.places import parts_folder
from wdyn.record import packing
from wdyn.record.missing import Missing
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import every
from wdyn.store.pack import _put_away as put_away
from wdyn.store.pack import pack
from wdyn.store.reader import open_run
from wdyn.store.unpack import unpack


class Training:
    """A model and its optimizer, whose states are kept as a user's own checkpoints would."""

    def __init__(self, model=None, momentum=0.9):
        torch.manual_seed(0)
        self.model = small() if model is None else model
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=momentum)
        self.seen = {0: raw(self.model)}
        self.saved = {}
        self.step = 0

    def go(self, steps):
        for _ in range(steps):
            torch.manual_seed(self.step)
            update(self.model, self.optimizer)
            self.step += 1
            self.seen[self.step] = raw(self.model)
            self.saved[self.step] = copy.deepcopy((self.model.state_dict(), self.optimizer.state_dict()))

    def back_to(self, step):
        model, optimizer = self.saved[step]
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        self.step = step


def killed(rec):
    """What a killed process leaves: its hooks are gone, its frames are there, nothing says that it ended."""
    rec._tape.writer.finish()
    rec._hooks.detach()
    rec._exporter.close()
    rec._closed = True
    import atexit

    atexit.unregister(rec.close)
    lock = parts_folder(rec.path) / LOCK
    lock.write_text(lock.read_text().replace(f'"pid": {os.getpid()}', '"pid": 4194305'))


def assert_holds(path, seen, steps):
    with open_run(path) as run:
        assert run.steps.tolist() == list(steps)
        for step in steps:
            assert {n: a.tobytes() for n, a in run.state(step, masked=False).items()} == seen[step]


@pytest.mark.parametrize("back", [7, 4, 0])
def test_goes_on_from_the_step_that_the_model_is_at(tmp_path, back):
    path, training = tmp_path / "a.h5", Training()
    training.saved[0] = copy.deepcopy((training.model.state_dict(), training.optimizer.state_dict()))
    rec = Recorder(training.model, path)
    training.go(7)
    killed(rec)
    before = dict(training.seen)
    training.back_to(back)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rec = Recorder(training.model, path, resume=True)
    assert ["the first update replaces all steps" in str(each.message) for each in caught] == [True] * (back == 0)
    with rec:
        assert rec.step_count == back
        training.go(10 - back)
        assert rec.step_count == 10
    assert all(training.seen[step] == before[step] for step in before)  # the same training
    assert_holds(path, training.seen, range(11))
    with open_run(path) as run:
        assert [note["what"] for note in run.notes if note["what"] == "resumed"] == ["resumed"]


def test_what_another_training_recorded_after_that_step_holds_no_more(tmp_path):
    path, training = tmp_path / "a.h5", Training()

    def known():
        with open_run(path) as run:
            return run.steps.tolist(), run.metrics["loss"].steps.tolist()

    rec = Recorder(training.model, path, schedule=every(2))
    rec.log(loss=0.0)
    training.go(9)
    rec.log(loss=9.0)
    killed(rec)
    training.back_to(4)
    training.optimizer.param_groups[0]["lr"] = 0.01  # from here on it is another one
    with Recorder(training.model, path, resume=True, schedule=every(3)) as rec:
        training.go(1)
        due = time.monotonic() + 600
        while known() != ([0, 2, 4], [0]):  # 6 and 8 are of a training that ended there
            assert time.monotonic() < due
        training.go(1)
    assert_holds(path, training.seen, [0, 2, 4, 6])


@pytest.mark.parametrize("resume", [True, 6])
def test_scalars_of_the_ended_training_that_no_recorded_step_followed_hold_no_more(tmp_path, resume):
    path, training = tmp_path / "a.h5", Training()
    rec = Recorder(training.model, path, schedule=every(4))
    for step in range(1, 8):
        training.go(1)
        rec.log(loss=step)
    killed(rec)
    training.back_to(4 if resume is True else 6)
    with Recorder(training.model, path, resume=resume, schedule=every(4)) as rec:
        training.go(1)
        rec.log(other=1.0)
    with open_run(path) as run:
        assert run.metrics["loss"].steps.tolist() == list(range(1, training.step))


@pytest.mark.parametrize("damaged", [False, True])
def test_thinning_does_not_bring_back_what_holds_no_more(tmp_path, monkeypatch, damaged):
    monkeypatch.setattr("wdyn.record.journal.SEGMENT_SIZE", 300)
    path, training = tmp_path / "a.h5", Training()
    rec = Recorder(training.model, path)
    training.go(25)
    prune.random_unstructured(training.model[0], "weight", 0.5)
    training.go(5)
    rec.log(loss=30.0)
    killed(rec)
    prune.remove(training.model[0], "weight")
    training.optimizer = torch.optim.SGD(training.model.parameters(), lr=0.1)
    if damaged:  # a step of the training that ended
        segment = [each for each in segments(parts_folder(path)) if each.stat().st_size > 300][-1]
        content = bytearray(segment.read_bytes())
        content[-1] ^= 1
        segment.write_bytes(content)
    training.model.load_state_dict({n.removesuffix("_orig"): t for n, t in training.saved[21][0].items()})
    with Recorder(training.model, path, resume=True, max_bytes=24 * 8 // 7 * 92) as rec:
        assert rec.step_count == 21
        training.step = 21
        training.go(12)
    with open_run(path) as run:
        assert not run.metrics
        assert 32 in run.steps
        assert not run.masks(32)


def test_nothing_is_replaced_before_training_goes_on(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    rec = Recorder(training.model, path)
    training.go(5)
    killed(rec)
    training.back_to(2)
    Recorder(training.model, path, resume=True).close()
    assert_holds(path, training.seen, range(6))


def test_a_checkpoint_loaded_after_the_recorder_was_made(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    rec = Recorder(training.model, path)
    training.go(6)
    killed(rec)
    again = Training()  # the same seed: its weights are those of step 0
    again.saved, again.seen = training.saved, training.seen
    with Recorder(again.model, path, resume=True) as rec:
        assert rec.step_count == 0
        again.back_to(5)
        again.go(3)
        assert rec.step_count == 8
    assert_holds(path, training.seen, range(9))


def with_norm():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))


def test_a_checkpoint_loaded_after_the_recorder_was_made_whose_buffers_then_saw_a_forward_pass(tmp_path):
    path, training = tmp_path / "a.h5", Training(with_norm())
    rec = Recorder(training.model, path)
    training.go(6)
    killed(rec)
    again = Training(with_norm())
    again.saved, again.seen = training.saved, training.seen
    with Recorder(again.model, path, resume=True) as rec:
        assert rec.step_count == 0
        again.back_to(4)
        again.go(3)
        assert rec.step_count == 7
    assert_holds(path, training.seen, range(8))


def test_weights_of_no_recorded_step_loaded_after_the_recorder_was_made_replace_nothing(tmp_path):
    path, training = tmp_path / "a.h5", Training(with_norm())
    rec = Recorder(training.model, path, schedule=every(4))
    training.go(9)
    killed(rec)
    again = Training(with_norm())
    again.saved = training.saved
    rec = Recorder(again.model, path, resume=True, schedule=every(4))
    again.back_to(6)
    with pytest.warns(UserWarning, match=r"recording ended at step 0: the weights .* no recorded step.*resume=STEP"):
        again.go(3)
    rec.close()
    assert_holds(path, training.seen, [0, 4, 8])


def test_weights_of_no_recorded_step_need_the_step(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    rec = Recorder(training.model, path, schedule=every(4))
    training.go(9)
    killed(rec)
    training.back_to(6)
    with pytest.raises(MisuseError, match=r"not those of one of its 3 steps from 0 to 8\. Load .* resume=1000"):
        Recorder(training.model, path, schedule=every(4), resume=True)
    with Recorder(training.model, path, schedule=every(4), resume=6):  # the refusal has left nothing behind
        training.go(3)
    assert_holds(path, training.seen, [0, 4, 6, 8])


def test_a_run_that_was_packed(tmp_path, packing_on):
    path, training = tmp_path / "a.h5", Training()
    with Recorder(training.model, path, sample=(torch.ones(2, 4), torch.ones(2))) as rec:
        training.go(40)
        rec.log(loss=1.0)
    with Recorder(training.model, path, resume=True, sample=(torch.zeros(2, 4), torch.ones(2))) as rec:
        assert rec.step_count == 40
        assert not path.exists()
        training.go(5)
    assert not parts_folder(path).exists()
    assert_holds(path, training.seen, range(46))
    with open_run(path) as run:
        assert run.sample.inputs.tolist() == np.ones((2, 4)).tolist()
        assert run.metrics["loss"].values.tolist() == [1.0]
        assert run.condition == "finished"


def test_a_packed_run_whose_notes_are_not_in_the_order_of_their_steps(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    with Recorder(training.model, path, schedule=every(10)) as rec:
        training.go(20)
        rec._tape.flush()
        rec._tape._missing = Missing("skipped", "the disk was slower than the training", 19, 19)
        training.go(5)
        training.model.register_parameter("newcomer", torch.nn.Parameter(torch.ones(1)))
        with pytest.warns(UserWarning, match=r"not recorded are newcomer|are missing"):
            rec.close()
    pack(path)
    with open_run(path) as run:
        notes = run.notes
        assert [note["step"] for note in notes] != sorted(note["step"] for note in notes)
    unpack(path)
    assert not path.exists()
    with open_run(path) as run:
        assert run.notes == notes
        assert run.steps.tolist() == [0, 10, 20]


def test_a_run_is_not_unpacked_while_its_journal_is_put_away(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    with Recorder(training.model, path):
        training.go(3)
    shutil.copytree(parts_folder(path), tmp_path / "copy")
    pack(path)
    (tmp_path / "copy").rename(parts_folder(path))  # both stand, as when a packer has just written the file
    with alone(parts_folder(path), wait=False):
        unpacking = Thread(target=unpack, args=[path])
        unpacking.start()
        unpacking.join(timeout=1)
        assert path.exists()
        put_away(parts_folder(path), damaged=False)
    unpacking.join()
    assert not path.exists()
    assert_holds(path, training.seen, range(4))


def test_a_journal_of_another_run_beside_the_file_is_said(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    for name in ("a.h5", "b.h5"):
        with Recorder(training.model, tmp_path / name):
            training.go(2)
    pack(path)
    parts_folder(tmp_path / "b.h5").rename(parts_folder(path))
    before = path.read_bytes()
    with pytest.raises(RunFileError, match=r"a.h5.parts stand beside each other and do not hold the same\."):
        unpack(path)
    assert path.read_bytes() == before
    assert segments(parts_folder(path))


def test_the_first_of_several_times(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    for _ in range(3):
        rec = Recorder(training.model, path, resume=True)
        training.go(4)
        killed(rec)
    assert len(segments(parts_folder(path))) == 3
    assert_holds(path, training.seen, range(13))
    pack(path)
    assert_holds(path, training.seen, range(13))


@pytest.mark.parametrize("cut", [1, 60, 200])
def test_a_step_torn_in_the_middle_is_no_hole_afterwards(tmp_path, cut):
    path, training = tmp_path / "a.h5", Training()
    rec = Recorder(training.model, path)
    training.go(5)
    killed(rec)
    last = segments(parts_folder(path))[-1]
    os.truncate(last, last.stat().st_size - cut)
    with open_run(path) as run:
        there = int(run.steps[-1])
    assert there < 5
    training.back_to(there)
    with Recorder(training.model, path, resume=True):
        training.go(3)
    with open_run(path) as run:
        assert not [note for note in run.notes if note["what"] == "damaged"]
    assert_holds(path, training.seen, range(there + 4))


@pytest.mark.parametrize("still", [True, False])
def test_masks_hold_that_the_model_has_now(tmp_path, still):
    path, training = tmp_path / "a.h5", Training()
    rec = Recorder(training.model, path)
    training.go(3)
    prune.random_unstructured(training.model[0], "weight", 0.5)
    mask = training.model[0].weight_mask.numpy() != 0
    training.go(2)
    killed(rec)
    if not still:
        prune.remove(training.model[0], "weight")  # as a model made anew with the weights of the checkpoint
        training.optimizer = torch.optim.SGD(training.model.parameters(), lr=0.1)
        mask = np.ones((3, 4), bool)
    with Recorder(training.model, path, resume=True if still else 5):
        training.go(2)
    with open_run(path) as run:
        assert run.steps.tolist() == list(range(8))
        for step in (5, 6, 7):
            np.testing.assert_array_equal(run.masks(step)["0.weight"], mask)


def test_nothing_there_is_a_new_run(tmp_path):
    path, training = tmp_path / "deep" / "a.h5", Training()
    with Recorder(training.model, path, resume=True) as rec:
        assert rec.step_count == 0
        training.go(2)
    assert_holds(path, training.seen, range(3))


def test_a_recording_that_died_before_its_first_frame_is_no_run(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    parts_folder(path).mkdir()
    (parts_folder(path) / "seg-000000.wdj").write_bytes(b"wdyn")
    with Recorder(training.model, path, resume=True):
        training.go(2)
    assert_holds(path, training.seen, range(3))


def test_a_folder_of_the_user_is_not_deleted(tmp_path):
    folder = parts_folder(tmp_path / "a.h5")
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(MisuseError, match=r"cannot be resumed: .*not empty"):
        Recorder(small(), tmp_path / "a.h5", resume=True)
    assert os.listdir(folder) == ["thesis.tex"]


def test_a_live_recording_is_not_taken_over(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    with Recorder(training.model, path):
        training.go(2)
        with pytest.raises(RunExistsError, match=f"being written by process {os.getpid()}"):
            Recorder(training.model, path, resume=True)
        training.go(2)
    assert_holds(path, training.seen, range(5))


def test_a_lock_of_another_machine_can_be_deleted(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    rec = Recorder(training.model, path)
    training.go(2)
    killed(rec)
    lock = parts_folder(path) / LOCK
    lock.write_text(lock.read_text().replace(socket.gethostname(), "node-7"))
    with pytest.raises(RunExistsError, match=r"on node-7, which cannot be seen .* delete .*a.h5.parts/lock if"):
        Recorder(training.model, path, resume=True)
    lock.unlink()
    with Recorder(training.model, path, resume=True):
        training.go(2)
    assert_holds(path, training.seen, range(5))


def test_another_model_is_refused_and_changes_nothing(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    rec = Recorder(training.model, path)
    training.go(2)
    killed(rec)
    with pytest.raises(MisuseError, match=r"cannot be resumed: 0.weight is now float32 \(3, 5\) and was .*same model"):
        Recorder(torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)), path, resume=True)
    with Recorder(training.model, path, resume=True):
        training.go(1)
    assert_holds(path, training.seen, range(4))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"resume": True}, "resume goes on with a run, so give its path"),
        ({"path": "a.h5", "resume": -1}, "resume is True, False or the step"),
        ({"path": "a.h5", "resume": "yes"}, "resume is True, False or the step"),
        ({"path": "a.h5", "resume": 1.5}, "resume is True, False or the step"),
    ],
)
def test_misuse_is_said_at_the_door(tmp_path, monkeypatch, options, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MisuseError, match=text):
        Recorder(small(), **options)
    assert not os.listdir(tmp_path)


def test_what_is_no_run_is_refused_and_stands(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"mine")
    with pytest.raises(MisuseError, match=r"cannot be resumed: .*not an HDF5 file"):
        Recorder(small(), tmp_path / "a.h5", resume=True)
    assert os.listdir(tmp_path) == ["a.h5"]
    assert (tmp_path / "a.h5").read_bytes() == b"mine"


def test_a_journal_that_is_being_packed_is_left_alone(tmp_path):
    path, training = tmp_path / "a.h5", Training()
    rec = Recorder(training.model, path)
    training.go(2)
    killed(rec)
    with alone(parts_folder(path), wait=False), pytest.raises(RunExistsError, match="being packed by another"):
        Recorder(training.model, path, resume=True)


def test_a_failed_unpacking_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "unpack", lambda path: "no room.")
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(MisuseError, match=r"cannot be resumed: no room\."):
        Recorder(small(), tmp_path / "a.h5", resume=True)
