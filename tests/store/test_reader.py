import os
import shutil

import numpy as np
import pytest

import wdyn
from tests.make_run import make_run, write_journal
from wdyn.errors import DamagedError, RunFileError
from wdyn.journal.lock import release
from wdyn.journal.scan import scan
from wdyn.places import parts_folder
from wdyn.store.pack import pack


def test_condition(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}), live=True)
    with wdyn.open_run(path) as run:
        assert run.condition == "recording"
    release(parts_folder(path))
    with wdyn.open_run(path) as run:
        assert run.condition == "interrupted"
    pack(path)
    with wdyn.open_run(path) as run:
        assert run.condition == "finished"


def test_the_parts_folder_and_a_string_are_paths_too(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}))
    for given in (str(path), parts_folder(path), path):
        with wdyn.open_run(given) as run:
            assert run.path == path
            assert run.name == "a"


def test_a_growing_journal_is_read_as_far_as_it_goes(tmp_path, walk):
    steps = walk({"w": (30,)}, steps=range(6))
    whole = write_journal(tmp_path / "whole.h5", steps)
    data = (parts_folder(whole) / "seg-000000.wdj").read_bytes()
    frames = scan(parts_folder(whole) / "seg-000000.wdj")
    ends = [frame.offset + frame.header.length for frame in frames]
    folder = tmp_path / "a.h5.parts"
    folder.mkdir()
    for cut in range(ends[1], len(data) + 1, 7):  # from the first step on, the writer may be anywhere
        (folder / "seg-000000.wdj").write_bytes(data[:cut])
        with wdyn.open_run(tmp_path / "a.h5") as run:
            expected = sum(end <= cut for end in ends[1:])
            assert run.steps.tolist() == list(range(expected))
            np.testing.assert_array_equal(run.state(expected - 1)["w"], steps[expected - 1]["w"])


def test_a_run_that_is_open_stays_as_it_was_while_the_journal_grows(tmp_path, walk):
    steps = walk({"w": (30,)}, steps=range(6))
    path = write_journal(tmp_path / "a.h5", {s: steps[s] for s in range(3)})
    longer = write_journal(tmp_path / "b.h5", steps)
    with wdyn.open_run(path) as run:
        shutil.copy(parts_folder(longer) / "seg-000000.wdj", parts_folder(path) / "seg-000000.wdj")
        assert run.steps.tolist() == [0, 1, 2]
        np.testing.assert_array_equal(run.state(2)["w"], steps[2]["w"])
        with wdyn.open_run(path) as again:
            assert again.steps.tolist() == list(range(6))


def test_a_damaged_step_of_a_journal_is_never_returned(tmp_path, walk):
    steps = walk({"fc1.weight": (30, 4)}, steps=range(4))
    path = write_journal(tmp_path / "a.h5", steps)
    segment = parts_folder(path) / "seg-000000.wdj"
    data = bytearray(segment.read_bytes())
    data[scan(segment)[2].offset + 17] ^= 4  # step 1
    segment.write_bytes(data)
    with wdyn.open_run(path) as run:
        np.testing.assert_array_equal(run.neurons("fc1", 2), steps[2]["fc1.weight"])
        for ask in (lambda: run.neurons("fc1", 1), lambda: run.state(1), lambda: list(run.blocks("fc1"))):
            with pytest.raises(DamagedError, match="step 1 "):
                ask()


def test_a_journal_that_was_packed_while_open_says_so(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"fc1.weight": (3, 4)}))
    with wdyn.open_run(path) as run:
        shutil.rmtree(parts_folder(path))
        with pytest.raises(RunFileError, match=r"its journal is gone.*Open the run again"):
            run.neurons("fc1", 0)


def test_a_broken_file_beside_its_whole_journal_does_not_hide_it(tmp_path, arrays):
    path = write_journal(tmp_path / "a.h5", arrays)
    path.write_bytes(b"")
    with wdyn.open_run(path) as run:
        assert run.condition == "interrupted"
        assert run.steps.tolist() == list(arrays)


def test_a_read_only_folder_is_no_obstacle(tmp_path, arrays):
    (tmp_path / "runs").mkdir()
    path = make_run(tmp_path / "runs" / "a.h5", arrays)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        with wdyn.open_run(path) as run:
            assert run.steps.tolist() == list(arrays)
        assert os.listdir(path.parent) == ["a.h5"]
    finally:
        path.parent.chmod(0o755)


def test_no_such_run_names_what_is_beside(tmp_path, walk):
    make_run(tmp_path / "mnist.h5", walk({"w": (3,)}))
    write_journal(tmp_path / "cifar.h5", walk({"w": (3,)}))
    with pytest.raises(RunFileError, match=r"minst\.h5: no such run\. Beside it: cifar\.h5, mnist\.h5\.$"):
        wdyn.open_run(tmp_path / "minst.h5")
    with pytest.raises(RunFileError, match=r"no such run, nor its folder"):
        wdyn.open_run(tmp_path / "nowhere" / "a.h5")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFileError, match=r"no such run; .*empty holds none"):
        wdyn.open_run(tmp_path / "empty" / "a.h5")
    (tmp_path / "b.h5.parts").mkdir()
    with pytest.raises(RunFileError, match="nothing has been recorded"):
        wdyn.open_run(tmp_path / "b.h5")


@pytest.mark.parametrize(("live", "text"), [(True, "no step has been recorded yet"), (False, "an empty run")])
def test_a_journal_without_a_step_says_so(tmp_path, live, text):
    path = write_journal(tmp_path / "a.h5", {}, layers=[], live=live)
    with pytest.raises(RunFileError, match=text):
        wdyn.open_run(path)


def test_a_segment_torn_in_its_first_frame_says_so(tmp_path, walk):
    path = write_journal(tmp_path / "a.h5", walk({"w": (3,)}))
    segment = parts_folder(path) / "seg-000000.wdj"
    segment.write_bytes(segment.read_bytes()[:100])
    with pytest.raises(RunFileError, match="not even the start of a recording"):
        wdyn.open_run(path)
