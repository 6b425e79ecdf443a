"""Whatever the disk refuses, training goes on unchanged, and only what could not be written is missing, and named."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import shutil
import warnings

import numpy as np
import pytest

from tests.record.test_resume import Training
from tests.record.test_thinning import STEP
from tests.record.traced_disk import OPERATIONS, traced
from tests.torture import tell, times
from wdyn.errors import MisuseError, RunFileError
from wdyn.journal.lock import release
from wdyn.places import parts_folder
from wdyn.record import journal, packing
from wdyn.record.recorder import Recorder
from wdyn.store.pack import pack
from wdyn.store.reader import open_run

STEPS = 25
OPTIONS = {"plain": {}, "thinned": {"max_bytes": 12 * STEP}}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(journal, "SEGMENT_SIZE", 3000)
    monkeypatch.setattr(journal, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(journal, "LONGEST_PAUSE", 0.0)


@pytest.fixture(scope="module")
def reference():
    """The same training without a Recorder."""
    training = Training()
    training.go(STEPS)
    return training.seen


def record(path, options):
    """Train with a Recorder; the training, and all that was said."""
    training = Training()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with Recorder(training.model, path, **options) as rec:
            training.go(STEPS)
            rec.log(loss=1.0)
    return training, " ".join(str(each.message) for each in said)


def named(text):
    """The steps that the last warning names as missing."""
    steps = set()
    for first, last in re.findall(r"steps from (\d+) to (\d+) \(gap", text):
        steps |= set(range(int(first), int(last) + 1))
    return steps | {int(each) for each in re.findall(r"step (\d+) \(gap", text)}


def refusal(name, number, code, *, lasting):
    """Refuse the call of that number of a function (`any` of them), or all from it on."""

    total = itertools.count(1)

    def refuse(called, count):
        at = next(total) if name == "any" else count
        hit = name in (called, "any") and (at >= number if lasting else at == number)
        return OSError(code, os.strerror(code)) if hit else None

    return refuse


def cases(folder, options):
    """Every call of every function that a recording makes, once and from there on, with each error."""
    with traced(folder) as disk:
        record(folder / "a.h5", options)
    calls = {**disk.calls, "any": sum(disk.calls.values())}
    codes = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    every = [
        (name, number, code, lasting)
        for name in (*OPERATIONS, "any")
        for number in range(1, calls[name] + 1)
        for code in codes
        for lasting in (False, True)
    ]
    count = times(40, len(every))
    return [every[i] for i in sorted(np.random.default_rng(5).permutation(len(every))[:count])]


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.slow
def test_any_call_that_the_disk_refuses_costs_only_what_it_says(tmp_path, reference, kind):
    options, refused, missing = OPTIONS[kind], 0, 0
    (tmp_path / "clean").mkdir()
    tried = cases(tmp_path / "clean", options)
    with open_run(tmp_path / "clean" / "a.h5") as run:
        whole = set(run.steps.tolist())
    for at, (name, number, code, lasting) in enumerate(tried):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        with traced(folder) as disk:
            disk.refuse = refusal(name, number, code, lasting=lasting)
            try:
                training, said = record(folder / "a.h5", options)
            except MisuseError:  # before training began, which is the time to say it
                refused += 1
                continue
        assert training.seen == reference
        missing += assert_rest_is_there(folder / "a.h5", training.seen, whole, said, noted=not lasting)
        shutil.rmtree(folder)
    tell(f"{kind}: {len(tried)} disk errors: {refused} said at the start, 0 changed a weight, {missing} steps "
         "missing, all of them named, 0 wrong rows")  # fmt: skip


def assert_rest_is_there(path, seen, whole, said, *, noted):
    """All steps are there, right, or named as missing; how many are."""
    if noted is False and whole <= named(said):  # nothing was ever written
        return len(whole)
    release(parts_folder(path))  # where the disk refused that too, it holds as long as this process lives
    with open_run(path) as run:
        steps = set(run.steps.tolist())
        for step in steps:
            assert {n: a.tobytes() for n, a in run.state(step, masked=False).items()} == seen[step]
        gaps = [range(note["steps"][0], note["steps"][1] + 1) for note in run.notes if note["what"] == "gap"]
    missing = whole - steps
    assert missing <= named(said)
    if noted:  # the disk was there again, so the file says it as well
        assert missing <= set(itertools.chain(*gaps))
    pack(path)
    with open_run(path) as run:
        assert set(run.steps.tolist()) == steps
    return len(missing)


@pytest.mark.parametrize("small_disk", [True, False])
@pytest.mark.slow
def test_a_disk_that_is_full_for_20_steps_and_then_has_room(tmp_path, zygote, small_disk):
    (tmp_path / "disk").mkdir()
    status = zygote.run(
        "full_disk", folder=str(tmp_path / "disk"), report=str(tmp_path / "report"), small_disk=small_disk
    )
    assert status == 0, zygote.log.read_text()
    found = json.loads((tmp_path / "report").read_text())
    missing = set(range(61)) - set(found["steps"])
    assert found["wrong"] == 0
    assert found["trained"]
    assert missing
    assert missing <= set(range(21, 41))
    assert missing == set(itertools.chain(*(range(a, b + 1) for a, b in found["gaps"])))
    assert missing == named(found["said"][-1])
    what = "a tmpfs" if found["mounted"] else "a limit on the size of files"
    tell(f"{what}, full for 20 steps: {len(missing)} steps missing, all named, 0 wrong rows")


def test_a_folder_removed_while_training(tmp_path, reference, monkeypatch):
    def really_pack(path):
        try:
            pack(path)
        except RunFileError as error:
            return str(error)

    monkeypatch.setattr(packing, "pack", really_pack)
    training = Training()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with Recorder(training.model, tmp_path / "a.h5"):
            training.go(10)
            shutil.rmtree(parts_folder(tmp_path / "a.h5"))
            training.go(STEPS - 10)
    assert training.seen == reference
    assert "is gone, and what was recorded with it" in str(said[-1].message)
    assert os.listdir(tmp_path) == []
