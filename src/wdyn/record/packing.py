"""Start the processes that turn a journal into its run file and back, and wait for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def pack(run_file: Path) -> str | None:
    """Pack the journal of a run in a process of its own.

    The process has its own session, so a Ctrl-C at the terminal reaches only the caller: waiting ends with
    KeyboardInterrupt and the packing goes on.

    Args:
        run_file: absolute path of the run.

    Returns:
        None, or what went wrong; the journal then stands as it was.
    """
    return _run("wdyn.store.pack", run_file)


def unpack(run_file: Path) -> str | None:
    """Turn a run file back into the journal that it was packed from, so that recording can go on.

    Args:
        run_file: absolute path of the run.

    Returns:
        None, or what went wrong; the run file then stands as it was.
    """
    return _run("wdyn.store.unpack", run_file)


def _run(module: str, run_file: Path) -> str | None:
    # -P keeps files in the working folder that are named like a library from being imported instead of it
    command = [sys.executable, "-P", "-m", module, str(run_file)]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
    except (OSError, RuntimeError) as error:  # RuntimeError: the interpreter is too far into its exit
        return f"the packing process could not be started ({error})"
    _, said = process.communicate()
    if process.returncode == 0:
        return None
    return (
        _sentence(said.decode(errors="replace")) or f"the packing process ended with exit status {process.returncode}"
    )


def _sentence(said: str) -> str:
    """What the packer said on one line; of a traceback only the last."""
    lines = said.strip().splitlines()
    return " ".join(" ".join(lines[-1:] if "Traceback (most" in said else lines).split())
