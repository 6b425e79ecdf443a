"""A program and a step's tensors → outputs: a short interpreter over listed operations."""

from __future__ import annotations

import base64
import binascii
import operator
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from wdyn.errors import RunFileError
from wdyn.record.operations import ALLOWED, FORMAT
from wdyn.record.translate import MOST_CONSTANTS, references

Values = dict[str, Any]  # by name of the node
_KINDS = ("dtype", "layout", "memory_format")


@dataclass(frozen=True)
class Operation:
    """One node of a program.

    Attributes:
        name: of its value.
        kind: what it does, `aten.relu.default`.
        run: does it, from the values of other nodes.
        needs: names of those nodes.
        positional: its arguments as they stand in the program.
        path: of the module that it belongs to.
    """

    name: str
    kind: str
    run: Callable[[Values], Any]
    needs: tuple[str, ...]
    positional: Sequence[Any]
    path: str


class Program:
    """A program that was checked: only listed operations, each on values that exist before it.

    Attributes:
        inputs: name, type and sizes of the tensors that it takes, None where any size will do.
        arguments: positional and keyword arguments of the call, inputs as `{"node": name}`.
        tensors: name of a node to the recorded name of the weight or buffer that it is.
        constants: name of a node to its value.
        operations: in order.
        output: the result as an argument.
        results: names of the nodes in it.
    """

    def __init__(self, raw: Mapping[str, Any], source: str) -> None:
        """Check a program.

        Args:
            raw: as `wdyn.record.program` writes it.
            source: where it comes from, for errors.

        Raises:
            RunFileError: it is of a newer format, or no program that may run.
        """
        self._source = source
        if raw.get("format") != FORMAT:
            newer = f"its program has format {raw.get('format')}, but this wdyn runs {FORMAT}"
            raise RunFileError(f"{source}: {newer}. Upgrade with: pip install -U wdyn")
        try:
            self._read(raw)
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, zlib.error) as error:
            raise RunFileError(f"{source}: its program cannot be read ({type(error).__name__}: {error}).") from error

    def _read(self, raw: Mapping[str, Any]) -> None:
        self.inputs = {each["node"]: (_torch("dtype", each["dtype"]), list(each["shape"])) for each in raw["inputs"]}
        self.arguments = raw["arguments"]
        self.tensors: dict[str, str] = dict(raw["tensors"])
        self.constants = {name: _constant(value) for name, value in raw["constants"].items()}
        self.operations = tuple(self._operation(node) for node in raw["nodes"])
        self.output, self.results = raw["output"], references(raw["output"])
        known = {*self.inputs, *self.tensors, *self.constants}
        for each in self.operations:
            self._check(each.needs, known, f"{each.kind} {each.name!r}")
            known.add(each.name)
        self._check(self.results, known, "its result")

    def _operation(self, node: Sequence[Any]) -> Operation:
        name, kind, positional, keyword, path = node
        if kind not in ALLOWED:
            raise RunFileError(
                f"{self._source}: the operation {kind} of its program is none that wdyn runs. Give the model's code "
                "instead, with --model package.module:make_model"
            )
        run = partial(_run, _function(kind), _compiled(positional), _compiled(keyword))
        return Operation(
            str(name), kind, run, tuple(dict.fromkeys(references([positional, keyword]))), positional, path
        )

    def _check(self, needs: Iterable[str], known: set[str], what: str) -> None:
        if missing := [name for name in needs if name not in known]:
            raise RunFileError(f"{self._source}: its program is no whole one: {what} uses {missing[0]!r} too early.")

    def after(self, names: Iterable[str]) -> tuple[Operation, ...]:
        """The operations whose value depends on any of these nodes, in order."""
        changed, found = set(names), []
        for each in self.operations:
            if changed.intersection(each.needs):
                changed.add(each.name)
                found.append(each)
        return tuple(found)

    def before(self, names: Iterable[str]) -> tuple[Operation, ...]:
        """The operations that these nodes depend on, themselves among them, in order."""
        wanted, found = set(names), []
        for each in reversed(self.operations):
            if each.name in wanted:
                wanted.update(each.needs)
                found.append(each)
        return tuple(reversed(found))

    def ends_in(self, node: str) -> bool:
        """Whether what depends on a node is only reshaped and normalised on the way out: no other weights join in."""
        after = {each.name: each for each in self.after([node])}
        weighted = {*self.tensors, *(each.name for each in self.after(self.tensors))} - after.keys() - {node}
        return not any(name in weighted for each in after.values() for name in each.needs)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """The result, lists and dicts of tensors and plain values.

        Args:
            values: inputs, tensors and constants by the names of their nodes.
        """
        result = compute(self.operations, values, keep=self.results)
        return built(self.output, {**values, **result})


def compute(operations: Sequence[Operation], values: Mapping[str, Any], *, keep: Iterable[str]) -> Values:
    """Do operations in order. A value is freed after its last use: memory traffic would make it several times slower.

    Args:
        operations: in order.
        values: what they need and do not make.
        keep: names of the values to give back.

    Returns:
        Those of `keep` that were made here.
    """
    kept = set(keep)
    last = {name: number for number, each in enumerate(operations) for name in each.needs}
    made: Values = dict(values)
    for number, each in enumerate(operations):
        made[each.name] = each.run(made)
        for name in each.needs:
            if last[name] == number and name not in kept:
                made.pop(name, None)
    return {name: made[name] for name in kept if name in made}


def built(argument: Any, values: Mapping[str, Any]) -> Any:
    """An argument of a program with values in the place of nodes."""
    return _compiled(argument)(values)


def _run(function: Callable[..., Any], positional: Callable[..., Any], keyword: Callable[..., Any], at: Values) -> Any:
    return function(*positional(at), **keyword(at))


def _compiled(argument: Any) -> Callable[[Mapping[str, Any]], Any]:
    if isinstance(argument, list):
        parts = [_compiled(each) for each in argument]
        return lambda values: [part(values) for part in parts]
    if isinstance(argument, dict):
        if len(argument) == 1 and isinstance(next(iter(argument.values())), str):
            ((key, value),) = argument.items()
            if key == "node":
                return operator.itemgetter(value)
            if key in ("float", "device", *_KINDS):
                fixed = _special(key, value)
                return lambda values: fixed
        named = {key: _compiled(each) for key, each in argument.items()}
        return lambda values: {key: part(values) for key, part in named.items()}
    return lambda values: argument


def _special(key: str, value: str) -> Any:
    if key == "float":
        return float(value)
    return torch.device("cpu") if key == "device" else _torch(key, value)


def _torch(key: str, name: str) -> Any:
    """A member of torch of one of three kinds; anything else of that name is refused."""
    found = getattr(torch, name)
    if not isinstance(found, getattr(torch, key)):
        raise ValueError(f"{name!r} is no {key}")
    return found


def _function(kind: str) -> Callable[..., Any]:
    namespace, name, *overload = kind.split(".")
    if namespace == "aten":
        if kind == "aten.view.default":  # the same values, also where a batch of variants lies in between
            name = "reshape"
        function: Callable[..., Any] = getattr(getattr(torch.ops.aten, name), overload[0])
    else:
        function = getattr(operator if namespace == "operator" else torch, name)
    return function


def _constant(value: Mapping[str, Any]) -> Tensor:
    dtype, shape = _torch("dtype", value["dtype"]), [int(size) for size in value["shape"]]
    size = torch.empty((), dtype=dtype).element_size()
    for length in shape:
        size *= length
    if min(shape, default=0) < 0 or size > MOST_CONSTANTS:
        raise ValueError(f"a constant of {size} bytes")
    inflate = zlib.decompressobj()
    data = inflate.decompress(base64.b64decode(value["data"], validate=True), size + 1)
    if len(data) != size:
        raise ValueError(f"a constant of {size} bytes holds {len(data)}")
    flat = torch.frombuffer(bytearray(data), dtype=dtype) if size else torch.empty(0, dtype=dtype)
    return flat.reshape(shape)
