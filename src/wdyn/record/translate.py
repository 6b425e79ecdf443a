"""An exported graph of torch → the nodes of a program."""

from __future__ import annotations

import base64
import math
import operator
import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

from wdyn.record.operations import ALLOWED, CHECKS

Node = list[Any]  # name, operation, positional arguments, keyword arguments, path of the module
# results of these are new tensors: changing one in place changes no other
_FRESH = """
    add. addmm. adaptive_ avg_pool baddbmm. batch_norm. bmm. cat. conv div. elu. gelu. group_norm. hardswish. hardtanh.
    instance_norm. layer_norm. leaky_relu. linear. matmul. max_pool mean. mm. mul. relu. sigmoid. silu. sub. sum. tanh.
"""
MOST_CONSTANTS = 1 << 24  # bytes of values that no recorded tensor holds


class ProgramError(Exception):
    """The model cannot be written as a program; the text says why in one sentence."""


class NotFunctionalError(Exception):
    """An operation changes a tensor in place that others may share."""


class Translator:
    """Collects the nodes of a graph and of those inside it."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._names: dict[fx.Node, Any] = {}  # what stands for the value of a node

    def bind(self, node: fx.Node, value: Any) -> None:
        """Let an argument stand for a node's value."""
        self._names[node] = value

    def graph(self, module: fx.GraphModule, prefix: str = "") -> Any:
        """Translate all of a graph whose inputs are bound.

        Returns:
            Its output as an argument.

        Raises:
            ProgramError: an operation that no program may hold.
            NotFunctionalError: a tensor is changed in place.
        """
        for node in module.graph.nodes:
            if node.op == "output":
                return self.argument(node.args[0])
            if node.op == "get_attr":
                self.bind(node, _attribute(module, node.target))
            elif node.op == "call_function":
                self._call(node, prefix)
            elif node.op != "placeholder" and not _only_checks(node):
                raise ProgramError(f"the operation {node.target} ({node.op}) cannot be replayed")
        raise AssertionError("a graph without an output")  # torch's graphs have one

    def argument(self, value: Any) -> Any:
        """A value of the graph as an argument of a program."""
        if isinstance(value, fx.Node):
            return self._names[value]
        if isinstance(value, list | tuple):
            return [self.argument(each) for each in value]
        if isinstance(value, Mapping):
            return {str(key): self.argument(each) for key, each in value.items()}
        return plain(value)

    def _call(self, node: fx.Node, prefix: str) -> None:
        if isinstance(node.target, torch._ops.HigherOrderOperator):
            self._inlined(node)
            return
        name = operation_name(node.target)
        if name in CHECKS:
            return
        if (functional := _functional(name)) is not None:
            self._in_place(node, functional, prefix)
            return
        self._add(node, name, prefix)

    def _add(self, node: fx.Node, operation: str, prefix: str) -> None:
        if operation not in ALLOWED:
            raise ProgramError(f"the operation {operation} is none that can be replayed")
        own = prefix + node.name
        positional = [self.argument(each) for each in node.args]
        keyword = {key: self.argument(each) for key, each in node.kwargs.items()}
        self.nodes.append([own, operation, positional, keyword, _module_path(node)])
        self.bind(node, {"node": own})

    def _in_place(self, node: fx.Node, operation: str, prefix: str) -> None:
        """`relu_(x)` as `relu(x)`, whose value is x from then on; only where nothing else shares the memory of x."""
        target = node.args[0]
        if not isinstance(target, fx.Node) or not _is_fresh(target) or not all(map(_is_fresh, _before(target, node))):
            raise NotFunctionalError(operation)
        self._add(node, operation, prefix)
        self.bind(target, self._names[node])

    def _inlined(self, node: fx.Node) -> None:
        """A part under `torch.no_grad()`: gradients are no matter here, so its operations stand as if it were none."""
        if node.target is not torch.ops.higher_order.wrap_with_set_grad_enabled:
            raise ProgramError(f"the operation {node.target} is none that can be replayed")
        inside = node.args[1]
        assert isinstance(inside, fx.Node)
        part = self._names[inside]
        inputs = [each for each in part.graph.nodes if each.op == "placeholder"]
        for placeholder, given in zip(inputs, node.args[2:], strict=True):
            self.bind(placeholder, self.argument(given))
        self.bind(node, self.graph(part, f"{node.name}."))


def plain(value: Any) -> Any:
    """A value that is no tensor as an argument of a program.

    Raises:
        ProgramError: it is of a kind that no program may hold.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    for key, kind in (("dtype", torch.dtype), ("layout", torch.layout), ("memory_format", torch.memory_format)):
        if isinstance(value, kind):
            return {key: str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"device": value.type}
    raise ProgramError(f"it uses a value of type {type(value).__name__}, which cannot be written down")


def constant(value: Tensor) -> dict[str, Any]:
    """A tensor that is not recorded, as JSON."""
    stored = value.detach().cpu().contiguous()
    if stored.nbytes > MOST_CONSTANTS:
        raise ProgramError(f"a constant of {stored.nbytes / 1e6:.0f} MB is no recorded parameter or buffer")
    data = stored.reshape(-1).view(torch.uint8).numpy().tobytes() if stored.numel() else b""
    packed = base64.b64encode(zlib.compress(data, 6)).decode()
    return {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape), "data": packed}


def operation_name(target: Any) -> str:
    """`aten.relu.default`, `operator.mul` or `torch.sym_max` for what a node calls."""
    if isinstance(target, torch._ops.OpOverload):
        return str(target)
    module = getattr(target, "__module__", "").removeprefix("_")
    return f"{module}.{getattr(target, '__name__', target)}"


def without_unused(nodes: list[Node], output: Any) -> list[Node]:
    """The nodes that the output depends on, in order."""
    wanted = set(references(output))
    kept = []
    for node in reversed(nodes):
        if node[0] in wanted:
            wanted.update(references(node[2:4]))
            kept.append(node)
    return kept[::-1]


def references(argument: Any) -> list[str]:
    """Names of the nodes that an argument refers to."""
    if isinstance(argument, list):
        return [name for each in argument for name in references(each)]
    if isinstance(argument, dict):
        if argument.keys() == {"node"} and isinstance(argument["node"], str):
            return [argument["node"]]
        return [name for each in argument.values() for name in references(each)]
    return []


def _functional(name: str) -> str | None:
    """`aten.relu.default` for `aten.relu_.default`, None where nothing is changed in place."""
    namespace, _, rest = name.partition(".")
    base, _, overload = rest.partition(".")
    if namespace != "aten" or not base.endswith("_") or base.endswith("__"):
        return None
    return f"aten.{base[:-1]}.{overload}"


def _is_fresh(node: fx.Node) -> bool:
    """Whether the value of a node shares memory with no other."""
    name = operation_name(node.target) if node.op == "call_function" else ""
    name = _functional(name) or name
    return name.removeprefix("aten.").startswith(tuple(_FRESH.split()))


def _before(target: fx.Node, node: fx.Node) -> list[fx.Node]:
    """Those that used a node's value before it is changed; a size or a check is no such use."""
    order = {each: number for number, each in enumerate(node.graph.nodes)}
    earlier = [user for user in target.users if order[user] < order[node]]
    return [user for user in earlier if operation_name(user.target) not in {*CHECKS, "aten.sym_size.int"}]


def _attribute(module: fx.GraphModule, target: Any) -> Any:
    found = operator.attrgetter(str(target))(module)
    if isinstance(found, fx.GraphModule):
        return found
    raise ProgramError(f"it reads the attribute {target} while it runs")


def _only_checks(node: fx.Node) -> bool:
    return node.op == "call_module" and str(node.target).startswith("_guards")


def _module_path(node: fx.Node) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = stack[-1][0] if stack else ""
    return "" if path.startswith("_") else str(path)
