"""What a command line says of data and model → an evaluator; torch is loaded only when one is made."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.errors import MissingExtraError, MisuseError, NotFoundError

if TYPE_CHECKING:
    from wdyn.replay.by_module import ModuleEvaluator
    from wdyn.replay.evaluator import ReplayEvaluator
    from wdyn.store.run import Run


def requested_evaluator(
    run: Run, *, data_file: Path | None = None, model: str | None = None
) -> ReplayEvaluator | ModuleEvaluator:
    """An evaluator of a run, on one thread, so that the numbers do not depend on the machine's cores.

    Args:
        run: an open run.
        data_file: .npz with the arrays `inputs` and `targets`; the run's sample when None.
        model: `package.module:make_model` or `file.py:make_model`, a function that makes the module; the run's own
            program when None.

    Raises:
        NotFoundError: no program and no model, or no data.
        MisuseError: the data or the model do not fit the run.
        RunFileError: the program is none that this wdyn runs.
        MissingExtraError: torch is not installed.
    """
    if model is None and run.program is None:
        raise NotFoundError(
            f"{run.path.name} cannot run again: {run.no_program}. Give the code of the model: "
            "wdyn ablate RUN --model package.module:make_model"
        )
    data = None if data_file is None else load_data(data_file)
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("running the network again needs torch. Install it with: pip install torch") from error
    from wdyn.replay.by_module import evaluator_of_module
    from wdyn.replay.evaluator import evaluator

    torch.set_num_threads(1)
    return evaluator(run, data=data) if model is None else evaluator_of_module(run, model, data=data)


def load_data(path: Path) -> tuple[Any, Any]:
    """Inputs and targets from a file.

    Args:
        path: .npz with the arrays `inputs` and `targets`; `inputs_0`, `inputs_1`, ... for a model of several inputs.

    Raises:
        MisuseError: it is no such file.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError("it holds one array without a name")
        with loaded as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise MisuseError(f"{path}: no .npz file that can be read ({error}).") from error
    several = sorted((name for name in arrays if name.startswith("inputs_")), key=lambda name: (len(name), name))
    if "targets" not in arrays or ("inputs" not in arrays and not several):
        held = ", ".join(arrays) or "nothing"
        raise MisuseError(
            f"{path}: it must hold the arrays inputs and targets, as numpy.savez writes them, not {held}."
        )
    inputs = arrays["inputs"] if "inputs" in arrays else tuple(arrays[name] for name in several)
    return inputs, arrays["targets"]
