"""Module → program: the operations of its forward pass in eval mode as plain JSON, so that it runs again without it.

A program is a dict:

- `format`: 1.
- `inputs`: list of `{"node": name, "dtype": name, "shape": [size or null, ...]}`, null where any size will do.
- `arguments`: `[positional, keyword]` arguments of the call, tensors as `{"node": name}`.
- `tensors`: node name to the recorded name of a weight or buffer.
- `constants`: node name to `{"dtype", "shape", "data"}`, values that no recorded tensor holds, as base64 of zlib.
- `nodes`: list of `[name, operation, positional arguments, keyword arguments, path of the module]`, in order. An
  argument is a JSON value, a list of arguments, or a dict with the one key `node`, `float`, `dtype`, `device`, `layout`
  or `memory_format`.
- `output`: the result, lists and dicts of arguments.
- `without_hooks`: paths of modules whose forward hooks, the user's own code, are not part of it.
"""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from wdyn.record.inventory import Inventory
from wdyn.record.operations import FORMAT
from wdyn.record.shell import Shell, make_shell
from wdyn.record.translate import (
    NotFunctionalError,
    ProgramError,
    Translator,
    constant,
    plain,
    references,
    without_unused,
)

__all__ = ["ProgramError", "describe_inputs", "example_inputs", "export_program"]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Shape(NamedTuple):
    """What is kept of a tensor that a model was called with."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


def describe_inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """The arguments of a call with a `Shape` in place of each tensor, so that nothing of the batch is kept alive."""
    described: Arguments = tree_map(
        lambda leaf: Shape(tuple(leaf.shape), leaf.dtype, leaf.device) if isinstance(leaf, Tensor) else leaf,
        (args, dict(kwargs)),
    )
    return described


def example_inputs(described: Arguments) -> Arguments:
    """Arguments of the same shapes, with tensors of zeros."""
    made: Arguments = tree_map(
        lambda leaf: torch.zeros(leaf.shape, dtype=leaf.dtype, device=leaf.device) if isinstance(leaf, Shape) else leaf,
        described,
        is_leaf=lambda leaf: isinstance(leaf, Shape),
    )
    return made


def export_program(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], inventory: Inventory
) -> dict[str, Any]:
    """Write the forward pass of a model in eval mode as a program.

    Args:
        model: any module. It is not touched and not run; a copy of its modules is, on fake tensors.
        args: positional arguments that it can be called with.
        kwargs: keyword arguments likewise.
        inventory: of the model; the program names tensors as it does.

    Returns:
        The program, which JSON can hold. Sizes of the inputs are free where the model allows it.

    Raises:
        ProgramError: the model cannot be exported; the text says why.
    """
    with _nothing_changed(), _quiet():
        try:
            shell = make_shell(model)
        except Exception as error:
            raise ProgramError(f"the model cannot be copied ({_short(error)})") from error
        exported = _exported(shell.model, args, kwargs)
        try:
            return _program(exported, shell, inventory)
        except NotFunctionalError:
            return _program(exported.run_decompositions({}), shell, inventory)


def _exported(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Export with every size free, or if that fails the first of each input, or if that fails none."""
    from torch.export import export  # as heavy as torch itself, and needed once

    failure: Exception | None = None
    for example, free in _attempts((args, kwargs)):
        try:
            shapes = tree_map(free, example)
            return export(model, example[0], example[1], dynamic_shapes=_by_name(model, shapes), strict=False)
        except Exception as error:  # the user's own code runs, which may raise anything
            failure = failure or error
    assert failure is not None
    raise ProgramError(f"torch.export cannot export the model ({_short(failure)})") from failure


def _attempts(given: Arguments) -> Iterator[tuple[Arguments, Callable[[Any], Any]]]:
    leading = {leaf.shape[0] for leaf in tree_leaves(given) if isinstance(leaf, Tensor) and leaf.ndim}
    if leading == {1}:
        two = tree_map(lambda leaf: torch.cat([leaf, leaf]) if isinstance(leaf, Tensor) and leaf.ndim else leaf, given)
        yield two, lambda leaf: _free(leaf, leaf.ndim) if isinstance(leaf, Tensor) else None
    yield given, lambda leaf: _free(leaf, leaf.ndim) if isinstance(leaf, Tensor) else None
    yield given, lambda leaf: _free(leaf, min(leaf.ndim, 1)) if isinstance(leaf, Tensor) else None
    yield given, lambda leaf: None


def _free(leaf: Tensor, axes: int) -> dict[int, Any]:
    from torch.export import Dim

    return {axis: Dim.AUTO for axis in range(axes) if leaf.shape[axis] > 1}  # 0 and 1 are always taken as fixed


def _by_name(model: nn.Module, shapes: Arguments) -> Any:
    """torch.export wants one dict of all arguments by name where some were given by name."""
    if not shapes[1]:
        return shapes[0]
    import inspect

    bound = inspect.signature(model.forward).bind(*shapes[0], **shapes[1])
    return dict(bound.arguments)


def _program(exported: Any, shell: Shell, inventory: Inventory) -> dict[str, Any]:
    translator, inputs = Translator(), _Inputs(exported, shell.model, inventory)
    placeholders = [node for node in exported.graph.nodes if node.op == "placeholder"]
    arguments = [inputs.bind(node, spec) for node, spec in zip(placeholders, _specs(exported), strict=True)]
    for node, argument in zip(placeholders, arguments, strict=True):
        translator.bind(node, argument)
    flat = translator.graph(exported.graph_module)
    results = flat[len(flat) - exported.call_spec.out_spec.num_leaves :]  # before them: changed buffers
    output = _tree(exported.call_spec.out_spec, iter(results))
    given = [each for each, spec in zip(arguments, _specs(exported), strict=True) if spec.kind.name == "USER_INPUT"]
    nodes = without_unused(translator.nodes, output)
    used = {*references([node[2:4] for node in nodes]), *references(output)}
    return {
        "format": FORMAT,
        "inputs": inputs.given,
        "arguments": _tree(exported.call_spec.in_spec, iter(given)),
        "tensors": {node: name for node, name in inputs.tensors.items() if node in used},
        "constants": {node: constant(value) for node, value in inputs.constants.items() if node in used},
        "nodes": nodes,
        "output": output,
        "without_hooks": shell.without_hooks,
    }


def _specs(exported: Any) -> list[Any]:
    specs: list[Any] = exported.graph_signature.input_specs
    return specs


class _Inputs:
    """What the graph takes in, sorted into the user's tensors, those of the run, and constants."""

    def __init__(self, exported: Any, model: nn.Module, inventory: Inventory) -> None:
        self._exported, self._model = exported, model
        self._recorded = {id(place.tensor()): name for name, place in inventory.places.items()}
        self.given: list[dict[str, Any]] = []
        self.tensors: dict[str, str] = {}
        self.constants: dict[str, Tensor] = {}

    def bind(self, node: Any, spec: Any) -> Any:
        """The argument that stands for an input of the graph."""
        kind, value = spec.kind.name, node.meta.get("val")
        if kind == "USER_INPUT" and not isinstance(value, Tensor):
            return plain(getattr(spec.arg, "value", value))
        if kind == "USER_INPUT":
            # a size that any will do for, or one that the graph itself fixes
            sizes = [size if isinstance(size, int) else size.node.maybe_as_int() for size in value.shape]
            self.given.append({"node": node.name, "dtype": plain(value.dtype)["dtype"], "shape": sizes})
        elif kind in ("PARAMETER", "BUFFER") and (name := self._name(spec.target)) is not None:
            self.tensors[node.name] = name
        elif kind in ("BUFFER", "CONSTANT_TENSOR"):
            self.constants[node.name] = self._exported.constants[spec.target]
        else:
            raise ProgramError(f"it uses {spec.target}, which is neither a recorded tensor nor a constant")
        return {"node": node.name}

    def _name(self, target: str) -> str | None:
        path, _, key = target.rpartition(".")
        module = self._model.get_submodule(path)
        tensor = module._parameters.get(key, module._buffers.get(key))
        return self._recorded.get(id(tensor))


def _tree(spec: Any, leaves: Iterator[Any]) -> Any:
    """Lists and dicts of leaves in the place of torch's description of a nested value."""
    if spec.is_leaf():
        return next(leaves)
    parts = [_tree(child, leaves) for child in spec.children()]
    keys = getattr(spec.context, "_fields", spec.context)  # named tuples: their type
    named = isinstance(keys, list | tuple) and len(keys) == len(parts) and all(isinstance(key, str) for key in keys)
    return dict(zip(keys, parts, strict=True)) if named else parts


@contextmanager
def _nothing_changed() -> Iterator[None]:
    """Random states as before, and the thread's own modes as in plain training, whatever happens inside."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002, this is about the global state
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        with (
            torch.random.fork_rng(devices),
            torch.inference_mode(False),
            torch.enable_grad(),  # without gradients attention takes another way, which hides its heads
            torch.autocast("cuda", enabled=False),
            torch.autocast("cpu", enabled=False),
        ):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


@contextmanager
def _quiet() -> Iterator[None]:
    """What torch has to say of the export is no word to the user's log."""
    known = [logger for name, logger in logging.root.manager.loggerDict.items() if name.startswith("torch")]
    loggers = [each for each in known if isinstance(each, logging.Logger) and not each.disabled]
    try:
        for each in loggers:
            each.disabled = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each in loggers:
            each.disabled = False


def _short(error: Exception) -> str:
    """Type and first line of an error, cut where it goes on for long."""
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {line[:300]}".removesuffix(": ")
