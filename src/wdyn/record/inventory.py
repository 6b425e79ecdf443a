"""Which tensors a model owns and what they are called: wrappers stripped, tied tensors once, masks apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from wdyn.journal.schema import Role

ORIG, MASK = "_orig", "_mask"  # what torch.nn.utils.prune appends to a parameter's name

Edge = tuple[nn.Module, str, nn.Module]  # parent, the child's key in it, child


@dataclass(frozen=True)
class Place:
    """Where a tensor lives in the model.

    Attributes:
        path: the module's path, wrapper segments stripped; empty for the model itself.
        module: the module that owns the tensor.
        key: the tensor's name in the module, without torch's `_orig`.
        role: `weight` for parameters, or `buffer`.
        edges: the steps from the model down to the module; the tensor is the model's only while they stand.
    """

    path: str
    module: nn.Module
    key: str
    role: Role
    edges: tuple[Edge, ...]

    @property
    def name(self) -> str:
        """The name it is recorded under."""
        return join(self.path, self.key)

    def find(self) -> tuple[dict[str, Tensor | None], str]:
        """The dict of the module that holds the tensor now, and its key there."""
        if self.role == "buffer":
            return self.module._buffers, self.key
        slots: dict[str, Tensor | None] = self.module._parameters  # type: ignore[assignment]
        return slots, self.key if self.key in slots else self.key + ORIG

    def tensor(self) -> Tensor:
        """The tensor as it is now."""
        slots, key = self.find()
        tensor = slots[key]
        assert tensor is not None  # places are made for tensors that exist
        return tensor


@dataclass(frozen=True)
class Inventory:
    """Every parameter and persistent buffer of a model, each once.

    Attributes:
        places: by recorded name, in the order of the module tree.
        tied: second and further names of a tensor, to the name it is recorded under.
    """

    places: dict[str, Place]
    tied: dict[str, str]

    def names(self, role: Role) -> list[str]:
        """Recorded names of the parameters or of the buffers."""
        return [name for name, place in self.places.items() if place.role == role]


def join(path: str, key: str) -> str:
    """`path.key`, or `key` for the model itself."""
    return f"{path}.{key}" if path else key


def unwrapped(model: nn.Module) -> nn.Module:
    """The user's own module inside torch.compile's and the data-parallel wrappers."""
    for key, child in model._modules.items():
        if child is not None and is_wrapper_segment(model, key):
            return unwrapped(child)
    return model


def take_inventory(model: nn.Module) -> Inventory:
    """Walk the module tree; a shared module or tied parameter goes by its first name."""
    places: dict[str, Place] = {}
    tied: dict[str, str] = {}
    first: dict[int, str] = {}
    for path, module, edges in _walk(model, "", ()):
        for tensor, key, role in _owned(module):
            place = Place(path, module, key, role, edges)
            name = first.setdefault(id(tensor), place.name)
            if name == place.name:
                places[name] = place
            else:
                tied[place.name] = name
    return Inventory(places, tied)


def _walk(module: nn.Module, path: str, edges: tuple[Edge, ...]) -> Iterator[tuple[str, nn.Module, tuple[Edge, ...]]]:
    yield path, module, edges
    above = {parent for parent, _, _ in edges} | {module}
    for key, child in module._modules.items():
        if child is not None and child not in above:  # a child that is its own ancestor would go on for ever
            below = path if is_wrapper_segment(module, key) else join(path, key)
            yield from _walk(child, below, (*edges, (module, key, child)))


def is_wrapper_segment(parent: nn.Module, key: str) -> bool:
    """Whether the child is the user's own module inside a wrapper of torch.compile or data parallelism."""
    return key == "_orig_mod" or (key == "module" and isinstance(parent, DataParallel | DistributedDataParallel))


def _owned(module: nn.Module) -> Iterator[tuple[Tensor, str, Role]]:
    masked = {key.removesuffix(MASK) for key in module._buffers if key.endswith(MASK)}
    masked = {key for key in masked if key + ORIG in module._parameters}
    for key, parameter in module._parameters.items():
        if parameter is not None:
            plain = key.removesuffix(ORIG)
            yield parameter, plain if plain in masked else key, "weight"
    for key, buffer in module._buffers.items():
        is_mask = key.endswith(MASK) and key.removesuffix(MASK) in masked
        if buffer is not None and not is_mask and key not in module._non_persistent_buffers_set:
            yield buffer, key, "buffer"
