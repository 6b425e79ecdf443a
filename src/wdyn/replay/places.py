"""Where the units of a network are in its program: the values that are clamped when a unit goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from wdyn.replay.interpret import Operation, Program
from wdyn.replay.shapes import Shapes
from wdyn.scores import Kind
from wdyn.store.run import Layer

ACTIVATIONS = (
    *("celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_sigmoid", "mish"),
    *("prelu", "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softshrink", "tanh", "threshold"),
)
_ELEMENTWISE = (*ACTIVATIONS, "clone", "contiguous", "detach", "dropout", "feature_dropout", "alias", "to")
_PER_UNIT_NORMS = ("batch_norm", "_native_batch_norm_legit_no_training", "instance_norm")
_MIXING_NORMS = ("group_norm", "layer_norm", "rms_norm")
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")


@dataclass(frozen=True)
class Site:
    """The units of one place.

    Attributes:
        name: of the place.
        kind: what a unit is.
        units: N.
        axis: of the value that counts units, negative.
        source: the node that computes the units, before any activation function.
        node: the node after the activation function: its value is what a unit gives to others.
        chain: the operations from `source`, without it, to `node`.
        mixes: whether a normalisation over several units lies between the two.
        weight: the node of the weight whose rows are the units; None for heads and hidden units.
        bias: the node of its bias; None where there is none.
    """

    name: str
    kind: Kind
    units: int
    axis: int
    source: str
    node: str
    chain: tuple[Operation, ...] = ()
    mixes: bool = False
    weight: str | None = None
    bias: str | None = None

    def before_activation(self) -> Site:
        """The same units as their layer gives them."""
        return replace(self, node=self.source, chain=(), mixes=False)


def find_sites(program: Program, layers: Mapping[str, Layer], shapes: Shapes) -> tuple[dict[str, Site], dict[str, str]]:
    """All places of a network.

    Args:
        program: of the network.
        layers: of the run.
        shapes: of all values of the program for some batch.

    Returns:
        Sites by the name of the place, in the order of the forward pass, and the layers that are none, with the reason.
    """
    finder = _Finder(program, shapes)
    sites: list[Site] = [*finder.heads(), *finder.hidden()]
    left_out: dict[str, str] = {}
    for layer in layers.values():
        found = finder.site_of(layer)
        if isinstance(found, Site):
            sites.append(found)
        else:
            left_out[layer.name] = found
    order = {each.name: number for number, each in enumerate(program.operations)}
    return {site.name: site for site in sorted(sites, key=lambda site: order[site.source])}, left_out


class _Finder:
    def __init__(self, program: Program, shapes: Shapes) -> None:
        self._program, self._shapes = program, shapes
        self._users: dict[str, list[Operation]] = {}
        for each in program.operations:
            for name in each.needs:
                self._users.setdefault(name, []).append(each)
        self._results = set(program.results)

    def site_of(self, layer: Layer) -> Site | str:
        """The place of a layer, or why it is none."""
        nodes = [node for node, name in self._program.tensors.items() if name == layer.parameter]
        uses = [each for node in nodes for each in self._users.get(node, ())]
        if not uses:
            return "the forward pass does not use it"
        if len(uses) > 1:
            return f"its weights are used {len(uses)} times"
        use, kind = uses[0], _base(uses[0])
        if kind in _RECURRENT:
            return "the units of a recurrent layer go all gates together, as its hidden units"
        if kind in ("embedding", "embedding_bag"):
            return "its rows are entries of a table, one for each token"
        axis = _unit_axis(kind)
        if axis is None or use.positional[1] != {"node": nodes[0]}:
            return f"wdyn does not know which output of {use.kind} belongs to which of its rows"
        shape = self._shapes[use.name]
        if shape[axis] != layer.rows:
            return f"{layer.parameter} holds several layers at once, whose units go as heads"
        found = self._followed(
            Site(
                layer.name,
                "neuron" if axis == -1 else "channel",
                layer.rows,
                axis,
                use.name,
                use.name,
                weight=nodes[0],
                bias=_node(use.positional[2] if len(use.positional) > 2 else None),
            )
        )
        return "its units are the outputs of the network" if self._program.ends_in(found.node) else found

    def heads(self) -> Iterator[Site]:
        """The heads of each attention."""
        for each in self._program.operations:
            if _base(each) == "scaled_dot_product_attention" and len(self._shapes[each.name]) == 4:
                yield Site(each.path or each.name, "head", self._shapes[each.name][1], -3, each.name, each.name)

    def hidden(self) -> Iterator[Site]:
        """The hidden units of each recurrent layer whose outputs, not its last state, go on."""
        for each in self._program.operations:
            if _base(each) in _RECURRENT:
                users = self._users.get(each.name, [])
                if len(users) == 1 and users[0].positional[1] == 0:
                    value = users[0].name
                    yield Site(each.path or each.name, "hidden unit", self._shapes[value][-1], -1, value, value)

    def _followed(self, site: Site) -> Site:
        """The site moved behind what keeps its units apart: norms, dropout and the activation function."""
        at = certain = site  # a norm over several units is passed only on the way to an activation function
        while (user := self._only_user(at.node)) is not None:
            kind = _base(user)
            per_unit = kind in _ELEMENTWISE or (kind in _PER_UNIT_NORMS and self._counts_units(user, site.axis))
            single = user.name in self._shapes  # not one of several results
            if not single or not (per_unit or kind in _MIXING_NORMS) or user.positional[0] != {"node": at.node}:
                break
            at = replace(at, node=user.name, chain=(*at.chain, user), mixes=at.mixes or not per_unit)
            if kind in ACTIVATIONS:
                return at
            if not at.mixes:
                certain = at
        return certain

    def _only_user(self, node: str) -> Operation | None:
        users = [each for each in self._users.get(node, []) if each.kind != "aten.sym_size.int"]
        return users[0] if len(users) == 1 and node not in self._results else None

    def _counts_units(self, norm: Operation, axis: int) -> bool:
        """Whether a norm with one mean per entry of axis 1 has one per unit."""
        return len(self._shapes[norm.needs[0]]) + axis == 1


def _base(operation: Operation) -> str:
    """`relu` for `aten.relu.default`."""
    return operation.kind.split(".")[1]


def _unit_axis(kind: str) -> int | None:
    if kind == "linear":
        return -1
    return next((-1 - axes for axes in (1, 2, 3) if kind in (f"conv{axes}d", f"conv_transpose{axes}d")), None)


def _node(argument: Any) -> str | None:
    return argument["node"] if isinstance(argument, dict) else None
