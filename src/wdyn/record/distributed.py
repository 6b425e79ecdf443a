"""Training by several processes at once: which of them records, and what all of them must do together."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, distributed, nn

from wdyn.errors import MisuseError

CHECKING = "WDYN_CHECKING"  # set for all that a script starts while it is checked
SHARDED = (
    "the model's tensors are spread over several processes; "
    "give program=run.program of a run of the same model that is not"
)


def is_first_rank() -> bool:
    """Whether this process is the first of its group, or trains alone."""
    return not (distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0)


def started_by_check() -> bool:
    """Whether a script that is being checked has started this program, whose Recorders must not touch its runs."""
    return CHECKING in os.environ


def from_first_rank(act: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any]:
    """Let the first process act; all others wait for it and learn what it says, or fail as it does.

    Args:
        act: returns what only the first process gets, and what all are told, which can be pickled.

    Returns:
        The first process's own result, None in the others, and what all are told.

    Raises:
        MisuseError: the first process could not; its own error in that one.
    """
    own, told = None, None
    error: Exception | None = None
    if is_first_rank():
        try:
            own, told = act()
        except Exception as raised:  # whatever it is, the others are waiting
            error = raised
    said = [told, None if error is None else str(error)]
    distributed.broadcast_object_list(said, src=0)
    if error is not None:
        raise error
    if said[1] is not None:
        raise MisuseError(f"the first process could not begin to record: {said[1]}")
    return own, said[0]


def whole(tensor: Tensor) -> Tensor:
    """A tensor that is spread over processes, gathered; all of them must ask for it. Any other as it is."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor if gather is None else cast(Tensor, gather())


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is spread over processes."""
    return hasattr(tensor, "full_tensor")


def class_name(module: nn.Module) -> str:
    """The name of a module's class, without what sharding makes of it."""
    kind = type(module)
    if kind.__bases__[0].__name__ == "FSDPModule" and len(kind.__bases__) > 1:  # its class is made on the fly
        kind = kind.__bases__[1]
    return kind.__name__
