"""A run and some data → the network of any recorded step, ready to be scored without some of its units."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wdyn.errors import MisuseError, NotFoundError, WdynError
from wdyn.replay.interpret import Operation, Program, Values, built
from wdyn.replay.model import bound, program_of, tensors_at
from wdyn.replay.network import ReplayNetwork
from wdyn.replay.places import Site, find_sites
from wdyn.replay.score import Metric, Objective, chosen_output
from wdyn.replay.shapes import shapes_of
from wdyn.scores import Place

if TYPE_CHECKING:
    from wdyn.store.run import Run

_PROBES = 2, 3  # examples that shapes are found out with: what is larger for more counts examples
_MOST_NETWORKS = 4  # steps in memory at a time


def evaluator(
    run: Run, *, data: tuple[Any, Any] | None = None, metric: Metric | None = None, program: Program | None = None
) -> ReplayEvaluator:
    """Score any step of a run without some of its units, from the file alone.

    Args:
        run: a run that holds a program.
        data: inputs (an array, or a tuple of them for a model of several) and targets, first axis the example; the
            run's sample when omitted. Targets of whole numbers are classes, held against the outputs by cross-entropy
            and accuracy (-100 does not count); others by mean squared error.
        metric: (outputs, targets), NumPy arrays of all examples -> a number, higher is better, in place of accuracy.
        program: in place of the run's own.

    Returns:
        The evaluator, for analyses such as `wdyn.load_analysis("ablation").compute(run, evaluate=...)`.

    Raises:
        NotFoundError: there is no program, no data, or a tensor of the program was not recorded.
        MisuseError: the data do not fit the program, or targets not the outputs.
        RunFileError: the program is none that this wdyn runs.
    """
    return ReplayEvaluator(run, program or program_of(run), sample_of(run, data), metric=metric)


def sample_of(run: Run, data: tuple[Any, Any] | None) -> tuple[Any, Any]:
    """Data, or the run's sample in their place.

    Raises:
        NotFoundError: there are neither.
    """
    given = data or run.sample
    if given is None:
        raise NotFoundError(
            f"{run.path.name}: no sample was recorded, so there is nothing to score on. Give data: wdyn ablate RUN "
            "--data FILE.npz (arrays inputs and targets), or record with Recorder(model, sample=(inputs, targets))."
        )
    return given[0], given[1]


class ReplayEvaluator:
    """A `wdyn.analyses._evaluate.Evaluator` that replays the run's program.

    Attributes:
        places: name to place, in the order of the forward pass.
        left_out: name of a layer to the reason its units cannot go.
        examples: number of examples.
        classes: C, or 0 where targets are no classes or more than 256.
        score_name: `accuracy`, the name of the metric, or empty.
        labels: (B,) int, class of each example; None where there is not one each, or the outputs are not those of the
            run's last layer.
        tensors: recorded names of the weights and buffers that the forward pass reads.
        features_node: whose value the last layer reads; empty without labels.
        program: of the run.
        sites: name of a place to where it is in the program.
        shapes: of the program's values for a small batch.
        objective: what outputs are held against.
        metric: the user's own.
    """

    def __init__(self, run: Run, program: Program, data: tuple[Any, Any], *, metric: Metric | None = None) -> None:
        """Find out what can go; see `evaluator`."""
        self._run, self.program, self.metric = run, program, metric
        self._networks: dict[int, ReplayNetwork] = {}
        self.tensors = tuple(dict.fromkeys(program.tensors.values()))
        self._inputs, targets = _checked(program, data)
        self.examples = len(targets)
        last = tensors_at(run, int(run.steps[-1]), program.tensors.values())
        fixed = {node: last[name] for node, name in program.tensors.items()} | program.constants
        self._probed, more = (min(count, self.examples) for count in _PROBES)
        probes = [{**fixed, **self.inputs(slice(0, count))} for count in (self._probed, more)]
        try:
            self.shapes, self._shapes_of_more = (shapes_of(program, probe) for probe in probes)
            with torch.no_grad():
                outputs = [chosen_output(program(probe)) for probe in probes]
        except (RuntimeError, IndexError, ValueError, TypeError) as error:
            if isinstance(error, WdynError):
                raise
            raise MisuseError(f"{run.path}: the network cannot run on these data ({error}).") from error
        self._check_alone(outputs)
        self.objective = Objective(targets, outputs[0])
        self.sites, self.left_out = find_sites(program, run.layers, self.shapes)
        self.places = {site.name: Place(site.name, site.units, site.kind) for site in self.sites.values()}
        self.classes = self.objective.classes
        self.features_node = self._last_read() if self.objective.one_class_each else ""
        self.labels = targets.numpy() if self.features_node else None
        named = getattr(metric, "__name__", "metric") if metric else ""
        self.score_name = named or ("accuracy" if self.objective.has_classes else "")

    def at(self, step: int) -> ReplayNetwork:
        """The network as it was at one of the run's steps.

        Raises:
            NotFoundError: there is no such step.
        """
        if step not in self._networks:
            tensors = tensors_at(self._run, step, self.program.tensors.values())
            if len(self._networks) == _MOST_NETWORKS:
                self._networks.pop(next(iter(self._networks)))
            self._networks[step] = ReplayNetwork(self, tensors)
        return self._networks[step]

    def example_axis(self, site: Site) -> int | None:
        """The axis of a site's value that counts examples, that of its units apart; None where none does by itself."""
        few, many = (list(shapes[site.node]) for shapes in (self.shapes, self._shapes_of_more))
        for sizes in (few, many):
            del sizes[site.axis]
        if self.examples == self._probed:  # too few for a larger probe
            return 0 if few and few[0] == self.examples else None
        pairs = enumerate(zip(few, many, strict=True))
        return next((axis for axis, (a, b) in pairs if (a, b) == (self._probed, self._probed + 1)), None)

    def _check_alone(self, outputs: list[Tensor]) -> None:
        """Variants are scored on parts of the data, so what a network says of an example must not depend on others."""
        few, many = outputs
        if few.ndim == 0 or len(few) != self._probed:
            raise MisuseError(f"{self._run.path}: the output of the network has no row for each example.")
        apart = (many[: len(few)] - few).abs()
        known = torch.isfinite(few)  # weights may have run away
        if bool((apart[known] > 1e-2 * few[known].abs().max()).any() if known.any() else False):
            raise MisuseError(
                f"{self._run.path}: what the network says of an example depends on others of its batch or on random "
                "numbers, also in eval mode, so it cannot be scored in parts."
            )

    def _last_read(self) -> str:
        """The node that the run's last layer reads, where it gives the outputs, one row for each example."""
        last = list(self._run.layers.values())[-1:]
        nodes = [node for node, name in self.program.tensors.items() if last and name == last[0].parameter]
        for each in self.program.operations:
            if each.kind == "aten.linear.default" and each.positional[1]["node"] in nodes:
                node: str = each.positional[0]["node"]
                return node if self.program.ends_in(each.name) and len(self.shapes[node]) == 2 else ""
        return ""

    def inputs(self, examples: slice) -> Values:
        """Inputs of the program for some examples."""
        return {node: values[examples] for node, values in self._inputs.items()}

    def built(self, values: Values) -> Any:
        """The program's result from the values of its nodes."""
        return built(self.program.output, values)

    def bytes_per_example(self, operations: Sequence[Operation], *, total: bool = False) -> int:
        """Bytes of the largest value, or of all, that some operations make of one example."""
        sizes = [4 * prod(self.shapes.get(each.name, ())) // self._probed for each in operations]
        return max(1, sum(sizes) if total else max(sizes, default=1))


def _checked(program: Program, data: tuple[Any, Any]) -> tuple[Values, Tensor]:
    """Inputs by node, and targets."""
    given = data[0] if isinstance(data[0], tuple | list) else (data[0],)
    nodes = list(program.inputs)
    if len(given) != len(nodes):
        raise MisuseError(f"the model takes {len(nodes)} inputs, and the data have {len(given)}.")
    arrays = [numbers(each, "inputs") for each in given]
    values = bound(program, *_as_called(program, dict(zip(nodes, arrays, strict=True))))
    targets = numbers(data[1], "targets")
    lengths = {len(targets), *(len(value) for value in values.values())}
    if len(lengths) != 1 or lengths == {0}:
        raise MisuseError(f"inputs and targets must be of one length, but have {sorted(lengths)} examples.")
    return values, targets


def numbers(values: Any, what: str) -> Tensor:
    """An array or tensor of numbers with at least one axis, whole numbers as int64.

    Raises:
        MisuseError: it is none.
    """
    if isinstance(values, Tensor):
        tensor = values.detach().cpu()
        tensor = tensor if tensor.is_floating_point() or tensor.is_complex() else tensor.long()
    else:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise MisuseError(f"{what} must be numbers, but are of type {array.dtype}.")
        dtype = array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.dtype(np.int64)
        tensor = torch.from_numpy(array.astype(dtype))
    if tensor.is_complex() or not tensor.ndim:
        raise MisuseError(
            f"{what} must be real numbers for each example, but are {tensor.dtype} {tuple(tensor.shape)}."
        )
    return tensor


def _as_called(program: Program, by_node: Values) -> tuple[tuple[Any, ...], dict[str, Any]]:
    positional, keyword = built(program.arguments, by_node)
    return tuple(positional), dict(keyword)
