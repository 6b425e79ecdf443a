"""Observing changes nothing: trainings with and without a Recorder are compared after each update, in fresh processes.

What is compared is said in `wdyn.record.fingerprint`, to which losses, the loss scale, the user's own hooks and warning
filters come. That the comparison would notice is tested with recorders that disturb the training on purpose.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.record.bad_recorders import BAD, DUE
from tests.record.observed import difference, observe
from tests.record.trainings import TRAININGS, TWO_PROCESSES
from wdyn.record import exporting

pytestmark = pytest.mark.slow
RECORDED = ("none", "Recorder")
SWITCHED_OFF = {"no program", "skipping", "every third"}
WITHOUT_PROGRAM = {"compiled later", "branching", "uncopyable", "no eval mode", "wild", "endless", *SWITCHED_OFF}


def updates(result: dict) -> int:
    return sum("end" not in line for line in result["lines"]) - 1


def test_training_is_bit_identical_with_and_without(tmp_path: Path) -> None:
    found = observe(tmp_path, [(training, recorder) for training in TRAININGS for recorder in RECORDED])
    differences = {each: difference(*(found[each, recorder] for recorder in RECORDED)) for each in TRAININGS}
    assert differences == dict.fromkeys(TRAININGS)
    with_it = {training: found[training, "Recorder"][0] for training in TRAININGS}
    counts = {"accumulated gradients": 4, "two optimizers": 16, "loss scale": 7}
    assert {each: updates(result) for each, result in with_it.items()} == dict.fromkeys(TRAININGS, 8) | counts
    for training, result in with_it.items():
        kept = [step for step in range(updates(result) + 1) if training != "every third" or step % 3 == 0]
        assert sorted(map(int, result["recorded"])) == kept, training
    assert {each for each, result in with_it.items() if result["program"] is None} == WITHOUT_PROGRAM
    assert all(len(result["no_program"]) == (result["program"] is None) for result in with_it.values())
    assert {each for each, result in with_it.items() if result["no_program"] == [exporting.OFF]} == SWITCHED_OFF
    hooked = with_it["hooks of the user"]
    assert hooked["lines"][-1]["seen"]["calls"] == {"": 16}
    assert hooked["program"]["without_hooks"] == ["", "fc"]
    first, second = found[TWO_PROCESSES, "Recorder"]
    assert first["lines"][3]["seen"]["buffers"] != second["lines"][3]["seen"]["buffers"]  # each has its own batches


def test_where_nothing_of_torchs_exporter_was_loaded_before(tmp_path: Path) -> None:
    found = observe(tmp_path, [("plain", recorder) for recorder in RECORDED], fresh=True)
    assert difference(*found.values()) is None


def test_a_recorder_that_disturbs_is_noticed_with_the_right_word(tmp_path: Path) -> None:
    jobs = {name: (training, name) for name, (_, training, _) in BAD.items()} | {"refers": ("plain", "refers")}
    without = {(training, "none") for training, _ in jobs.values()}
    found = observe(tmp_path, [*without, *jobs.values()])
    noticed = {name: difference(found[job[0], "none"], found[job]) for name, job in jobs.items()}
    said = {name: (each and (each.update, set(each.parts))) for name, each in noticed.items()}
    expected = {name: (DUE, words) for name, (_, _, words) in BAD.items()}
    for name in ("leaves a hook", "leaves a hook on a tensor"):  # what is left is seen at the end
        expected[name] = (8, {"hooks"})
    assert said == expected | {"refers": (0, {"recorded values"})}
    assert str(noticed["draws from NumPy"]) == "at update 3 in random numbers (NumPy)"
