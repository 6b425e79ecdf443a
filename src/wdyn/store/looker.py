"""The process that looks at the structure of files: `python -m wdyn.store.looker`, with a socket as its stdin."""

from __future__ import annotations

import os
import resource
import socket
import sys
import time
from pathlib import Path

from h5py import h5f

from wdyn.store.helper import ANSWER, READY, REQUEST
from wdyn.store.structure import look

_MEMORY = 1 << 31  # bytes beyond what an idle process has reserved


def serve(line: socket.socket) -> None:
    """Answer requests until the other side closes its end.

    Args:
        line: gives requests, each with the descriptor of an open file, and takes the answers.
    """
    line.sendall(READY)
    idle = h5f.get_obj_count()
    while True:
        request, descriptors, _, _ = socket.recv_fds(line, REQUEST.size, 1)
        if len(request) < REQUEST.size or not descriptors:
            return
        _allow(REQUEST.unpack(request)[0], descriptors[0])
        data = look(descriptors[0])
        os.close(descriptors[0])
        goes_on = h5f.get_obj_count() == idle  # what libhdf5 could not close would be found open by the next look
        line.sendall(ANSWER.pack(goes_on, len(data)) + data)
        if not goes_on:
            return


def limit() -> None:
    """Take from this process what it does not need: memory, writing to files, leaving a core."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    reserved = Path("/proc/self/statm")
    if reserved.exists():  # elsewhere the limit has no effect
        _lower(resource.RLIMIT_AS, int(reserved.read_text().split()[0]) * resource.getpagesize() + _MEMORY)


def _allow(seconds: int, descriptor: int) -> None:
    """Let the next look open one file, the one it was given, and take so much time, should nobody be left to end it."""
    _lower(resource.RLIMIT_CPU, int(time.process_time()) + 1 + seconds, again=True)
    _lower(resource.RLIMIT_NOFILE, descriptor + 2)


def _lower(kind: int, most: int, *, again: bool = False) -> None:
    """Set a limit, for good or until it is set again, but never above the one there is."""
    _, hard = resource.getrlimit(kind)
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (soft, hard if again else soft))


if __name__ == "__main__":
    limit()
    with socket.socket(fileno=sys.stdin.fileno()) as parent:
        serve(parent)
    os._exit(0)  # nothing here needs to be cleared away
