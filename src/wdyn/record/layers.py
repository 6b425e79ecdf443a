"""Which parameters hold neuron rows, by the type of their module, and why the others hold none."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.parametrize import ParametrizationList

from wdyn.journal.schema import TensorSpec
from wdyn.record.distributed import class_name
from wdyn.record.inventory import Place, join
from wdyn.record.snapshot import Snapshot

Row = dict[str, Any]  # the fields of store.run.Layer
GATES: dict[type[nn.Module], tuple[str, ...]] = {
    nn.LSTM: ("input", "forget", "cell", "output"),
    nn.LSTMCell: ("input", "forget", "cell", "output"),
    nn.GRU: ("reset", "update", "new"),
    nn.GRUCell: ("reset", "update", "new"),
}
_RECURRENT = re.compile(r"weight_(ih|hh|hr)(_l\d+(_reverse)?)?")
_ROWS_FIRST = (nn.Linear, nn.Bilinear, nn.Embedding, nn.EmbeddingBag, _ConvNd)


def find_layers(snapshot: Snapshot) -> tuple[list[Row], list[tuple[str, str]]]:
    """The table of layers and of what is left out.

    Args:
        snapshot: the recorded tensors.

    Returns:
        Dicts with the fields of `store.run.Layer`, and pairs of a parameter's name and the reason it gives no rows;
        together they name every parameter of the model.
    """
    recorded = {spec.name: spec for spec in snapshot.tensors}
    layers: list[Row] = []
    left_out: list[tuple[str, str]] = []
    for name in snapshot.inventory.names("weight"):
        place = snapshot.inventory.places[name]
        if name not in recorded:
            left_out.append((name, "not recorded: include and exclude leave it out"))
            continue
        rows = list(_layers_of(place, recorded[name]))
        for row in rows:
            row["bias"] = _recorded_bias(row["bias"], place, snapshot, recorded)
        layers += rows
        if not rows:
            left_out.append((name, _reason(place, recorded[name])))
    return layers, left_out


def _layers_of(place: Place, spec: TensorSpec) -> Iterator[Row]:
    """The layers of one parameter, with the bias as a key of the module."""
    module, key = place.module, place.key
    if isinstance(module, nn.MultiheadAttention):
        yield from _attention(place, spec)
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase) and _RECURRENT.fullmatch(key):
        yield from _recurrent(place, spec)
    elif key != "weight" or len(spec.shape) < 2:
        return
    elif isinstance(module, _ConvTransposeNd):  # (in, out / groups, *kernel)
        yield _row(place, spec, axis=1, groups=module.groups, bias="bias", name=place.path)
    elif isinstance(module, _ROWS_FIRST):
        yield _row(place, spec, bias="bias", name=place.path)


def _attention(place: Place, spec: TensorSpec) -> Iterator[Row]:
    if place.key == "in_proj_weight":
        yield from _parts(place, spec, ("query", "key", "value"), bias="in_proj_bias")
    elif re.fullmatch("[qkv]_proj_weight", place.key):  # their biases share one vector, so offsets do not agree
        yield _row(place, spec, bias=None, name=place.name)


def _recurrent(place: Place, spec: TensorSpec) -> Iterator[Row]:
    if place.key.startswith("weight_hr"):
        yield _row(place, spec, bias=None, name=place.name)
        return
    gates = next((gates for kind, gates in GATES.items() if isinstance(place.module, kind)), ())
    bias = place.key.replace("weight", "bias")
    if gates:
        yield from _parts(place, spec, gates, bias=bias)
    else:
        yield _row(place, spec, bias=bias, name=place.name)


def _parts(place: Place, spec: TensorSpec, parts: tuple[str, ...], *, bias: str) -> Iterator[Row]:
    rows = spec.shape[0] // len(parts)
    for i, part in enumerate(parts):
        yield _row(place, spec, bias=bias, name=f"{place.name}:{part}") | {"rows": rows, "start": i * rows}


def _row(place: Place, spec: TensorSpec, *, bias: str | None, name: str, axis: int = 0, groups: int = 1) -> Row:
    rows = spec.shape[axis] * groups
    return {
        "name": name or place.key, "parameter": spec.name, "rows": rows,
        "columns": math.prod(spec.shape) // rows if rows else 0,
        "axis": axis, "start": 0, "groups": groups, "kind": class_name(place.module), "bias": bias,
    }  # fmt: skip


def _recorded_bias(key: str | None, place: Place, snapshot: Snapshot, recorded: Mapping[str, TensorSpec]) -> str | None:
    if key is None:
        return None
    name = join(place.path, key)
    name = snapshot.inventory.tied.get(name, name)
    return name if name in recorded else None


def _reason(place: Place, spec: TensorSpec) -> str:
    if isinstance(place.module, ParametrizationList):
        return "parametrized: the forward pass uses a value computed from it, which is not recorded"
    if not spec.shape:
        return "a single value, so no direction"
    if len(spec.shape) == 1:
        return "one value per unit (bias or scale), so no direction"
    return f"parameter of a {class_name(place.module)}, and wdyn does not know which axis counts its neurons"
