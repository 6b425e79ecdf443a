"""The process that parses files: one for each process, within limits, and never missed when it dies."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import wdyn
from tests.make_run import make_run
from wdyn.errors import DamagedError, RunFileError
from wdyn.store import helper
from wdyn.store.helper import HELPER


@pytest.fixture
def run_file(tmp_path, walk):
    return make_run(tmp_path / "a.h5", walk({"fc1.weight": (3, 4)}, steps=range(35)))


def pid_of_helper():
    return HELPER._process.pid


def alive(pid):
    return Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] not in "ZX"


def opens(path):
    with wdyn.open_run(path) as run:
        return run.steps.tolist() == list(range(35)) and run.neurons("fc1", 34).shape == (3, 4)


def test_reading_a_run_never_loads_h5py(run_file):
    code = f"import sys, wdyn\nrun = wdyn.open_run({str(run_file)!r})\nrun.state(3)\nprint('h5py' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_one_process_serves_all_opens_of_all_threads(run_file):
    assert opens(run_file)
    first = pid_of_helper()
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(opens, [run_file] * 40))
    assert pid_of_helper() == first


def test_it_has_a_session_of_its_own_and_limits(run_file):
    assert opens(run_file)
    pid = pid_of_helper()
    assert os.getsid(pid) == pid
    limits = Path(f"/proc/{pid}/limits").read_text()
    soft = {name: int(value) for name, value in re.findall(r"^Max ([a-z ]+?) {2,}(\d+)", limits, re.MULTILINE)}
    assert soft["file size"] == soft["core file size"] == 0
    assert soft["address space"] < 16 << 30
    assert soft["cpu time"] < 60
    # nothing but the socket, the two standard streams, the run, and the run once more
    assert soft["open files"] == 5


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_after_a_fork_each_process_has_its_own(run_file):
    assert opens(run_file)
    mine = pid_of_helper()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            good = opens(run_file) and HELPER._process.pid != mine
            os.write(writer, str(HELPER._process.pid if good else 0).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(reader, 20))
    os.close(reader)
    os.close(writer)
    assert theirs
    assert opens(run_file)
    assert pid_of_helper() == mine
    wait_for(lambda: not alive(theirs))


def wait_for(condition):
    until = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("end", ["pass", "import os; os._exit(0)", "import os; os.kill(os.getpid(), 9)"])
def test_it_ends_with_its_parent_however_that_ends(run_file, end):
    code = (
        f"import wdyn\nwdyn.open_run({str(run_file)!r})\n"
        f"from wdyn.store.helper import HELPER\nprint(HELPER._process.pid, flush=True)\n{end}"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    wait_for(lambda: not alive(int(done.stdout)))


def test_one_that_was_ended_meanwhile_is_replaced(run_file):
    assert opens(run_file)
    before = pid_of_helper()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: not alive(before))
    assert opens(run_file)
    assert pid_of_helper() != before


def test_one_that_hangs_is_ended_and_the_next_open_works(run_file, monkeypatch):
    assert opens(run_file)
    monkeypatch.setattr(helper, "_LOOK", 1)
    hung = pid_of_helper()
    os.kill(hung, signal.SIGSTOP)
    with pytest.raises(
        DamagedError, match=r"a\.h5: HDF5's library did not come to an end within 3 s on this file in a "
    ):
        wdyn.open_run(run_file)
    assert not alive(hung)
    assert opens(run_file)


@pytest.mark.parametrize(
    ("sign", "what"), [(signal.SIGSEGV, r"crashed \(SIGSEGV\)"), (signal.SIGXCPU, "did not come to an end")]
)
def test_a_crash_is_one_sentence_and_the_next_open_works(run_file, sign, what):
    assert opens(run_file)
    crashed = pid_of_helper()
    os.kill(crashed, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (crashed, sign)).start()
    threading.Timer(0.4, os.kill, (crashed, signal.SIGCONT)).start()
    with pytest.raises(
        DamagedError, match=f"HDF5's library {what} on this file.*nothing was read.*another copy"
    ) as said:
        wdyn.open_run(run_file)
    assert "\n" not in str(said.value)
    assert opens(run_file)


def test_an_interrupted_open_leaves_no_answer_for_the_next(run_file, monkeypatch):
    assert opens(run_file)
    before = pid_of_helper()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(helper, "_receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            wdyn.open_run(run_file)
    assert opens(run_file)
    assert pid_of_helper() != before


def test_a_process_that_cannot_start_is_one_sentence(run_file, tmp_path, monkeypatch):
    HELPER.stop()
    for program in (str(tmp_path / "no python"), "/bin/false"):
        monkeypatch.setattr(sys, "executable", program)
        with pytest.raises(RunFileError, match=rf"a\.h5: the process that reads .* did not start: .*{program}"):
            wdyn.open_run(run_file)
    monkeypatch.undo()
    assert opens(run_file)


def test_a_file_that_changes_while_it_is_looked_at_is_refused(run_file, monkeypatch):
    honest = HELPER.ask

    def look(descriptor):
        data = honest(descriptor)
        with run_file.open("ab") as file:
            file.write(b"more")
        return data

    from wdyn.store.packed_source import PackedSource

    with pytest.raises(RunFileError, match=r"a\.h5: changed while it was opened\. Open it again\."):
        PackedSource(run_file, look=look)


def test_a_run_that_nobody_closed_gives_its_file_up(run_file):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        np.asarray(wdyn.open_run(run_file).steps)
    import gc

    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1
