"""A process that has loaded what recording needs and forks children that record: loading takes seconds, a fork none.

```python
with Zygote(tmp_path) as zygote:
    pid = zygote.fork("train", run=str(path), progress=str(file), steps=100)
    os.kill(pid, signal.SIGKILL)
    assert zygote.wait(pid) == -signal.SIGKILL
```
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Zygote:
    """The process, as seen by a test."""

    def __init__(self, folder: Path) -> None:
        """Start it.

        Args:
            folder: where what its children say is kept, in `children.log`.
        """
        self.log = folder / "children.log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.record.zygote", str(self.log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=600)

    def fork(self, name: str, **arguments: Any) -> int:
        """Have a child call `tests.record.children.<name>(**arguments)`; its process id."""
        return self._ask([name, arguments])

    def wait(self, pid: int) -> int:
        """The exit status of a child once it has ended, or minus the signal that killed it."""
        return self._ask([pid, None])

    def run(self, name: str, **arguments: Any) -> int:
        """`fork` and `wait`."""
        return self.wait(self.fork(name, **arguments))

    def _ask(self, request: list[Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def serve(log: str) -> None:
    """Answer requests until there are no more; in a child, return once its work is done."""
    from tests.record import children

    children.warm_up()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup all would be deaf to it
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for into, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, said), (2, said)):
        os.dup2(source, into)
    while line := requests.readline():
        what, arguments = json.loads(line)
        if arguments is None:
            answer = os.waitstatus_to_exitcode(os.waitpid(what, 0)[1])
        elif not (answer := os.fork()):
            getattr(children, what)(**arguments)  # what it raises ends the child as it would end a script
            return
        answers.write(f"{answer}\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
