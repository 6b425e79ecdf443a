"""A run and some data → the network of any recorded step, ready to be scored without some of its units."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wdyn.errors import MisuseError, NotFoundError
from wdyn.replay.interpret import Operation, Program, Values, built
from wdyn.replay.model import bound, program_of, tensors_at
from wdyn.replay.network import ReplayNetwork
from wdyn.replay.places import find_sites
from wdyn.replay.score import Metric, Objective, chosen_output
from wdyn.replay.shapes import shapes_of
from wdyn.scores import Place

if TYPE_CHECKING:
    from wdyn.store.run import Run

_PROBE = 2  # examples that shapes are found out with
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
        self._inputs, targets = _checked(program, data)
        self.examples = len(targets)
        last = tensors_at(run, int(run.steps[-1]), program.tensors.values())
        fixed = {node: last[name] for node, name in program.tensors.items()} | program.constants
        probe = self.inputs(slice(0, min(_PROBE, self.examples)))
        self._probed = len(next(iter(probe.values())))
        self.shapes = shapes_of(program, {**fixed, **probe})
        with torch.no_grad():
            self.objective = Objective(targets, chosen_output(program({**fixed, **probe})))
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

    def _last_read(self) -> str:
        """The node that the run's last layer reads, where it gives the outputs, one row for each example."""
        last = list(self._run.layers.values())[-1:]
        nodes = [node for node, name in self.program.tensors.items() if last and name == last[0].parameter]
        for each in self.program.operations:
            if each.kind == "aten.linear.default" and each.positional[1]["node"] in nodes:
                node: str = each.positional[0]["node"]
                gives_outputs = not any(
                    tensor in later.needs
                    for later in self.program.after([each.name])
                    for tensor in self.program.tensors
                )
                return node if gives_outputs and len(self.shapes[node]) == 2 else ""
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
    values = bound(program, *_as_called(program, dict(zip(nodes, given, strict=True))))
    targets = data[1].detach().cpu() if isinstance(data[1], Tensor) else torch.from_numpy(np.array(data[1]))
    lengths = {len(targets), *(len(value) for value in values.values())}
    if len(lengths) != 1 or lengths == {0}:
        raise MisuseError(f"inputs and targets must be of one length, but have {sorted(lengths)} examples.")
    return values, targets


def _as_called(program: Program, by_node: Values) -> tuple[tuple[Any, ...], dict[str, Any]]:
    positional, keyword = built(program.arguments, by_node)
    return tuple(positional), dict(keyword)
