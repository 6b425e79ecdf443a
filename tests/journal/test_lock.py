from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from wdyn.journal.lock import LOCK, Holder, acquire, live_holder, release


def leave(folder, holder):
    (folder / LOCK).write_text(json.dumps(asdict(holder)))


def test_this_process_holds_what_it_acquired(tmp_path):
    assert live_holder(tmp_path) is None
    acquire(tmp_path)
    assert live_holder(tmp_path) == Holder.this_process()
    assert json.loads((tmp_path / LOCK).read_text()).keys() == {"pid", "host", "boot_id", "started"}
    with pytest.raises(FileExistsError):
        acquire(tmp_path)
    release(tmp_path)
    release(tmp_path)
    assert live_holder(tmp_path) is None


def test_a_dead_process_holds_nothing(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    leave(tmp_path, replace(Holder.this_process(), pid=process.pid))
    assert live_holder(tmp_path) is None


@pytest.mark.parametrize("changed", [{"boot_id": "another boot"}, {"started": 1}])
def test_a_reused_number_is_not_the_process(tmp_path, changed):
    leave(tmp_path, replace(Holder.this_process(), **changed))
    assert live_holder(tmp_path) is None


def test_another_machine_may_be_alive(tmp_path):
    holder = Holder(os.getpid(), "elsewhere", "its boot", 1)
    leave(tmp_path, holder)
    assert live_holder(tmp_path) == holder


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '"text"'])
def test_a_torn_lock_is_nobodys(tmp_path, text):
    (tmp_path / LOCK).write_text(text)
    assert live_holder(tmp_path) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc on this system")
def test_a_zombie_holds_nothing(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    process.stdout.read()  # its end, so the process is about to be a zombie: nobody waits for it
    stat = Path(f"/proc/{process.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    started = int(stat.read_text().rpartition(")")[2].split()[19])
    leave(tmp_path, replace(Holder.this_process(), pid=process.pid, started=started))
    assert live_holder(tmp_path) is None
    process.stdout.close()
    process.wait()
