"""Whether the units of a place reach one linear layer, each by itself, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from wdyn.replay.interpret import Operation, Program
from wdyn.replay.places import ACTIVATIONS, Site
from wdyn.replay.shapes import Shapes

_ONE_BY_ONE = (*ACTIVATIONS, "clone", "contiguous", "detach", "dropout", "alias")  # value by value
_POOLS = ("adaptive_avg_pool", "adaptive_max_pool", "avg_pool", "max_pool")  # over positions
_LAYOUTS = ("flatten", "view", "reshape", "_unsafe_view", "squeeze")


def path_to_linear(program: Program, site: Site, shapes: Shapes) -> Sequence[Operation] | None:
    """The operations from a site's node to the one linear layer it reaches, that layer last.

    Args:
        program: of the network.
        site: where the units are.
        shapes: of all values for some batch.

    Returns:
        None where the units reach anything else, or lie in the layer's input in another order than unit by unit.
    """
    at, path = site.node, list[Operation]()
    while (user := _only_user(program, at)) is not None and user.positional[0] == {"node": at}:
        path.append(user)
        if user.kind == "aten.linear.default":
            return path if site.axis == -1 or len(shapes[at]) == 2 else None
        if user.name not in shapes or not _keeps_units_apart(user, shapes[at], shapes[user.name], site):
            return None
        at = user.name
    return None


def _only_user(program: Program, node: str) -> Operation | None:
    users = [each for each in program.operations if node in each.needs and each.kind != "aten.sym_size.int"]
    return users[0] if len(users) == 1 and node not in program.results else None


def _keeps_units_apart(user: Operation, before: tuple[int, ...], after: tuple[int, ...], site: Site) -> bool:
    kind = user.kind.split(".")[1]
    if kind in _ONE_BY_ONE:
        return True
    spatial = len(before) == 1 - site.axis and site.axis < -1  # (B, N, *positions), not flattened yet
    if kind.startswith(_POOLS):
        return spatial and f"{-1 - site.axis}d" in kind
    if kind == "mean":
        axes = user.positional[1] if len(user.positional) > 1 else []
        return spatial and all(axis % len(before) > 1 for axis in axes) and len(axes) > 0
    if kind in _LAYOUTS:
        flattened = len(after) == 2 and after[0] == before[0]
        return after == before or (spatial and (after[:2] == before[:2] or flattened))
    return False
