"""Which tensors `include` and `exclude` choose, by the names of parameters, buffers and the modules they are in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from wdyn.errors import MisuseError
from wdyn.record.inventory import Inventory


def choose(found: Inventory, include: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """Names to record, in the order of the inventory.

    A pattern that fits any name of a tied tensor fits the tensor, and one that fits a module fits all inside it.

    Raises:
        MisuseError: no parameter is left.
    """
    names = _names(found)
    chosen = [name for name, own in names.items() if _any(own, include) and not _any(own, exclude)]
    parameters = found.names("weight")
    if not parameters:
        raise MisuseError("the model has no parameters, so there is nothing to record.")
    if not set(chosen).intersection(parameters):
        raise MisuseError(
            f"include={list(include)} and exclude={list(exclude)} leave no parameter. "
            f"The model has: {', '.join(parameters)}."
        )
    return chosen


def check_each_matches(found: Inventory, include: Sequence[str], exclude: Sequence[str]) -> None:
    """See that no pattern is misspelt.

    Raises:
        MisuseError: one of them matches nothing.
    """
    names = _names(found)
    for argument, patterns in (("include", include), ("exclude", exclude)):
        for pattern in patterns:
            if not any(_any(own, [pattern]) for own in names.values()):
                raise MisuseError(f"{argument}={pattern!r} matches nothing. The model has: {', '.join(names)}.")


def _names(found: Inventory) -> dict[str, set[str]]:
    """Of each tensor: all its names, and those of the modules it is in."""
    names = {name: set(_with_modules(name)) for name in found.places}
    for alias, name in found.tied.items():
        names[name].update(_with_modules(alias))
    return names


def _with_modules(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _any(names: set[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
