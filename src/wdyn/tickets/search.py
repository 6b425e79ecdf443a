"""Find a winning ticket: train, prune, rewind, again and again, each round a recorded run, resumable at any point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wdyn.record.facts import checked_metadata, checked_patterns
from wdyn.tickets.choose import Criterion, Norm
from wdyn.tickets.facts import TicketRun
from wdyn.tickets.ladder import Rates
from wdyn.tickets.making import SPARSE, Experiment, MakeModel, Progress, Schedule, Train
from wdyn.tickets.pruning import Pruning, Scope, targets_of
from wdyn.tickets.rounds import Rounds, standing
from wdyn.tickets.settings import OptimizerState, Settings, agree, read_settings, settings_of
from wdyn.tickets.workshop import Workshop


@dataclass(frozen=True)
class Search:
    """A search and where its runs are.

    Attributes:
        folder: holds `search.json` and the runs.
        settings: what it was begun with.
        rounds: one run for each round; the first is the dense network.
    """

    folder: Path
    settings: Settings
    rounds: tuple[TicketRun, ...]


def find_ticket(
    make_model: MakeModel,
    train: Train,
    *,
    folder: str | Path,
    rounds: int = 10,
    rate: Rates = 0.2,
    rewind_to: int = 0,
    optimizer_state: OptimizerState = "fresh",
    criterion: Criterion = "magnitude",
    scope: Scope = "layer",
    structured: Norm | None = None,
    one_shot: bool = False,
    exclude: str | Sequence[str] = (),
    early_stop: str | None = None,
    seed: int = 0,
    schedule: Schedule = SPARSE,
    metadata: Mapping[str, Any] | None = None,
    sample: tuple[Any, Any] | None = None,
    progress: Progress | None = None,
) -> Search:
    """Prune a network round by round, its survivors always back at their early values, and record every round.

    Round 0 trains the dense network. Each round after it takes the weights that the round before left trained, lets
    the lowest go, sets the survivors back to where they were at step `rewind_to` of round 0, to the bit, buffers
    included, and trains again. Counts are taken from the intact network, so they are those of
    `wdyn.tickets.ladder.kept`, without rounding that adds up.

    The same call again goes on where the last one was stopped, in whatever way: rounds that are done are read, not
    repeated, and the result has the same weights, masks and metrics to the bit as that of a search without a break,
    provided that the training itself repeats. More `rounds` go on as well. `make_model` runs under `seed`, and each
    round's training under a seed made of `seed` and the round; the caller's random numbers are left as they were.

    Args:
        make_model: gives the untrained network.
        train: `train(model, recorder)` trains it and logs what counts, such as `recorder.log(val_loss=...,
            val_accuracy=...)`. If it has a parameter `start`, it is given `rewind_to` in all rounds after the first, to
            go on from that step of its data; else it trains its whole schedule in each round.
        folder: of the search; made if it is not there.
        rounds: how often to prune, from 1.
        rate: share of the weights left that goes in each round, in [0, 1): one for all, or names or globs to rates,
            of which the first that fits holds, such as `{"fc3": 0.1, "*": 0.2}`. What fits none is left alone.
        rewind_to: step of round 0; it is recorded whatever the schedule says.
        optimizer_state: `fresh`, or `rewound`: momentum and the like as they were at `rewind_to`, under the mask.
            Learning rates stay those that `train` sets.
        criterion: `magnitude`, `magnitude_increase` and `movement` (since the start of the training that is looked at),
            or `random`.
        scope: rank weights within each `layer`, or all layers together (`global`).
        structured: `l1` or `l2`: whole neurons or filters go, by that norm of their weights, and the counts are of
            units. The last layer is left alone unless `rate` is a mapping, since its units are the outputs. The bias of
            a unit that goes stays.
        one_shot: choose every round's mask from the dense run, to the same counts, not from the round before.
        exclude: names or globs of parameters or modules to leave alone. Biases and scales are never pruned.
        early_stop: name of a logged metric, a loss or an error: the weights that count as trained are those of the
            step where it was lowest, as if training had stopped there.
        seed: a whole number from 0.
        schedule: which steps of each round are recorded, see Recorder; the last always is.
        metadata: kept with each run; `{"dataset": ...}` by convention.
        sample: (inputs, targets) kept with each run, see Recorder.
        progress: told what is being done and which fraction of the search is done.

    Returns:
        The search.

    Raises:
        MisuseError: an argument cannot work, or the folder holds a search begun with others; the text names them.
        RunExistsError: another process searches in the folder.
        RunFileError: a run in the folder is not whole or not of this search.
        OutputError: a round could not be written.
    """
    pruning = Pruning(rate, criterion, scope, structured, one_shot, checked_patterns(exclude))
    experiment = Experiment(make_model, train, schedule, sample, checked_metadata(metadata), early_stop)
    settings = settings_of(
        pruning, experiment, rewind_to=rewind_to, optimizer_state=optimizer_state, seed=seed, rounds=rounds
    )
    targets = targets_of(experiment.model(settings.seed), pruning)
    tell = progress or (lambda label, fraction: None)
    with Workshop(Path(folder)) as shop:
        agree(shop, settings)
        rounds_of = Rounds(shop, experiment, settings, targets)
        found = []
        for number in range(rounds + 1):
            tell(f"round {number} of {rounds}", number / (rounds + 1))
            found.append(rounds_of.obtain(number))
    tell(f"round {rounds} of {rounds}", 1.0)
    return Search(shop.folder, settings, tuple(found))


def open_search(folder: str | Path) -> Search:
    """A search that stands in a folder, as far as it got.

    Raises:
        RunFileError: there is none, or a run of it cannot be read.
    """
    place = Path(folder).absolute()
    settings = read_settings(place)
    return Search(place, settings, standing(place, settings))
