"""The one data object: a recorded run, read-only, whatever it is stored in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from wdyn.errors import MisuseError
from wdyn.journal.schema import TensorSpec
from wdyn.store.layers import Layer, LeftOut, needed, rows_of
from wdyn.store.lookup import check_recorded, extent, layer_of, layers_matching, position_of, positions_within
from wdyn.store.shown import Shown
from wdyn.store.sources import Array, Condition, MaskTrack, Metric, Sample, Source, read_only, steps_per_block

__all__ = ["Array", "Layer", "LeftOut", "Metric", "Run", "Sample"]


class Run(Shown):
    """A recorded run: where its numbers are, never what they mean. Made by `open_run`.

    Arrays that hold weights, buffers or masks are new at each call and may be written to; nothing gets back into the
    file. Metrics and the sample are read-only. A read of damaged bytes, or of a step whose masks are lost, raises
    DamagedError. Not to be used from several threads at once.

    Attributes:
        path: the run file, whether or not it exists yet.
        steps: (S,) int64, finished optimizer updates, increasing; 0 is the initial weights.
        layers: name to Layer, in the model's order.
    """

    def __init__(self, source: Source, positions: Array | None = None, layers: Iterable[Layer] | None = None) -> None:
        """Look at a source.

        Args:
            source: where the numbers are; the run closes it.
            positions: (S,) increasing, the steps to offer; all when omitted.
            layers: the layers to offer; all when omitted.
        """
        self._source = source
        self._positions = np.arange(len(source.steps)) if positions is None else positions
        self.path: Path = source.path
        self.steps: Array = read_only(source.steps[self._positions])  # indexed, hence a copy
        offered = (Layer(**fields) for fields in source.meta["layers"]) if layers is None else layers
        self.layers: Mapping[str, Layer] = MappingProxyType({each.name: each for each in offered})

    @property
    def name(self) -> str:
        """Name of the file without its ending."""
        return self.path.stem

    @property
    def times(self) -> Array:
        """(S,) float64, wall time of each step in seconds since 1970."""
        return read_only(self._source.times[self._positions])

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Recorded parameters that give no neuron rows."""
        return tuple(LeftOut(name, reason) for name, reason in self.meta["left_out"])

    @property
    def parameters(self) -> Mapping[str, TensorSpec]:
        """Name to name, role, type while training and shape of every recorded weight and buffer."""
        return MappingProxyType(dict(self._source.tensors))

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Name to logged scalar, over the whole run."""
        return MappingProxyType(dict(self._source.metrics))

    @property
    def sample(self) -> Sample | None:
        """The data given as `sample=`, if any was."""
        return self._source.sample

    @property
    def program(self) -> Mapping[str, Any] | None:
        """The model's forward pass as data, as it was exported once for all steps; None where `no_program` says why."""
        return self._source.program.content

    @property
    def no_program(self) -> str:
        """Why there is no program, in words; empty where there is one."""
        return self._source.program.missing

    @property
    def meta(self) -> Mapping[str, Any]:
        """Facts of the recording; the keys are listed in FORMAT.md."""
        return MappingProxyType(dict(self._source.meta))

    @property
    def notes(self) -> tuple[dict[str, Any], ...]:
        """What the recording said of itself: skipped steps, gaps, damage, its end."""
        return tuple(self.meta["notes"])

    @property
    def condition(self) -> Condition:
        """`finished`: closed by its Recorder; `recording`; or `interrupted`: left by a process that died."""
        return self._source.condition

    @property
    def checksum(self) -> str:
        """8 hex digits over all checksums of the run."""
        return self._source.checksum

    def select(
        self,
        *,
        layers: str | Sequence[str] | None = None,
        steps: slice | Sequence[int] | Array | None = None,
    ) -> Run:
        """The same run, with fewer layers or steps on offer.

        Args:
            layers: a name or glob (`conv*`), or several; the order of the run is kept.
            steps: step numbers, or a slice over them: of the recorded steps from start up to, without, stop every
                so many. `slice(100, 200, 10)` is each tenth recorded step of those numbered 100 to 199.

        Returns:
            A run that shares this one's file: closing either closes both.

        Raises:
            NotFoundError: a glob matches no layer, a step was not recorded, or none lies within the slice.
            MisuseError: no step number was given, or the slice does not run forward.
        """
        positions = self._positions
        if isinstance(steps, slice):
            positions = positions[positions_within(self, steps)]
        elif steps is not None:
            positions = positions[sorted({position_of(self, int(step)) for step in steps})]
        if steps is not None and not len(positions):
            raise MisuseError(f"{self.path}: no step number was given. It has {extent(self)}.")
        return Run(self._source, positions, layers_matching(self, layers))

    def neurons(self, layer: str, step: int) -> Array:
        """The weight rows of a layer's neurons at one step, as the forward pass used them.

        Args:
            layer: a name of `layers`.
            step: one of `steps`.

        Returns:
            (N, D), training type (bfloat16 as float32), pruning mask applied.

        Raises:
            NotFoundError: there is no such layer or step.
        """
        rows: Array = self._rows(layer_of(self, layer), self._positions[[position_of(self, step)]])[0]
        return rows

    def blocks(self, layer: str, *, bias: bool = False) -> Iterator[tuple[int, Array]]:
        """All steps of a layer in order, a few at a time, each stored chunk read once.

        Args:
            layer: a name of `layers`.
            bias: append each neuron's bias to its row, where the layer has a recorded one.

        Yields:
            Position in `steps` of the block's first step, and (B, N, D) rows as from `neurons`, or (B, N, D + 1) with
            the bias. B varies, and is such that a block stays below some hundred megabytes, or is one step.

        Raises:
            NotFoundError: there is no such layer.
        """
        found = layer_of(self, layer)
        together = steps_per_block(self._source.tensors[found.parameter], len(self._source.steps))
        rows_at = self._rows_and_bias if bias and found.bias is not None else self._rows
        return self._blocks(together, lambda positions: rows_at(found, positions))

    def history(self, name: str, *, masked: bool = True) -> Iterator[tuple[int, Array]]:
        """All steps of one recorded tensor in order, a few at a time, each stored chunk read once.

        Args:
            name: of `parameters`.
            masked: as for `state`.

        Yields:
            Position in `steps` of the block's first step, and (B, *shape) values. B as for `blocks`.

        Raises:
            NotFoundError: there is no such tensor.
        """
        check_recorded(self, [name])
        together = steps_per_block(self._source.tensors[name], len(self._source.steps))
        read = self._masked if masked else self._source.read
        return self._blocks(together, lambda positions: read(name, positions))

    def _blocks(self, together: int, rows_at: Callable[[Array], Array]) -> Iterator[tuple[int, Array]]:
        for _, group in groupby(enumerate(self._positions.tolist()), key=lambda pair: pair[1] // together):
            pairs = list(group)
            yield pairs[0][0], rows_at(np.array([position for _, position in pairs]))

    def state(self, step: int, names: Iterable[str] | None = None, *, masked: bool = True) -> dict[str, Array]:
        """Everything recorded at one step, as the forward pass used it.

        Args:
            step: one of `steps`.
            names: read only these, of `parameters`; all when omitted.
            masked: apply the masks; without them, also what the optimizer has below a mask.

        Returns:
            Name to array of the tensor's shape: weights, buffers, and tied parameters under each of their names.

        Raises:
            NotFoundError: there is no such step or name.
        """
        positions = self._positions[[position_of(self, step)]]
        wanted = list(self._source.tensors if names is None else names)
        check_recorded(self, wanted)
        read = self._masked if masked else self._source.read
        arrays = {name: read(name, positions)[0, ...] for name in wanted}
        return arrays | {alias: arrays[name] for alias, name in self.meta["tied"].items() if name in arrays}

    def replay(self, step: int) -> Any:
        """The network of one step, ready to be called as the model was, without the code that defined it.

        Args:
            step: one of `steps`.

        Returns:
            A function of the model's arguments, see `wdyn.replay.model.Replay`. It needs torch.

        Raises:
            NotFoundError: no such step, no program, or tensors that it needs were not recorded.
            RunFileError: the program is none that this wdyn runs.
        """
        import wdyn  # the front door alone knows the rooms that lie further on

        return wdyn.replayed(self, step)

    def masks(self, step: int, names: Iterable[str] | None = None) -> dict[str, Array]:
        """The pruning masks at one step.

        Args:
            step: one of `steps`.
            names: of these parameters only, as far as they were masked; all when omitted.

        Returns:
            Name to bool array of the parameter's shape, True where a weight is kept, for each parameter that was masked
            at any time. Empty for a run without pruning.

        Raises:
            NotFoundError: there is no such step.
            DamagedError: the masks that held at that step are lost.
        """
        self._source.check_masks(int(self._positions[position_of(self, step)]))
        shapes = {name: self._source.tensors[name].shape for name in self._source.masks}
        wanted = shapes if names is None else [name for name in names if name in shapes]
        return {name: self._source.masks[name].mask(self._source.masks[name].at(step), shapes[name]) for name in wanted}

    def mask_changes(self) -> dict[str, Array]:
        """When the pruning masks changed.

        Returns:
            Name of each parameter that was masked at any time to (M,) int64, those of `steps` from which on another
            mask of it holds; before the first nothing of it is masked.
        """
        found = {}
        for name, track in self._source.masks.items():
            holds = np.searchsorted(track.since, self.steps, side="right") - 1
            found[name] = self.steps[np.flatnonzero(np.diff(holds, prepend=-1))]
        return found

    def close(self) -> None:
        """Give up the file; further calls do nothing."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, layer: Layer, positions: Array) -> Array:
        return rows_of(self._masked(layer.parameter, positions, needed(layer)), layer)

    def _rows_and_bias(self, layer: Layer, positions: Array) -> Array:
        assert layer.bias is not None
        column = self._masked(layer.bias, positions, slice(layer.start, layer.start + layer.rows))
        return np.concatenate([self._rows(layer, positions), column[..., None]], axis=-1)

    def _masked(self, name: str, positions: Array, rows: slice = slice(None)) -> Array:
        values = self._source.read(name, positions, rows)
        if (track := self._source.masks.get(name)) is not None:
            self._apply(track, values, positions, rows=rows, shape=self._source.tensors[name].shape)
        return values

    def _apply(self, track: MaskTrack, values: Array, positions: Array, *, rows: slice, shape: tuple[int, ...]) -> None:
        """Multiply, as torch's pruning does: a masked NaN stays NaN and a masked -1 becomes -0."""
        which = [track.at(step) for step in self._source.steps[positions].tolist()]
        for index, group in groupby(range(len(which)), key=which.__getitem__):
            if index >= 0:
                mask = track.mask(index, shape)
                values[list(group)] *= mask[rows] if shape else mask
