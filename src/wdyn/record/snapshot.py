"""A module's values as named tensors, and the memory they are copied into while training runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from wdyn.errors import MisuseError, WdynError
from wdyn.journal.schema import ITEM_SIZES, TensorSpec
from wdyn.record.choice import choose
from wdyn.record.distributed import is_first_rank, is_sharded, whole
from wdyn.record.inventory import MASK, Place, take_inventory

SPARE_MEMORY = 256 * 2**20  # bytes of buffers beyond the two that are always allowed


class ModelChangedError(WdynError):
    """A recorded tensor is no longer the one that the run's schema describes."""


class Buffer:
    """Host memory laid out as the payload of a step frame.

    Attributes:
        bytes: all of it, uint8.
        payload: the same memory, for the journal.
        views: one tensor for each of the schema's, sharing the memory.
        events: CUDA events after which the bytes are there.
    """

    def __init__(self, tensors: Sequence[TensorSpec], dtypes: Sequence[torch.dtype], *, pinned: bool) -> None:
        size = sum(spec.nbytes for spec in tensors)
        # the device is named because the user may have set another default
        self.bytes = torch.empty(size, dtype=torch.uint8, device="cpu", pin_memory=pinned)
        self.payload = memoryview(cast(Any, self.bytes.numpy()))
        self.views: list[Tensor] = []
        self.events: list[torch.cuda.Event] = []
        at = 0
        for spec, dtype in zip(tensors, dtypes, strict=True):
            self.views.append(self.bytes[at : at + spec.nbytes].view(dtype).view(spec.shape))
            at += spec.nbytes

    def wait(self) -> None:
        """Return once the bytes have arrived from the accelerator."""
        for event in self.events:
            event.synchronize()
        self.events.clear()


class Pool:
    """The step buffers: a bounded number, reused, each made when first needed."""

    def __init__(self, tensors: Sequence[TensorSpec], dtypes: Sequence[torch.dtype]) -> None:
        self._tensors, self._dtypes = tensors, dtypes
        size = max(sum(spec.nbytes for spec in tensors), 1)
        self._permits = threading.Semaphore(2 + min(SPARE_MEMORY // size, 1000))
        self._free: list[Buffer] = []
        self._made = 0

    @property
    def in_use(self) -> int:
        """Buffers that were taken and not yet given back."""
        return self._made - len(self._free)

    def take(self, *, wait: bool, pinned: bool) -> Buffer | None:
        """A free buffer; where all are waiting to be written, wait for one or return None."""
        if not self._permits.acquire(blocking=wait):
            return None
        try:  # the one given back last is likeliest to be in the processor's cache
            if self._free:
                return self._free.pop()
            buffer = Buffer(self._tensors, self._dtypes, pinned=pinned)
            self._made += 1
            return buffer
        except BaseException:
            self._permits.release()
            raise

    def give(self, buffer: Buffer) -> None:
        """Take back a buffer that was written or is not needed."""
        self._free.append(buffer)
        self._permits.release()


class Snapshot:
    """Finds the recorded tensors of a model again at every step, and copies them.

    Attributes:
        inventory: all tensors of the model, recorded or not.
        tensors: what is recorded; larger items first, so that every tensor in a buffer is aligned.
        dtypes: their torch types.
        on_cuda: whether one of them is on a CUDA device.
        sharded: whether one of them is spread over processes, so that all of them must copy at the same steps.
    """

    def __init__(self, model: nn.Module, include: Sequence[str], exclude: Sequence[str]) -> None:
        """Choose the tensors.

        Raises:
            MisuseError: no parameter matches, or a tensor has no values yet or a type that cannot be recorded.
        """
        self._model, self._include, self._exclude = model, include, exclude
        self.inventory = take_inventory(model)
        specs = [_spec(self.inventory.places[name]) for name in choose(self.inventory, include, exclude)]
        self.tensors = tuple(sorted(specs, key=lambda spec: -ITEM_SIZES[spec.dtype]))
        places = [self.inventory.places[spec.name] for spec in self.tensors]
        self._bound = [_Bound(place, spec) for place, spec in zip(places, self.tensors, strict=True)]
        self._edges = list(dict.fromkeys(edge for place in places for edge in place.edges))
        self.dtypes = [bound.dtype for bound in self._bound]
        self.on_cuda = any(place.tensor().is_cuda for place in places)
        self.sharded = any(is_sharded(place.tensor()) for place in places)

    def is_current(self) -> bool:
        """Whether the model still holds the tensors where they were; takes microseconds."""
        return self._sources() is not None

    def copy(self, buffer: Buffer) -> bool:
        """Copy the tensors as they are now.

        On CUDA the copy is queued behind the update, and `buffer.wait` awaits it.

        Returns:
            False, with nothing copied, where the model was rearranged: then `retaken` finds the tensors again.
        """
        sources = self._sources()
        if sources is None:
            return False
        if self.sharded:
            self._gather(buffer, sources)
            return True
        devices = {tensor.device for tensor in sources if tensor.is_cuda}
        with torch.no_grad():
            torch._foreach_copy_(buffer.views, sources, non_blocking=bool(devices))
        for device in devices:
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(device))
            buffer.events.append(event)
        return True

    def _gather(self, buffer: Buffer, sources: list[Tensor]) -> None:
        """Copy one whole tensor after the other, in an order that all processes keep; the first alone needs them."""
        names = [spec.name for spec in self.tensors]
        keeps = is_first_rank()
        with torch.no_grad():
            for _, view, source in sorted(zip(names, buffer.views, sources, strict=True), key=lambda each: each[0]):
                tensor = whole(source)
                if keeps:
                    view.copy_(tensor)

    def _sources(self) -> list[Tensor] | None:
        if any(parent._modules.get(key) is not child for parent, key, child in self._edges):
            return None
        tensors = [tensor for bound in self._bound if (tensor := bound.current()) is not None]
        return tensors if len(tensors) == len(self._bound) else None

    def retaken(self, *, same_parameters: bool) -> Snapshot:
        """A snapshot of the rearranged model, which pruning or a new wrapper may have left with the same tensors.

        Args:
            same_parameters: whether a parameter replaced by another of the same shape and type is a change.

        Raises:
            ModelChangedError: the tensors no longer fit the schema.
        """
        try:
            fresh = Snapshot(self._model, self._include, self._exclude)
        except MisuseError as error:
            raise ModelChangedError(str(error)) from error
        fresh.arrange(self.tensors)
        for old, new in zip(self._bound, fresh._bound, strict=True):
            if same_parameters and old.parameter is not new.parameter:
                raise ModelChangedError(f"{old.place.name} was replaced by another parameter")
        return fresh

    def newcomers(self) -> list[str]:
        """Parameters that the model has gained since, of those that include and exclude choose."""
        now = take_inventory(self._model)
        recorded = {spec.name for spec in self.tensors}
        chosen = set(choose(now, self._include, self._exclude)) - recorded
        return [name for name in now.names("weight") if name in chosen]

    def arrange(self, tensors: Sequence[TensorSpec]) -> None:
        """Take the order of a run's tensors; pruning, for one, moves a parameter to the end of its module.

        Raises:
            ModelChangedError: the model has others.
        """
        if set(tensors) != set(self.tensors):
            raise ModelChangedError(_difference(tensors, self.tensors))
        bound = {each.place.name: each for each in self._bound}
        self.tensors = tuple(tensors)
        self._bound = [bound[spec.name] for spec in tensors]
        self.dtypes = [each.dtype for each in self._bound]

    def masks(self) -> dict[str, Tensor]:
        """The pruning masks that hold now: bool on the CPU, by the name of the parameter they mask."""
        return {bound.place.name: mask for bound in self._bound if (mask := bound.mask()) is not None}


class _Bound:
    """One recorded tensor and where its module keeps it."""

    __slots__ = ("_key", "_shape", "_slots", "dtype", "parameter", "place")

    def __init__(self, place: Place, spec: TensorSpec) -> None:
        tensor = place.tensor()
        self.place, self.dtype, self._shape = place, tensor.dtype, spec.shape
        self._slots, self._key = place.find()
        # a buffer may be a new object at each step, as in `self.mean = 0.9 * self.mean + x`
        self.parameter = tensor if place.role == "weight" else None

    def current(self) -> Tensor | None:
        """The tensor, if it is still the one that was bound."""
        tensor = self._slots.get(self._key)
        if tensor is None or tensor.dtype is not self.dtype or tensor.shape != self._shape:
            return None
        return tensor if self.parameter is None or tensor is self.parameter else None

    def mask(self) -> Tensor | None:
        """The pruning mask as bool, if there is one."""
        if self.parameter is None or self._key == self.place.key:
            return None
        mask = self.place.module._buffers.get(self.place.key + MASK)
        return None if mask is None else mask.detach().ne(0).cpu()


def _difference(was: Sequence[TensorSpec], now: Sequence[TensorSpec]) -> str:
    before, after = ({spec.name: f"{spec.dtype} {spec.shape}" for spec in specs} for specs in (was, now))
    name = next(name for name in before | after if before.get(name) != after.get(name))
    if name not in after:
        return f"{name} is gone from the model"
    if name not in before:
        return f"{name} is new in the model"
    return f"{name} is now {after[name]} and was {before[name]}"


def _spec(place: Place) -> TensorSpec:
    tensor = place.tensor()
    if is_lazy(tensor):
        raise MisuseError(f"{place.name} has no shape yet. Run one batch through the model first.")
    if tensor.is_meta:
        raise MisuseError(f"{place.name} is on the meta device, where tensors have no values.")
    dtype = str(tensor.dtype).removeprefix("torch.")
    dtype = "uint8" if dtype == "bool" else dtype  # the same bytes
    if dtype not in ITEM_SIZES or tensor.layout is not torch.strided:
        what = dtype if tensor.layout is torch.strided else f"{dtype} in layout {tensor.layout}"
        raise MisuseError(f"{place.name} is {what}, which a run cannot hold. Leave it out with exclude={place.name!r}.")
    return TensorSpec(place.name, place.role, dtype, tuple(tensor.shape))
