"""One recorded step on some data: scores of many variants of it, each with some units gone or weights replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch
from torch import Tensor

from wdyn.errors import MisuseError, NotFoundError
from wdyn.replay.interpret import Operation, Values, compute
from wdyn.replay.normalisation import fresh_statistics, normalised
from wdyn.replay.paths import path_to_linear
from wdyn.replay.places import Site
from wdyn.replay.score import chosen_output
from wdyn.replay.tally import Tally, WithMetric, examples_of
from wdyn.replay.variants import Everywhere, Road, ThroughLinear
from wdyn.scores import Activity, Array, Examples, Mode, Scores

if TYPE_CHECKING:
    from wdyn.replay.evaluator import ReplayEvaluator

_MOST_TOGETHER = 64  # variants
_STATISTICS_ROOM = 1 << 30  # bytes of the largest value of all examples that give statistics
_PREFIX_ROOM = 1 << 28  # bytes of all values of the intact network that are kept at a time


class ReplayNetwork:
    """A `wdyn.analyses._evaluate.Network` that runs the program of a run."""

    def __init__(self, evaluator: ReplayEvaluator, tensors: Mapping[str, Tensor]) -> None:
        """Take the tensors of one step by recorded name."""
        self._of, self._program = evaluator, evaluator.program
        self._fixed = {node: tensors[name] for node, name in self._program.tensors.items()} | self._program.constants
        self._intact_loss: Tensor | None = None
        self._intact: Scores | None = None
        self._roads: dict[tuple[str, ...], Road] = {}

    # what an analysis asks for

    def scores(self, gone: Mapping[str, Array], mode: Mode = "zero") -> Scores:
        """Scores of M variants; see `wdyn.analyses._evaluate.Network`.

        Raises:
            MisuseError: no such mode, or masks of another shape than (M, N).
            NotFoundError: no such place.
        """
        masks = self._checked(gone, mode)
        if not masks:
            return self._intact_scores()
        self._intact_scores()
        variants = len(next(iter(masks.values())))
        if self._of.metric is not None and variants > _MOST_TOGETHER:  # it sees all outputs of a variant at once
            parts = [
                self.scores({name: mask[start : start + _MOST_TOGETHER] for name, mask in gone.items()}, mode)
                for start in range(0, variants, _MOST_TOGETHER)
            ]
            return Scores(*(np.concatenate(each) for each in zip(*parts, strict=True)))
        with torch.no_grad():
            sites = [self._site(name, mode) for name in masks]
            clamped = {site.name: self._clamped(site, mode) for site in sites}
            return self._tallied(self._road(sites), masks, clamped)

    def with_weights(self, replaced: Mapping[str, Array]) -> Scores:
        """Scores, M = 1, with some parameters replaced.

        Raises:
            NotFoundError: the program uses no such parameter.
            MisuseError: an array has another shape.
        """
        self._intact_scores()
        return self._plain(self._replaced(replaced), self._intact_loss)[0]

    def each(self, replaced: Mapping[str, Array]) -> Examples:
        """Loss and score of each example with some parameters replaced; errors as of `with_weights`."""
        made = self._prefix(tuple(self._program.results), changed=self._replaced(replaced))
        return examples_of([self._of.objective.judge(self._output(values)[None], which) for which, values in made])

    def statistics(self, replaced: Mapping[str, Array]) -> dict[str, Array]:
        """Running statistics as the data give them; errors as of `with_weights`."""
        norms = normalised(self._program)
        if not norms:
            return {}
        size = self._of.bytes_per_example(self._program.before([each.name for each in norms]))
        examples = slice(0, max(2, min(self._of.examples, _STATISTICS_ROOM // size)))
        start = {**self._fixed, **self._replaced(replaced), **self._of.inputs(examples)}
        with torch.no_grad():
            return {name: each.numpy() for name, each in fresh_statistics(self._program, start).items()}

    def activity(self, place: str) -> Activity:
        """Mean activity of the units of a place.

        Raises:
            NotFoundError: no such place.
        """
        site = self._site(place, "zero")
        objective = self._of.objective
        total = torch.zeros(site.units, dtype=torch.float64)
        by_class = torch.zeros(objective.classes, site.units, dtype=torch.float64)
        counts = torch.zeros(objective.classes, dtype=torch.float64)
        positions = 0
        for examples, values in self._prefix((site.node,)):
            rows = values[site.node].double().movedim(site.axis, -1)
            total += rows.flatten(0, -2).sum(0)
            positions += rows[..., 0].numel()
            if (first := self._of.example_axis(site)) is None:
                continue  # which rows belong to which example is not known
            rows = rows.movedim(first, 0)
            one_hot = self._one_hot(rows, examples)
            if one_hot is not None:
                flat = rows.flatten(0, -2) if one_hot.shape[0] == rows[..., 0].numel() else _mean_of_example(rows)
                by_class += one_hot.T @ flat
                counts += one_hot.sum(0)
        return Activity((total / positions).numpy(), (by_class / counts[:, None]).numpy())

    def features(self) -> Array:
        """(B, p) what the last layer reads.

        Raises:
            NotFoundError: the evaluator has no `labels`, so there are none.
        """
        if not (node := self._of.features_node):
            raise NotFoundError("examples have no class each, or the outputs are not those of the run's last layer.")
        return torch.cat([values[node].float() for _, values in self._prefix((node,))]).numpy()

    def taylor(self, place: str) -> Array:
        """First-order estimate of the loss rise for each unit of a place.

        Raises:
            NotFoundError: no such place.
        """
        site = self._site(place, "zero")
        road, rise = Everywhere(self._program, [site], self._output), torch.zeros(site.units, dtype=torch.float64)
        objective = self._of.objective
        for examples, values in self._prefix(road.needs):
            with torch.enable_grad():
                value = values[site.node].detach().requires_grad_()
                start = {**values, site.node: value}
                result = {**start, **compute(road.repeated, start, keep=self._program.results)}
                loss = objective.judge(self._output(result)[None], examples).loss.sum()
                (gradient,) = torch.autograd.grad(loss, value)
            product = (value.detach().double() * gradient.double()).movedim(site.axis, -1)
            rise -= product.flatten(0, -2).sum(0)
        return (rise / len(objective.targets)).numpy()

    # how it is done

    def _replaced(self, replaced: Mapping[str, Array]) -> dict[str, Tensor]:
        nodes = {name: node for node, name in self._program.tensors.items()}
        changed = {}
        for name, values in replaced.items():
            if name not in nodes:
                raise NotFoundError(f"the forward pass uses no parameter {name!r}. It uses: {', '.join(nodes)}")
            now = self._fixed[nodes[name]]
            if tuple(now.shape) != np.shape(values):
                raise MisuseError(f"{name} has the shape {tuple(now.shape)}, but {np.shape(values)} was given.")
            changed[nodes[name]] = torch.from_numpy(np.array(values)).to(now.dtype)
        return changed

    def _checked(self, gone: Mapping[str, Array], mode: str) -> dict[str, Tensor]:
        if mode not in get_args(Mode):
            raise MisuseError(f"no mode {mode!r}. There are: {', '.join(get_args(Mode))}")
        masks = {name: torch.from_numpy(np.array(mask, dtype=np.bool_)) for name, mask in gone.items()}
        if len({len(mask) for mask in masks.values()}) > 1:
            raise MisuseError("the masks of all places must be for the same number of variants.")
        for name, mask in masks.items():
            units = self._site(name, mode).units
            if mask.ndim != 2 or mask.shape[1] != units:
                raise MisuseError(f"a mask of {name!r} has the shape (M, {units}), but {tuple(mask.shape)} was given.")
        return masks

    def _site(self, name: str, mode: str) -> Site:
        if name not in self._of.sites:
            why = self._of.left_out.get(name)
            raise NotFoundError(f"no place {name!r}: {why}" if why else f"no place {name!r}.")
        site = self._of.sites[name]
        if mode == "mean" and site.kind == "head":
            raise MisuseError(f"a head of {name!r} gives a vector, so mode 'mean' has no one value. Take 'zero'.")
        if mode == "row" and site.bias is not None and site.bias not in self._fixed:
            raise MisuseError(f"the bias of {name!r} is computed from other parameters. Take mode 'zero'.")
        if mode in ("row", "remove") and (site.weight is None or (mode == "remove" and site.mixes)):
            reason = "has no weight rows" if site.weight is None else "is normalised together with its neighbours"
            raise MisuseError(
                f"a {site.kind} of {name!r} {reason}, so mode {mode!r} has no meaning there. Take 'zero'."
            )
        # with a norm over several units in between, the row's bias does not arrive as one number
        return site.before_activation() if mode == "row" and site.mixes else site

    def _clamped(self, site: Site, mode: str) -> Tensor:
        """(N,) what a unit gives when it is gone."""
        if mode in ("zero", "remove"):
            return torch.zeros(site.units)
        if mode == "mean":
            return torch.from_numpy(self.activity(site.name).mean)
        source = self._of.shapes[site.source]
        bias = torch.zeros(site.units) if site.bias is None else self._fixed[site.bias]
        shape = [1] * len(source)
        shape[site.axis] = site.units
        start = {**self._fixed, site.source: bias.reshape(shape)}
        value: Tensor = {**start, **compute(site.chain, start, keep=[site.node])}[site.node]
        return value.reshape(-1)

    def _road(self, sites: Sequence[Site]) -> Road:
        key = tuple(site.node for site in sites)
        if key not in self._roads:
            self._roads[key] = self._found_road(sites)
        return self._roads[key]

    def _found_road(self, sites: Sequence[Site]) -> Road:
        if len(sites) == 1:
            path = path_to_linear(self._program, sites[0], self._of.shapes)
            if path is not None and self._dtype_of(path[-1]) in (torch.float32, torch.float64):
                return ThroughLinear(self._program, sites[0], path, self._output)
        return Everywhere(self._program, sites, self._output)

    def _dtype_of(self, linear: Operation) -> torch.dtype | None:
        """None where the weight is computed."""
        weight = self._fixed.get(linear.positional[1]["node"])
        return None if weight is None else weight.dtype

    def _tallied(self, road: Road, masks: Mapping[str, Tensor], clamped: Mapping[str, Tensor]) -> Scores:
        variants = len(next(iter(masks.values())))
        tally = self._tally(variants, self._intact_loss)
        rows = max(1, road.room // self._of.bytes_per_example(road.repeated))
        together = min(_MOST_TOGETHER, max(1, rows // self._of.examples))
        for examples, intact in self._prefix(road.needs, rows):
            run = road.prepare(intact, clamped)
            for start in range(0, variants, together):
                which = slice(start, min(start + together, variants))
                tally.add(run({name: mask[which] for name, mask in masks.items()}), which, examples)
        return tally.scores()

    def _tally(self, variants: int, intact_loss: Tensor | None) -> Tally | WithMetric:
        tally = Tally(self._of.objective, variants, intact_loss)
        return tally if self._of.metric is None else WithMetric(tally, self._of.metric, variants)

    def _intact_scores(self) -> Scores:
        if self._intact is None:
            self._intact, self._intact_loss = self._plain({}, None)
        return self._intact

    def _plain(self, changed: Mapping[str, Tensor], intact_loss: Tensor | None) -> tuple[Scores, Tensor]:
        """Scores of the whole program with some tensors changed, and the loss of each example."""
        tally = Tally(self._of.objective, 1, intact_loss)
        whole = tally if self._of.metric is None else WithMetric(tally, self._of.metric, 1)
        for examples, values in self._prefix(tuple(self._program.results), changed=changed):
            whole.add(self._output(values)[None], slice(0, 1), examples)
        return whole.scores(), tally.loss

    def _prefix(
        self, names: tuple[str, ...], most: int | None = None, changed: Mapping[str, Tensor] | None = None
    ) -> Iterator[tuple[slice, Values]]:
        """Values of some nodes of the intact network, for a few examples at a time."""
        operations = self._program.before(names)
        room = _PREFIX_ROOM // self._of.bytes_per_example(operations, total=True)
        size = max(1, min(room, most or self._of.examples))
        while size > 2 and self._of.examples % size == 1:  # some models lose the axis of a single example
            size -= 1
        for first in range(0, self._of.examples, size):
            examples = slice(first, min(first + size, self._of.examples))
            start = {**self._fixed, **(changed or {}), **self._of.inputs(examples)}
            with torch.no_grad():
                made = compute(operations, start, keep=names)
            yield examples, {name: made[name] if name in made else start[name] for name in names}

    def _output(self, values: Values) -> Tensor:
        return chosen_output(self._of.built(values))

    def _one_hot(self, rows: Tensor, examples: slice) -> Tensor | None:
        """(R, C) which class each row, or each example, belongs to; None where there are no classes."""
        objective = self._of.objective
        targets = objective.targets
        if not objective.classes or not (targets.ndim == 1 or objective.by_position((len(targets), *rows.shape[1:]))):
            return None
        known = targets[examples].reshape(-1)
        return (known[:, None] == torch.arange(objective.classes)).double()


def _mean_of_example(rows: Tensor) -> Tensor:
    return rows.flatten(1, -2).mean(1) if rows.ndim > 2 else rows
