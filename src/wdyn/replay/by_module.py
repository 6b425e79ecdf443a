"""The user's own module in place of a program: one variant after the other, with forward hooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from wdyn.errors import MisuseError, NotFoundError
from wdyn.record.inventory import take_inventory
from wdyn.record.program import export_program
from wdyn.record.translate import ProgramError
from wdyn.replay.evaluator import ReplayEvaluator, evaluator, numbers, sample_of
from wdyn.replay.hooks import clamping, seen
from wdyn.replay.interpret import Program
from wdyn.replay.normalisation import normalising, renewing
from wdyn.replay.rebuild import load_step, make_module
from wdyn.replay.score import Metric, Objective, chosen_output
from wdyn.replay.tally import Tally, WithMetric, examples_of
from wdyn.scores import Activity, Array, Examples, Kind, Mode, Place, Scores

if TYPE_CHECKING:
    from wdyn.store.run import Run

_AXES: dict[type[nn.Module], tuple[int, Kind]] = {
    nn.Linear: (-1, "neuron"),
    nn.Conv1d: (-2, "channel"), nn.Conv2d: (-3, "channel"), nn.Conv3d: (-4, "channel"),
    nn.ConvTranspose1d: (-2, "channel"), nn.ConvTranspose2d: (-3, "channel"), nn.ConvTranspose3d: (-4, "channel"),
}  # fmt: skip
_TOGETHER = 512  # examples that the module is called with


def evaluator_of_module(
    run: Run, model: str, *, data: tuple[Any, Any] | None = None, metric: Metric | None = None
) -> ReplayEvaluator | ModuleEvaluator:
    """An evaluator of a run from the model's code: by its program where it can be exported, else by the module itself.

    Args:
        run: an open run.
        model: `package.module:make_model`, a function without arguments that makes the module.
        data: as for `wdyn.evaluator`.
        metric: likewise.

    Raises:
        NotFoundError: there are no data.
        MisuseError: the model or the data do not fit the run.
    """
    module = make_module(model)
    inputs, targets = sample_of(run, data)
    load_step(module, run, int(run.steps[-1]))
    given = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    example = tuple(_like(module, numbers(each, "inputs")[:4]) for each in given)
    try:
        raw = export_program(module, example, {}, take_inventory(module))
        return evaluator(run, data=(given, targets), metric=metric, program=Program(raw, model))
    except ProgramError:
        return ModuleEvaluator(run, module, (given, targets), metric=metric)


class ModuleEvaluator:
    """A `wdyn.analyses._evaluate.Evaluator` that calls a module, slowly, whatever its forward pass does.

    Units are clamped where their layer gives them, before the activation function: what lies behind it only a program
    tells. Attributes as of `ReplayEvaluator`; it has no labels, since what the last layer reads is not known either.
    """

    labels = None

    def __init__(
        self, run: Run, module: nn.Module, data: tuple[tuple[Any, ...], Any], *, metric: Metric | None = None
    ) -> None:
        """Find out what can go; see `evaluator_of_module`."""
        self.run, self.module, self.metric = run, module.eval(), metric
        self._inputs = tuple(_like(module, numbers(each, "inputs")) for each in data[0])
        targets = numbers(data[1], "targets")
        self.examples = len(targets)
        self.inventory = take_inventory(module)
        self.tensors = tuple(self.inventory.places)
        self.places, self.left_out = {}, {}
        calls: list[str] = []
        try:
            with torch.no_grad(), seen(self._candidates(), calls=calls) as shapes:
                output = self.call(slice(0, 2))
        except Exception as error:  # the user's own code may raise anything
            raise MisuseError(f"the model cannot run on these data ({type(error).__name__}: {error}).") from error
        self.objective = Objective(targets, output)
        for name, submodule in self._candidates().items():
            layer = run.layers[name]
            axis, kind = _AXES[type(submodule)]
            if shapes.get(name) is None or shapes[name].shape[axis] != layer.rows:
                self.left_out[name] = "the forward pass does not call it, or not as its rows say"
            elif calls.count(name) > 1:
                self.left_out[name] = f"the forward pass calls it {calls.count(name)} times"
            elif shapes[name].data_ptr() == output.data_ptr():
                self.left_out[name] = "its units are the outputs of the network"
            else:
                self.places[name] = Place(name, layer.rows, kind)
        rest = [name for name in run.layers if name not in self.places and name not in self.left_out]
        self.left_out |= dict.fromkeys(rest, "only the units of linear layers and convolutions can go in a module")
        self.classes = self.objective.classes
        named = getattr(metric, "__name__", "metric") if metric else ""
        self.score_name = named or ("accuracy" if self.objective.has_classes else "")

    def at(self, step: int) -> ModuleNetwork:
        """The network as it was at one of the run's steps; it holds until the next call.

        Raises:
            NotFoundError: there is no such step.
        """
        load_step(self.module, self.run, step, self.inventory)
        return ModuleNetwork(self, step)

    def call(self, examples: slice) -> Tensor:
        """The output that is scored, for some examples."""
        return chosen_output(_listed(self.module(*(each[examples] for each in self._inputs))))

    def _candidates(self) -> dict[str, nn.Module]:
        paths = {name: layer.parameter.removesuffix(".weight") for name, layer in self.run.layers.items()}
        known = dict(self.module.named_modules())
        return {name: known[path] for name, path in paths.items() if type(known.get(path)) in _AXES}


class ModuleNetwork:
    """A `wdyn.analyses._evaluate.Network` of a module."""

    def __init__(self, evaluator: ModuleEvaluator, step: int) -> None:
        """Take a module that holds the weights of a step."""
        self._of, self._step = evaluator, step
        self._intact_loss: Tensor | None = None
        self._intact: Scores | None = None

    def scores(self, gone: Mapping[str, Array], mode: Mode = "zero") -> Scores:
        """Scores of M variants; see `wdyn.analyses._evaluate.Network`.

        Raises:
            MisuseError: a mode that needs a program, or no mode.
            NotFoundError: no such place.
        """
        if mode not in get_args(Mode) or mode == "remove":
            raise MisuseError(f"mode {mode!r} is none of zero, mean and row, which a module without a program allows.")
        if self._intact is None:
            self._intact, self._intact_loss = self._tallied([{}], None)
        if not gone:
            return self._intact
        clamped = {name: self._clamped(name, mode) for name in gone}
        masks = {name: torch.from_numpy(np.array(mask, dtype=np.bool_)) for name, mask in gone.items()}
        for name, mask in masks.items():
            if mask.ndim != 2 or mask.shape[1] != (units := self._place(name).units):
                raise MisuseError(f"a mask of {name!r} has the shape (M, {units}), but {tuple(mask.shape)} was given.")
        variants = [
            {name: (mask[v], clamped[name]) for name, mask in masks.items()}
            for v in range(len(next(iter(masks.values()))))
        ]
        return self._tallied(variants, self._intact_loss)[0]

    def with_weights(self, replaced: Mapping[str, Array]) -> Scores:
        """Scores, M = 1, with some parameters replaced.

        Raises:
            NotFoundError: no such parameter.
        """
        self.scores({})
        with self._replaced(replaced):
            return self._tallied([{}], self._intact_loss)[0]

    def each(self, replaced: Mapping[str, Array]) -> Examples:
        """Loss and score of each example with some parameters replaced; errors as of `with_weights`."""
        objective = self._of.objective
        with self._replaced(replaced), torch.no_grad():
            return examples_of([objective.judge(self._of.call(each)[None], each) for each in self._batches()])

    def statistics(self, replaced: Mapping[str, Array]) -> dict[str, Array]:
        """Running statistics of BatchNorm modules, as means over batches; errors as of `with_weights`."""
        norms = normalising(self._of.module)
        owned = {id(buffer) for each in norms for buffer in each.buffers()}
        names = [name for name, place in self._of.inventory.places.items() if id(place.tensor()) in owned]
        if not norms:
            return {}
        before = {name: self._of.inventory.places[name].tensor().numpy().copy() for name in names}
        with self._replaced({**before, **replaced}), torch.no_grad(), renewing(norms):
            for each in self._batches():
                self._of.call(each)
            found = {name: self._of.inventory.places[name].tensor().numpy().copy() for name in names}
        return {name: values for name, values in found.items() if values.dtype.kind == "f"}

    @contextmanager
    def _replaced(self, replaced: Mapping[str, Array]) -> Iterator[None]:
        places = self._of.inventory.places
        if unknown := [name for name in replaced if name not in places]:
            raise NotFoundError(f"the model has no parameter {unknown[0]!r}. It has: {', '.join(places)}")
        before = {name: places[name].tensor().detach().clone() for name in replaced}
        try:
            with torch.no_grad():
                for name, values in replaced.items():
                    places[name].tensor().copy_(torch.from_numpy(np.array(values)))
            yield
        finally:
            with torch.no_grad():
                for name, value in before.items():
                    places[name].tensor().copy_(value)

    def activity(self, place: str) -> Activity:
        """Mean activity of the units of a place, before the activation function."""
        units, objective = self._place(place).units, self._of.objective
        total, by_class = torch.zeros(units).double(), torch.zeros(objective.classes, units).double()
        for examples in self._batches():
            with torch.no_grad(), seen({place: self._module(place)}) as values:
                self._of.call(examples)
            rows = values[place].double().movedim(self._axis(place), -1)
            rows = rows.reshape(len(rows), -1, units).mean(1)
            total += rows.sum(0)
            if objective.classes and objective.targets.ndim == 1:
                one_hot = (objective.targets[examples][:, None] == torch.arange(objective.classes)).double()
                by_class += one_hot.T @ rows
        class_mean = by_class / objective.counts[:, None] if objective.targets.ndim == 1 else by_class * torch.nan
        return Activity((total / self._of.examples).numpy(), class_mean.numpy())

    def features(self) -> Array:
        """None here: the evaluator has no labels.

        Raises:
            NotFoundError: always.
        """
        raise NotFoundError("a module without a program does not tell what its last layer reads.")

    def taylor(self, place: str) -> Array:
        """First-order estimate of the loss rise for each unit of a place."""
        rise = torch.zeros(self._place(place).units, dtype=torch.float64)
        for examples in self._batches():
            with torch.enable_grad(), seen({place: self._module(place)}, watch=True) as values:
                loss = self._of.objective.judge(self._of.call(examples)[None], examples).loss.sum()
                (gradient,) = torch.autograd.grad(loss, values[place])
            product = (values[place].detach().double() * gradient.double()).movedim(self._axis(place), -1)
            rise -= product.flatten(0, -2).sum(0)
        return (rise / self._of.examples).numpy()

    def _tallied(self, variants: list[dict[str, Any]], intact_loss: Tensor | None) -> tuple[Scores, Tensor]:
        tally = Tally(self._of.objective, len(variants), intact_loss)
        whole = tally if self._of.metric is None else WithMetric(tally, self._of.metric, len(variants))
        for examples in self._batches():
            for number, each in enumerate(variants):
                with torch.no_grad(), self._without(each):
                    whole.add(self._of.call(examples)[None], slice(number, number + 1), examples)
        return whole.scores(), tally.loss

    @contextmanager
    def _without(self, clamps: Mapping[str, tuple[Tensor, Tensor]]) -> Iterator[None]:
        with ExitStack() as stack:
            for name, (gone, value) in clamps.items():
                handle = self._module(name).register_forward_hook(clamping(gone, value, self._axis(name)))
                stack.callback(handle.remove)
            yield

    def _batches(self) -> Iterator[slice]:
        for first in range(0, self._of.examples, _TOGETHER):
            yield slice(first, min(first + _TOGETHER, self._of.examples))

    def _clamped(self, name: str, mode: str) -> Tensor:
        units = self._place(name).units
        if mode == "mean":
            return torch.from_numpy(self.activity(name).mean)
        bias = getattr(self._module(name), "bias", None) if mode == "row" else None
        return torch.zeros(units) if bias is None else bias.detach()

    def _place(self, name: str) -> Place:
        if name not in self._of.places:
            raise NotFoundError(f"no place {name!r}. There are: {', '.join(self._of.places)}")
        return self._of.places[name]

    def _module(self, name: str) -> nn.Module:
        return self._of.module.get_submodule(self._of.run.layers[name].parameter.removesuffix(".weight"))

    def _axis(self, name: str) -> int:
        return _AXES[type(self._module(name))][0]


def _like(module: nn.Module, values: Tensor) -> Tensor:
    """Values in the floating type of a module's parameters; whole numbers as they are."""
    first = next((each for each in module.parameters() if each.is_floating_point()), None)
    return values.to(first.dtype) if first is not None and values.is_floating_point() else values


def _listed(output: Any) -> Any:
    return list(output) if isinstance(output, tuple) else output
