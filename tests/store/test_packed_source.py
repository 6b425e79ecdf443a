import os
import signal

import numpy as np
import pytest

from tests.make_run import make_run
from wdyn.store.packed_source import PackedSource


@pytest.mark.parametrize("positions", [[0], [31, 32], [3, 5, 33, 63, 64], list(range(70)), list(range(0, 70, 7))])
@pytest.mark.parametrize("rows", [slice(None), slice(3, 7), slice(8, 9)])
def test_any_steps_of_any_rows(tmp_path, walk, positions, rows):
    steps = walk({"w": (9, 300), "b": (9,)}, steps=range(70))  # chunks of 32 steps, three rows of w
    source = PackedSource(make_run(tmp_path / "a.h5", steps))
    for name in ("w", "b"):
        truth = np.stack([steps[position][name][rows] for position in positions])
        np.testing.assert_array_equal(source.read(name, np.array(positions), rows), truth)
    source.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_reads_on_with_threads_of_its_own(tmp_path, walk):
    steps = walk({"w": (9, 900)}, steps=range(70))
    source = PackedSource(make_run(tmp_path / "a.h5", steps))
    every = np.arange(70)
    truth = source.read("w", every)
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(int(not np.array_equal(source.read("w", every), truth)))
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(source.read("w", every), truth)
    source.close()
