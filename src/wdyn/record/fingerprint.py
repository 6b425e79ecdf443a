"""All that a training could notice of being recorded, as checksums: equal ones mean that nothing was changed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
import torch
from isal.isal_zlib import crc32
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim import optimizer as torch_optimizer

Values = dict[str, Any]  # by the name of a tensor, module or generator; whatever JSON can hold
Parts = dict[str, Values]

_HOOKS = tuple(name for name in vars(nn.Module()) if "hooks" in name)  # what each module keeps of them


class Fingerprint:
    """Takes the fingerprint of a model and of the optimizers that train it, again and again.

    Taking one changes nothing that the next would show: no tensor is written, no random number drawn.
    """

    def __init__(self, model: nn.Module) -> None:
        """Begin with where the model's tensors stand now.

        Args:
            model: as its user trains it.
        """
        self._model = model
        self._optimizers: list[Optimizer] = []
        self._places = self._find()

    def add(self, optimizer: Optimizer) -> None:
        """Look at an optimizer's state as well from now on."""
        if not any(optimizer is each for each in self._optimizers):
            self._optimizers.append(optimizer)

    def take(self, *, hooks: bool = False) -> Parts:
        """What is now, by part.

        Args:
            hooks: whether to count the hooks on the model; while a Recorder waits for the first call it has one there.
        """
        parameters, buffers = dict(self._model.named_parameters()), dict(self._model.named_buffers())
        modules = dict(self._model.named_modules())
        return {
            "weights": {name: checksum(tensor) for name, tensor in parameters.items()},
            "buffers": {name: checksum(tensor) for name, tensor in buffers.items()},
            "gradients": {name: checksum(tensor.grad) for name, tensor in parameters.items()},
            "optimizer state": self._states(parameters),
            "random numbers": _generators(),
            "train mode": {name: module.training for name, module in modules.items()},
            "requires_grad": {name: tensor.requires_grad for name, tensor in parameters.items()},
            "versions": {name: _version(tensor) for name, tensor in {**parameters, **buffers}.items()},
            "addresses": self._moved(),
            "attributes": {name: _attributes(module) for name, module in modules.items()},
            "settings": _settings(),
            **({"hooks": _hooks(modules, parameters)} if hooks else {}),
        }

    def _states(self, parameters: Mapping[str, Tensor]) -> Values:
        names = {id(tensor): name for name, tensor in parameters.items()}
        return {
            f"{type(optimizer).__name__} {number}, {name}": value
            for number, optimizer in enumerate(self._optimizers)
            for name, value in _state(optimizer, names)
        }

    def _find(self) -> dict[str, tuple[Tensor, int]]:
        return {name: (tensor, _address(tensor)) for name, tensor in self._model.named_parameters()}

    def _moved(self) -> Values:
        """Whether each parameter is another object, or at another address, than at the time before.

        Addresses differ from process to process, but not whether they stay.
        """
        before, self._places = self._places, self._find()
        return {name: not _same(before.get(name), now) for name, now in self._places.items()}


def checksum(value: Any) -> str:
    """A checksum of a value: of a tensor's type, shape and bytes, of plain values, and of any nesting of these.

    Of other objects only the type counts, as what they print may differ between processes.
    """
    if isinstance(value, Tensor):
        return _of_tensor(value.detach())
    if isinstance(value, Mapping):
        return _of_text(f"{key!r}: {checksum(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return _of_text(map(checksum, value))
    if isinstance(value, np.ndarray | np.generic):
        return f"{value.dtype}{value.shape}:{crc32(np.ascontiguousarray(value).tobytes()):08x}"
    if isinstance(value, bool | int | float | complex | str | bytes | None):
        return _of_text([repr(value)])
    return type(value).__name__


def _of_text(texts: Iterable[str]) -> str:
    return f"{crc32(chr(10).join(texts).encode()):08x}"


def _of_tensor(tensor: Tensor) -> str:
    if hasattr(tensor, "to_local"):  # of one that is spread over processes, the part of this one
        tensor = tensor.to_local()
    head = f"{str(tensor.dtype).removeprefix('torch.')}{tuple(tensor.shape)}"
    if tensor.is_meta:
        return head
    if tensor.layout is torch.sparse_coo:
        return f"{head}:{_of_tensor(tensor._indices())}{_of_tensor(tensor._values())}"
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    flat = tensor.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return f"{head}:{crc32(cast(Any, flat.view(torch.uint8).numpy())):08x}"


def _address(tensor: Tensor) -> int:
    try:
        return tensor.data_ptr()
    except RuntimeError:  # sparse ones and wrappers have none
        return 0


def _same(before: tuple[Tensor, int] | None, now: tuple[Tensor, int]) -> bool:
    return before is not None and before[0] is now[0] and before[1] == now[1]


def _state(optimizer: Optimizer, names: Mapping[int, str]) -> Iterable[tuple[str, str]]:
    """What an optimizer remembers of each parameter, and the options of each group."""
    number = 0
    for group, options in enumerate(optimizer.param_groups):
        yield f"options of group {group}", checksum({name: options[name] for name in options if name != "params"})
        for parameter in options["params"]:
            name = names.get(id(parameter), f"parameter {number}")
            number += 1
            # LBFGS keeps all in the state of its first parameter; asking for one that is not there would make it
            for key, value in optimizer.state[parameter].items() if parameter in optimizer.state else ():
                yield f"{key} of {name}", checksum(value)


def _generators() -> Values:
    found: Values = {
        "Python": _of_text([repr(random.getstate())]),
        "NumPy": checksum(np.random.get_state()),  # noqa: NPY002 the global one is what a training may use
        "torch": checksum(torch.get_rng_state()),
    }
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        found |= {f"cuda:{i}": checksum(state) for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return found


def _attributes(module: nn.Module) -> str:
    """Names of all that a module holds."""
    inside = (module._parameters, module._buffers, module._modules)
    return _of_text([repr(list(vars(module))), *(repr(list(each)) for each in inside)])


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version  # those of inference mode are not counted


def _hooks(modules: Mapping[str, nn.Module], parameters: Mapping[str, Tensor]) -> Values:
    """How many there are on each module and parameter, and on all optimizers."""
    found: Values = {name: sum(len(vars(each).get(key, ())) for key in _HOOKS) for name, each in modules.items()}
    found |= {f"{name} itself": len(each._backward_hooks or ()) for name, each in parameters.items()}
    before, after = torch_optimizer._global_optimizer_pre_hooks, torch_optimizer._global_optimizer_post_hooks
    return found | {"of all optimizers": [len(before), len(after)]}


def _settings() -> Values:
    """What torch does everywhere in this thread."""
    return {
        "gradients enabled": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": [torch.is_autocast_enabled(device) for device in ("cpu", "cuda")],
        "default type": str(torch.get_default_dtype()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
    }
