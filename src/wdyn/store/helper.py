"""The one process beside this one that looks at the structure of files with libhdf5; this process never does."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

READY = b"wdyn"
REQUEST = struct.Struct("<I")  # seconds of processor time that the look may take; the file's descriptor comes with it
ANSWER = struct.Struct("<?Q")  # whether the process goes on after it, and how many bytes follow
_START = 60  # seconds that the process may take to start: on a busy machine with a cold disk Python takes long
_LOOK, _BYTES_PER_SECOND, _LONGEST = 10, 100_000_000, 300  # of processor time: a million chunks, 60 GB, take 3 s
_BUSY = 3  # so many times longer it may take where others are at work as well
_ENVIRONMENT = {
    "HDF5_PLUGIN_PRELOAD": "::",  # no filter of others is loaded, whatever a file asks for
    "OPENBLAS_NUM_THREADS": "1",
}


class HelperError(Exception):
    """The process did not answer; the text says what it did, to follow `HDF5's library ...`."""


class StartError(Exception):
    """The process could not be started; the text says why."""


class Helper:
    """A process that is started when it is first asked, and again after it died."""

    def __init__(self) -> None:
        self._hooked = False
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def ask(self, descriptor: int) -> bytes:
        """Have the structure of a file looked at.

        Args:
            descriptor: of the file, open for reading.

        Returns:
            A `Structure` in bytes, which may be anything if the file made libhdf5 do what its author wants.

        Raises:
            HelperError: the process died, took too long or answered at too great length.
            StartError: it could not be started.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self.stop()  # somebody ended it meanwhile
            line = self._line or self._start()
            try:
                goes_on, data = self._answer(line, descriptor)
            except BaseException:  # also Ctrl-C, after which an answer would be taken for the next one's
                self.stop()
                raise
            if not goes_on:
                self.stop()
            return data

    def stop(self) -> None:
        """End the process; the next question starts another."""
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._line = self._process = None

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        # -P keeps files in the working folder that are named like a library from being imported instead of it
        command = [sys.executable, "-P", "-m", "wdyn.store.looker"]
        with theirs:
            try:
                self._process = subprocess.Popen(
                    command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    start_new_session=True, env=os.environ | _ENVIRONMENT,
                )  # fmt: skip
            except (OSError, RuntimeError) as error:  # RuntimeError: the interpreter is too far into its exit
                ours.close()
                raise StartError(str(error)) from error
        self._line = ours
        try:
            ready = _receive(ours, len(READY), time.monotonic() + _START)
        except (OSError, EOFError):
            ready = b""
        if ready != READY:
            self.stop()
            raise StartError(f"{sys.executable} could not load h5py")
        self._hook()
        return ours

    def _hook(self) -> None:
        if not self._hooked:
            self._hooked = True
            atexit.register(self.stop)
            os.register_at_fork(after_in_child=self._forget)

    def _answer(self, line: socket.socket, descriptor: int) -> tuple[bool, bytes]:
        size = os.fstat(descriptor).st_size
        seconds = min(_LOOK + size // _BYTES_PER_SECOND, _LONGEST)
        until = time.monotonic() + _BUSY * seconds
        try:
            socket.send_fds(line, [REQUEST.pack(seconds)], [descriptor])
            goes_on, length = ANSWER.unpack(_receive(line, ANSWER.size, until))
            if length > (1 << 20) + 16 * size:  # each dataset and each chunk takes room in the file as well
                raise HelperError("gave an answer that makes no sense")
            return goes_on, _receive(line, length, until)
        except TimeoutError:
            raise HelperError(f"did not come to an end within {_BUSY * seconds} s") from None
        except (OSError, EOFError):
            raise HelperError(self._end()) from None

    def _end(self) -> str:
        """How the process ended, once it has."""
        assert self._process is not None
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "stopped to answer"
        if status == -signal.SIGXCPU:
            return "did not come to an end"
        with contextlib.suppress(ValueError):
            return f"crashed ({signal.Signals(-status).name})"
        return f"ended with status {status}"

    def _forget(self) -> None:
        """After a fork: the process belongs to the parent, one of whose threads may have held the lock."""
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.returncode = 0  # so that nobody here waits for it
        self._begin()


HELPER = Helper()  # of this process


def _receive(line: socket.socket, count: int, until: float) -> bytes:
    """Exactly so many bytes."""
    data = bytearray(count)
    view = memoryview(data)
    while view:
        line.settimeout(max(until - time.monotonic(), 0.001))
        got = line.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return bytes(data)
