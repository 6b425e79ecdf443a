"""Where runs and pages go by default; nobody else spells these folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

RUNS = Path("checkpoints")
REPORTS = Path("reports")
LONGEST_NAME = 100  # letters of a report's name: file systems take 255 bytes


def parts_folder(run_file: Path) -> Path:
    """Folder of the journal that belongs to a run file.

    Args:
        run_file: path of the run, such as `checkpoints/a.h5`; need not exist.

    Returns:
        `checkpoints/a.h5.parts`.
    """
    return run_file.parent / f"{run_file.name}.parts"  # with_name would refuse a path without a name, such as "."


def default_report(run_file: Path, suffix: str) -> Path:
    """Path of a report when the user names none.

    Args:
        run_file: path of the run.
        suffix: file ending with its dot, such as `.html`.

    Returns:
        `reports/<run name><suffix>`, relative to the working folder.
    """
    return REPORTS / (run_file.stem + suffix)


def default_comparison(names: Sequence[str], suffix: str) -> Path:
    """Path of a report on several runs when the user names none.

    Args:
        names: of the runs, told apart by folders where need be.
        suffix: file ending with its dot, such as `.html`.

    Returns:
        `reports/<names joined by "-and-"><suffix>`, relative to the working folder; where there are too many names for
        that, the first and how many more.
    """
    plain = [name.replace("/", "-") for name in names]
    joined = "-and-".join(plain)
    if len(joined) > LONGEST_NAME:
        joined = f"{plain[0][:LONGEST_NAME]}-and-{len(plain) - 1}-more"
    return REPORTS / (joined + suffix)


def cache_folder() -> Path:
    """Folder for what can be computed again at any time.

    Returns:
        `$WDYN_CACHE`, else `$XDG_CACHE_HOME/wdyn`, else `~/.cache/wdyn`; need not exist.

    Raises:
        RuntimeError: there is no home folder.
    """
    if named := os.environ.get("WDYN_CACHE"):
        return Path(named)
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "wdyn"
