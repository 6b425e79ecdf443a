"""A run and a step → something to call as the model was called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wdyn.errors import MisuseError, NotFoundError
from wdyn.replay.interpret import Program, Values

if TYPE_CHECKING:
    from wdyn.store.run import Run


class Replay:
    """One recorded step of a network in eval mode, without the code that defined it."""

    def __init__(self, program: Program, tensors: Mapping[str, Tensor]) -> None:
        """Take a program and the values of its tensors by recorded name."""
        self._program = program
        self._fixed = {node: tensors[name] for node, name in program.tensors.items()} | program.constants

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The network's output for one batch.

        Args:
            *args: what the model was called with; arrays will do in place of tensors, and any batch size where the
                model allows it.
            **kwargs: likewise.

        Returns:
            What the model returns in eval mode, to the bit, on the CPU: tensors, lists of them, and dicts in the place
            of named tuples and output classes.

        Raises:
            MisuseError: these are not the arguments that it was recorded with.
        """
        with torch.no_grad():
            return self._program({**self._fixed, **bound(self._program, args, kwargs)})


def replayed(run: Run, step: int) -> Replay:
    """A recorded step, ready to run again.

    Args:
        run: with a program.
        step: one of `run.steps`.

    Raises:
        NotFoundError: no such step, no program, or tensors that it needs were not recorded.
        RunFileError: the program is none that this wdyn runs.
    """
    program = program_of(run)
    return Replay(program, tensors_at(run, step, program.tensors.values()))


def program_of(run: Run) -> Program:
    """The run's program, checked.

    Raises:
        NotFoundError: there is none.
        RunFileError: it is none that this wdyn runs.
    """
    if run.program is None:
        raise NotFoundError(
            f"{run.path}: it cannot run again: {run.no_program}. Give the model's code: --model "
            "package.module:make_model"
        )
    return Program(run.program, str(run.path))


def tensors_at(run: Run, step: int, names: Any) -> dict[str, Tensor]:
    """Weights and buffers of a step with the types they had while training.

    Args:
        run: an open run.
        step: one of `run.steps`.
        names: of the tensors.

    Raises:
        NotFoundError: there is no such step, or a tensor was not recorded.
    """
    wanted = set(names)
    if missing := sorted(wanted - run.parameters.keys()):
        raise NotFoundError(
            f"{run.path}: it cannot run again without {', '.join(missing)}, which include and exclude left out of the "
            "recording."
        )
    state = run.state(step, names=wanted)
    return {name: torch.from_numpy(state[name]).to(getattr(torch, run.parameters[name].dtype)) for name in wanted}


def bound(program: Program, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values:
    """Inputs of a program by node, from the arguments of a call.

    Raises:
        MisuseError: they do not fit.
    """
    positional, keyword = program.arguments
    values: Values = {}
    for number, expected in enumerate(positional):
        _match(program, expected, args[number] if number < len(args) else _MISSING, f"argument {number + 1}", values)
    for name, expected in keyword.items():
        _match(program, expected, kwargs.get(name, _MISSING), name, values)
    unknown = [str(name) for name in kwargs if name not in keyword]
    if len(args) > len(positional) or unknown:
        extra = ", ".join(unknown) or f"{len(args)} positional ones"
        raise MisuseError(
            f"the model was recorded with {len(positional)} positional arguments and {', '.join(keyword) or 'no'} "
            f"named ones, and this call has {extra}."
        )
    return values


_MISSING = object()


def _match(program: Program, expected: Any, given: Any, what: str, values: Values) -> None:
    if isinstance(expected, dict) and expected.keys() == {"node"}:
        values[expected["node"]] = _tensor(program, expected["node"], given, what)
    elif isinstance(expected, list | dict) and given is not _MISSING:
        pairs = list(expected.items() if isinstance(expected, dict) else enumerate(expected))
        if not isinstance(given, list | tuple | Mapping) or len(given) != len(pairs):
            raise MisuseError(f"{what} of the model was a {type(expected).__name__} of {len(pairs)} when recorded.")
        for key, part in pairs:
            _match(program, part, given[key], f"{what}[{key!r}]", values)
    elif isinstance(expected, list | dict):
        raise MisuseError(f"{what} of the model is missing.")
    elif given is not _MISSING and given != expected and not isinstance(expected, dict):
        raise MisuseError(
            f"{what} of the model was {expected!r} when recorded and is part of the program, not {given!r}."
        )


def _tensor(program: Program, node: str, given: Any, what: str) -> Tensor:
    dtype, sizes = program.inputs[node]
    if not isinstance(given, Tensor | np.ndarray):
        raise MisuseError(f"{what} of the model is a tensor {_shape(sizes)}, but a {type(given).__name__} was given.")
    tensor = given.detach().cpu() if isinstance(given, Tensor) else torch.from_numpy(np.array(given))
    fits = tensor.ndim == len(sizes) and all(s in (None, n) for s, n in zip(sizes, tensor.shape, strict=True))
    if not fits:
        raise MisuseError(f"{what} of the model has the shape {_shape(sizes)}, but {tuple(tensor.shape)} was given.")
    if tensor.dtype != dtype and not torch.can_cast(tensor.dtype, dtype):
        raise MisuseError(f"{what} of the model is of type {dtype}, but {tensor.dtype} was given.")
    return tensor.to(dtype)


def _shape(sizes: list[int | None]) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in sizes)})"
