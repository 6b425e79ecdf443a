"""Train a network once, from a given start, under given masks and seeds, with a Recorder at work."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from wdyn.errors import MisuseError, RunFileError
from wdyn.record.facts import checked_metadata, checked_sample
from wdyn.record.recorder import Recorder
from wdyn.record.schedule import log_spaced
from wdyn.store.reader import open_run
from wdyn.tickets.facts import TICKET
from wdyn.tickets.masks import apply_masks
from wdyn.tickets.optimizer_state import State, reminded
from wdyn.tickets.pruning import Array
from wdyn.tickets.rewind import Tensors, load
from wdyn.tickets.round_recorder import RoundRecorder
from wdyn.tickets.seeds import seeded

MakeModel = Callable[[], nn.Module]
Train = Callable[..., Any]  # (model, recorder), or (model, recorder, start=...)
Schedule = Callable[[int], bool]
Progress = Callable[[str, float], None]
SPARSE = log_spaced()  # some hundred steps of 100,000


@dataclass(frozen=True)
class Experiment:
    """What its user hands in to train networks again and again.

    Attributes:
        make_model: gives a new, untrained network, the same each time but for random numbers.
        train: trains and evaluates the network that it is given, in place.
        schedule: which steps are recorded.
        sample: data kept with each run, see Recorder.
        metadata: kept with each run.
        early_stop: name of the metric whose lowest value says when training stopped, or None.
    """

    make_model: MakeModel
    train: Train
    schedule: Schedule = SPARSE
    sample: tuple[Any, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    early_stop: str | None = None

    def __post_init__(self) -> None:
        """See that all can be used.

        Raises:
            MisuseError: something cannot; the text says what.
        """
        for name in ("make_model", "train", "schedule"):
            if not callable(getattr(self, name)):
                raise MisuseError(f"{name} must be a function, but got {getattr(self, name)!r}.")
        if TICKET in checked_metadata(self.metadata):
            raise MisuseError(
                f"metadata has the key {TICKET!r}, where a search notes its own facts. Take another name."
            )
        if self.sample is not None:
            checked_sample(self.sample)

    def model(self, seed: int) -> nn.Module:
        """A new network under a seed.

        Raises:
            MisuseError: make_model gave something else.
        """
        with seeded(seed):
            made = self.make_model()
        if not isinstance(made, nn.Module):
            raise MisuseError(f"make_model() gave a {type(made).__name__}, but a torch.nn.Module is needed.")
        return made

    def run(self, model: nn.Module, recorder: Recorder, *, start: int, data_seed: int) -> None:
        """Let it train, told where to begin if it wants to know."""
        parameter = inspect.signature(self.train).parameters.get("start")
        wants = parameter is not None and parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        with seeded(data_seed):
            self.train(model, recorder, **({"start": start} if wants else {}))


@dataclass(frozen=True)
class Start:
    """Where a network starts.

    Attributes:
        source: file of the values, for the text of an error.
        tensors: name to values; what is not there stays as make_model gave it.
        step: of the training in which they were taken, told to `train`.
        memory: what the optimizer remembered then; empty for a fresh one.
    """

    source: str = ""
    tensors: Tensors = field(default_factory=dict)
    step: int = 0
    memory: State = field(default_factory=dict)


FROM_SCRATCH = Start()


def record_run(
    path: Path, experiment: Experiment, ticket: Mapping[str, Any], *, masks: Mapping[str, Array], start: Start,
    program: bool | Mapping[str, Any], step: int = 0, remember: bool = False,
) -> State:  # fmt: skip
    """Train and record one network; its journal, not packed, stands at `<path>.parts` when this returns.

    Args:
        path: of the run file.
        experiment: the user's functions.
        ticket: the facts that go into the metadata; `seed` and `data_seed` among them are used.
        masks: name to mask.
        start: where it starts.
        program: see Recorder.
        step: a step that must be recorded.
        remember: give back what the optimizers remembered at that step.

    Returns:
        That; empty where it was not asked for.

    Raises:
        MisuseError: train() made no step, or fewer than `step`, or no optimizer took part whose state could be kept.
        RunFileError: a step that is needed could not be recorded.
        Exception: whatever the user's functions raise.
    """
    model = experiment.model(ticket["seed"])
    load(model, start.tensors, source=start.source)
    apply_masks(model, masks)
    stopped = {"early_stop": experiment.early_stop} if experiment.early_stop else {}
    recorder = RoundRecorder(
        model, path, schedule=experiment.schedule, step=step, remember=remember, watch=experiment.early_stop,
        sample=experiment.sample, metadata={**experiment.metadata, TICKET: {**ticket, **stopped}}, program=program,
    )  # fmt: skip
    with recorder, reminded(model, start.memory) if start.memory else nullcontext():
        experiment.run(model, recorder, start=start.step, data_seed=ticket["data_seed"])
    _check(path, recorder.step_count, step)
    if remember and step and not recorder.memory:
        raise MisuseError("optimizer_state='rewound' needs a torch optimizer that remembers something. Use 'fresh'.")
    return recorder.memory


def _check(path: Path, count: int, step: int) -> None:
    if count == 0:
        raise MisuseError("train() made no step: no torch optimizer updated the model that it was given.")
    if step > count:
        raise MisuseError(f"rewind_to={step}, but train() made only {count} steps.")
    with open_run(path) as run:
        lost = next((each for each in (step, count) if each not in run.steps), None)
        if lost is not None:
            why = "; ".join(str(note.get("reason")) for note in run.notes if note.get("what") != "closed")
            raise RunFileError(f"{path.name}: step {lost} is needed and could not be recorded ({why}).")
