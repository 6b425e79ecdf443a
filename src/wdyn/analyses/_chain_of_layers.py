"""Is a network a plain chain of layers, so that its units can change places? Read from the program stored in a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.store.run import Run

LAYERS = frozenset(f"aten.{name}" for name in ("linear", "conv1d", "conv2d", "conv3d"))
# what treats each unit, or each channel, by itself and keeps their order
UNIT_BY_UNIT = frozenset(
    {
        "aten.relu", "aten.relu6", "aten.gelu", "aten.tanh", "aten.sigmoid", "aten.silu", "aten.elu", "aten.celu",
        "aten.selu", "aten.leaky_relu", "aten.hardtanh", "aten.hardswish", "aten.hardsigmoid", "aten.softplus",
        "aten.mish", "aten.dropout", "aten.feature_dropout", "aten.batch_norm",
        "aten._native_batch_norm_legit_no_training", "aten.instance_norm", "aten.max_pool1d", "aten.max_pool2d",
        "aten.max_pool3d", "aten.max_pool2d_with_indices", "aten.avg_pool1d", "aten.avg_pool2d", "aten.avg_pool3d",
        "aten.adaptive_avg_pool1d", "aten.adaptive_avg_pool2d", "aten.adaptive_avg_pool3d", "aten.adaptive_max_pool2d",
        "aten.clone", "aten.alias", "aten.detach", "aten.contiguous", "aten._to_copy", "aten.to", "operator.getitem",
    }
)  # fmt: skip
RESHAPES = frozenset({"aten.flatten", "aten.view", "aten.reshape", "aten._unsafe_view"})


class Link(NamedTuple):
    """A layer of a chain.

    Attributes:
        layer: its name.
        block: columns of it that belong to one unit of the layer before, next to each other; 1 for the first layer.
    """

    layer: str
    block: int


def plain_chain(run: Run) -> list[Link]:
    """The layers of a network, each of which reads the units of the one before and nothing else.

    Args:
        run: its program says what the network computes.

    Returns:
        Its layers in order, at least two.

    Raises:
        MisuseError: there is no program, or the network is no such chain; the text says why.
    """
    if run.program is None:
        raise MisuseError(f"{run.name} holds no program that would tell how its layers follow each other")
    owners = {layer.parameter: name for name, layer in run.layers.items() if layer.axis == 0 and layer.start == 0}
    found: list[str] = []
    for parameter in _parameters(run.program, run.name):
        layer = run.layers.get(owners.get(parameter, ""))
        if layer is None or layer.rows != run.parameters[parameter].shape[0]:
            raise MisuseError(f"{run.name}: {parameter} is used as a layer, but its rows were not recorded as one")
        if layer.name in found:
            raise MisuseError(f"{run.name}: {layer.name} is used more than once")
        found.append(layer.name)
    if len(found) < 2:
        raise MisuseError(f"{run.name}: it has no layer whose units another one reads")
    return [Link(found[0], 1), *(Link(b, _block(run, a, b)) for a, b in pairwise(found))]


def _parameters(program: Mapping[str, Any], name: str) -> Iterator[str]:
    """Weights of the layers in order, as long as all else goes unit by unit."""
    flow = {each["node"] for each in program["inputs"]}
    current, hurdle, started = flow, "", False
    for node, operation, positional, keyword, _ in program["nodes"]:
        used = set(_references([positional, keyword])) & flow
        kind = operation.rpartition(".")[0] if operation.startswith("aten.") else operation
        if not used or kind == "aten.sym_size":
            continue
        flow.add(node)
        if started and used != current:
            shared = "units are shared along a residual path" if kind in ("aten.add", "aten.add_") else "it branches"
            hurdle = hurdle or f"{shared} (at {operation})"
        weight = program["tensors"].get(_node(positional, 1)) if kind in LAYERS else None
        if weight is not None:
            if hurdle:
                raise MisuseError(f"{name} is no plain chain of layers: {hurdle}")
            started = True
            yield weight
        elif started and kind not in UNIT_BY_UNIT and not _flattens(kind, positional):
            hurdle = hurdle or f"{operation} mixes or moves units"
        current = {node}


def _flattens(kind: str, positional: list[Any]) -> bool:
    """Whether it only puts the positions of each channel one after the other."""
    if kind == "aten.flatten":
        return positional[1:] in ([1], [1, -1])
    return kind in RESHAPES and len(positional) > 1 and len(positional[1]) == 2


def _block(run: Run, before: str, layer: str) -> int:
    units, columns = run.layers[before].rows, run.layers[layer].columns
    shape = run.parameters[run.layers[layer].parameter].shape
    if columns % units or (len(shape) > 2 and shape[1] != units):
        raise MisuseError(f"{run.name}: the {columns} inputs of {layer} are not those of {units} units of {before}")
    return int(columns // units)


def _node(arguments: list[Any], at: int) -> str:
    found = arguments[at] if len(arguments) > at else None
    return str(found.get("node", "")) if isinstance(found, dict) else ""


def _references(argument: Any) -> Iterator[str]:
    if isinstance(argument, dict) and isinstance(argument.get("node"), str):
        yield argument["node"]
    elif isinstance(argument, dict | list):
        for each in argument.values() if isinstance(argument, dict) else argument:
            yield from _references(each)
