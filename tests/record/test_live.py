"""A run that is recorded, thinned and packed meanwhile is read all the time, without an error or a wrong number."""

from __future__ import annotations

import re
import time
from collections import Counter

import pytest
from click.testing import CliRunner

from tests.record.children import MADE, Progress
from tests.record.known import STEP_BYTES, wrong_rows
from tests.torture import tell, times
from wdyn.errors import ChangedMeanwhileError, RunFileError
from wdyn.store.reader import open_run
from wdyn_cli.main import main

SECONDS = times(2, 60)
MEANWHILE = ("was thinned to keep within max_bytes meanwhile", "its journal is gone, since it was packed")
NOT_YET = re.compile("no such run|nothing has been recorded|not even the start|no step has been recorded yet")


class Reader:
    """Reads one run again and again while a child records it."""

    def __init__(self, path):
        self.path, self.last, self.counts = path, 0, Counter()

    def await_first_step(self):
        """Return once there is something to read; until then that is what is said."""
        while True:
            try:
                return open_run(self.path).close()
            except RunFileError as error:
                if not NOT_YET.search(str(error)):
                    raise

    def look(self, *, thinned):
        """Open the run and read all of it."""
        with open_run(self.path) as run:
            steps = run.steps.tolist()
            assert steps == sorted(set(steps))
            assert thinned or steps == list(range(len(steps)))
            assert not [note for note in run.notes if note["what"] in ("damaged", "gap")]
            # where thinning removes steps, the last of them can be one that it removed
            assert steps[-1] >= self.last // 2 if thinned else steps[-1] >= self.last
            self.last = max(self.last, steps[-1])
            try:
                assert wrong_rows(run) == 0
            except ChangedMeanwhileError:  # it was opened before
                self.counts["changed meanwhile"] += 1
            self.counts["read"] += 1

    def command(self, *arguments):
        """Run a command of wdyn on the run."""
        result = CliRunner().invoke(main, [*arguments, str(self.path)], catch_exceptions=False)
        assert result.exit_code == 0 or any(text in result.output for text in MEANWHILE), result.output
        self.counts[arguments[0]] += 1


@pytest.mark.parametrize("kind", ["growing", "thinned", "packed and resumed"])
@pytest.mark.slow
def test_a_run_is_read_while_it_is_recorded(tmp_path, zygote, kind):
    path, progress = tmp_path / "a.h5", Progress(tmp_path / "progress")
    arguments = {"run": str(path), "progress": str(tmp_path / "progress"), "pack": "here", "pause": 0.002}
    packs, bound = kind == "packed and resumed", 200 * STEP_BYTES if kind == "thinned" else None
    length = 150 if packs else SECONDS * 300
    reader, until = Reader(path), time.monotonic() + SECONDS
    pid, start = zygote.fork("train", **arguments, steps=length, max_bytes=bound, segment_size=20_000), 0
    reader.await_first_step()
    while time.monotonic() < until:
        reader.look(thinned=bound is not None)
        if reader.counts["read"] % 10 == 1:
            reader.command("info")
        if packs and reader.last >= start + 150 and zygote.wait(pid) == 0:
            start += 150
            progress.clear()
            pid = zygote.fork("train", **arguments, start=start, steps=start + 150, resume=True, segment_size=20_000)
            while progress.phase < MADE:
                reader.look(thinned=False)
    only = [] if times(False, True) else ["--only", "norms"]
    reader.command("analyze", "--quick", *only, "-o", str(tmp_path / "page.html"))
    assert zygote.wait(pid) == 0
    reader.look(thinned=bound is not None)
    assert reader.last == start + (150 if packs else length)
    tell(f"{kind}: read {reader.counts['read']} times in {SECONDS} s, {reader.counts['changed meanwhile']} times "
         "changed meanwhile, 0 errors, 0 wrong rows, 0 steps backwards")  # fmt: skip
