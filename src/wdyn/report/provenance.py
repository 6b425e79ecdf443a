"""Where the numbers of a report come from, as plain JSON-able facts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wdyn._version import __version__

if TYPE_CHECKING:
    from wdyn.store.run import Run

_FROM_META = ("run_id", "created", "model", "optimizer", "schedule", "wdyn", "torch", "python", "metadata")


def provenance(whole: Run, run: Run, *, command: str, seed: int) -> dict[str, Any]:
    """Facts of a report: the run, who recorded it, what was analysed and how.

    Args:
        whole: the run as it lies in its file.
        run: the selection that was analysed.
        command: the command line, empty when there was none.
        seed: seed of everything random.

    Returns:
        JSON-able dict. It holds no clock and no absolute path, so the same run, seed and version give equal facts.
    """
    facts = {key: whole.meta.get(key) for key in _FROM_META}
    return facts | {
        "run": whole.name,
        "checksum": whole.checksum,
        "condition": whole.condition,
        "command": _without_folders(command),
        "seed": seed,
        "report_wdyn": __version__,
        "steps_recorded": len(whole.steps),
        "steps_analysed": len(run.steps),
        "first_step": int(run.steps[0]),
        "last_step": int(run.steps[-1]),
        "layers_recorded": len(whole.layers),
        "layers": [{"name": y.name, "kind": y.kind, "rows": y.rows, "columns": y.columns} for y in run.layers.values()],
        "left_out": [{"name": each.name, "reason": each.reason} for each in whole.left_out],
        "notes": [dict(note) for note in whole.notes],
    }


def _without_folders(command: str) -> str:
    """The command with absolute paths cut to their last part: a page is passed on, a home folder's name is not."""
    try:
        words = shlex.split(command)
    except ValueError:  # unbalanced quotes: not a command line that can be taken apart
        words = command.split()
    return shlex.join([_without_folder(word) for word in words])


def _without_folder(word: str) -> str:
    option, equals, path = word.rpartition("=")
    return option + equals + Path(path).name if Path(path).is_absolute() else word
