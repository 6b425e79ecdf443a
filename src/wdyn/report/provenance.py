"""Where the numbers of a report come from, as plain JSON-able facts."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn._version import __version__

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_NAMES = 3  # in a heading
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


def comparison_provenance(
    wholes: Sequence[Run], runs: Sequence[Run], *, names: Sequence[str], command: str, seed: int
) -> dict[str, Any]:
    """Facts of a report that compares runs.

    Args:
        wholes: the runs as they lie in their files.
        runs: the selections that were compared.
        names: what the runs are called, so that they are told apart.
        command: the command line, empty when there was none.
        seed: seed of everything random.

    Returns:
        JSON-able dict, without clock and absolute path: what belongs to the comparison, and under `runs` the facts of
        each run as `provenance` gives them. `layers` are those of any run, the first that has it, and `steps` those
        that all runs have, or the last of each where they share none.
    """
    each = [
        provenance(whole, run, command="", seed=seed) | {"run": name}
        for whole, run, name in zip(wholes, runs, names, strict=True)
    ]
    layers: dict[str, Any] = {}
    for facts in each:
        layers = {layer["name"]: layer for layer in facts["layers"]} | layers
    steps = reduce(np.intersect1d, [run.steps for run in runs])
    return {
        "run": _listed(names),
        "command": _without_folders(command),
        "seed": seed,
        "report_wdyn": __version__,
        "layers": list(layers.values()),
        "steps": (steps if len(steps) else np.unique([run.steps[-1] for run in runs])).tolist(),
        "runs": each,
    }


def _listed(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMES:
        return " and ".join(names)
    return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"


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
