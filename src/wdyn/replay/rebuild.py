"""A saved step back in the user's own module."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from wdyn.errors import MisuseError
from wdyn.record.inventory import Inventory, take_inventory
from wdyn.replay.model import tensors_at

if TYPE_CHECKING:
    from wdyn.store.run import Run


def make_module(spec: str) -> nn.Module:
    """The module that a user's function makes, in eval mode.

    Args:
        spec: `package.module:make_model` or `path/to/file.py:make_model`.

    Raises:
        MisuseError: there is no such function, it fails, or what it makes is no module.
    """
    try:
        made = _function(spec)()
    except MisuseError:
        raise
    except Exception as error:  # the user's own code may raise anything
        raise MisuseError(f"model {spec}: {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module):
        raise MisuseError(f"model {spec}: it gave a {type(made).__name__}, but a torch.nn.Module is needed.")
    return made.eval()


def load_step(module: nn.Module, run: Run, step: int, inventory: Inventory | None = None) -> None:
    """Give a module the weights and buffers of a recorded step.

    Args:
        module: built as the recorded one was.
        run: an open run.
        step: one of `run.steps`.
        inventory: of the module, where it is known.

    Raises:
        MisuseError: names or shapes differ; the text lists some of them.
        NotFoundError: there is no such step.
    """
    places = (inventory or take_inventory(module)).places
    missing, unknown = sorted(places.keys() - run.parameters.keys()), sorted(run.parameters.keys() - places.keys())
    if missing or unknown:
        raise MisuseError(
            f"{run.path}: the model is not the recorded one. Not in the run: {_few(missing)}; not in the model: "
            f"{_few(unknown)}."
        )
    tensors = tensors_at(run, step, places)
    for name, place in places.items():
        own = place.tensor()
        if own.shape != tensors[name].shape:
            raise MisuseError(
                f"{run.path}: {name} was recorded with the shape {tuple(tensors[name].shape)}, but the model has "
                f"{tuple(own.shape)}."
            )
        with torch.no_grad():
            own.copy_(tensors[name])


def _function(spec: str) -> Callable[[], Any]:
    where, colon, name = spec.rpartition(":")
    if not colon or not where or not name:
        raise MisuseError(f"model {spec}: give package.module:make_model or path/to/file.py:make_model.")
    if where.endswith(".py"):
        if not Path(where).is_file():
            raise MisuseError(f"model {spec}: there is no file {where}.")
        module = file_module(Path(where))
    else:
        with _importing_from(""):  # as `python -m` does: the user's project is where the command is given
            module = importlib.import_module(where)
    if not callable(getattr(module, name, None)):
        raise MisuseError(f"model {spec}: {where} has no function {name}.")
    function: Callable[[], Any] = getattr(module, name)
    return function


def file_module(file: Path) -> ModuleType:
    """A user's Python file, run as where it is a script.

    Args:
        file: ending in .py.

    Raises:
        Exception: whatever its code raises.
    """
    found = importlib.util.spec_from_file_location(f"_wdyn_model_{file.stem}", file)
    assert found is not None  # of a name that ends in .py
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # classes look their module up by name
    with _importing_from(str(file.resolve().parent)):
        found.loader.exec_module(module)
    return module


@contextmanager
def _importing_from(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") if names else "nothing"
