"""What a search was begun with, in `search.json` of its folder, so that no other is mixed with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from zlib import crc32

import numpy as np

from wdyn.errors import MisuseError, RunFileError
from wdyn.record.facts import checked_sample
from wdyn.record.schedule import describe
from wdyn.tickets.choose import Criterion, Norm
from wdyn.tickets.making import Experiment
from wdyn.tickets.pruning import Pruning, Scope
from wdyn.tickets.workshop import Workshop

OptimizerState = Literal["fresh", "rewound"]
FILE = "search.json"
FORMAT = 1


@dataclass(frozen=True)
class Settings:
    """What a search was begun with; the number of rounds is not among it, since more may follow.

    Attributes:
        pruning: how weights are chosen.
        rewind_to: step of the dense run that survivors go back to.
        optimizer_state: `fresh` or `rewound`.
        early_stop: metric whose lowest value says when training stopped, or None.
        seed: of the search.
        schedule: text of the recording's schedule.
        metadata: the user's.
        sample: checksum of the sample, or None.
    """

    pruning: Pruning
    rewind_to: int
    optimizer_state: OptimizerState
    early_stop: str | None
    seed: int
    schedule: str
    metadata: Mapping[str, Any]
    sample: str | None

    @property
    def remembers(self) -> bool:
        """Whether survivors start with an optimizer's state; at step 0 there is none."""
        return self.optimizer_state == "rewound" and self.rewind_to > 0

    def to_json(self) -> dict[str, Any]:
        """As `search.json` has it."""
        own = asdict(self)
        pruning = own.pop("pruning")
        if isinstance(self.pruning.rate, Mapping):  # as pairs: the first glob that fits holds
            pruning["rate"] = list(self.pruning.rate.items())
        found: dict[str, Any] = json.loads(json.dumps({"format": FORMAT, **pruning, **own}))
        return found

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Settings:
        """What `to_json` wrote."""
        names = Pruning.__dataclass_fields__.keys()
        pruning = {name: fields[name] for name in names} | {"exclude": tuple(fields["exclude"])}
        if isinstance(pruning["rate"], list):
            pruning["rate"] = dict(pruning["rate"])
        own = {name: fields[name] for name in cls.__dataclass_fields__ if name != "pruning"}
        return cls(pruning=Pruning(**pruning), **own)


def settings_of(
    pruning: Pruning, experiment: Experiment, *, rewind_to: int, optimizer_state: OptimizerState, seed: int, rounds: int
) -> Settings:
    """The settings of a search, checked.

    Raises:
        MisuseError: a value is none of those that there are.
    """
    for name, value, least in (("rounds", rounds, 1), ("rewind_to", rewind_to, 0), ("seed", seed, 0)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise MisuseError(f"{name} is a whole number from {least}, not {value!r}.")
    choices: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "optimizer_state": (optimizer_state, get_args(OptimizerState)),
        "criterion": (pruning.criterion, get_args(Criterion)),
        "scope": (pruning.scope, get_args(Scope)),
        "structured": (pruning.structured, (None, *get_args(Norm))),
    }
    for name, (chosen, known) in choices.items():
        if chosen not in known:
            raise MisuseError(f"{name}={chosen!r}: there is {', '.join(map(repr, known))}.")
    return Settings(
        pruning, int(rewind_to), optimizer_state, experiment.early_stop, int(seed), describe(experiment.schedule),
        dict(experiment.metadata), _digest(experiment.sample),
    )  # fmt: skip


def agree(shop: Workshop, settings: Settings) -> None:
    """Note the settings, or see that they are those noted.

    Raises:
        MisuseError: the folder holds a search begun with others, or runs without a search.
    """
    if not (shop.folder / FILE).exists():
        if found := sorted(shop.folder.glob("round-*.h5")):
            raise MisuseError(f"{shop.folder}: holds {found[0].name} but no {FILE}. Give a folder of its own.")
        shop.write(FILE, json.dumps(settings.to_json(), indent=2) + "\n")
        return
    there, wanted = read_settings(shop.folder).to_json(), settings.to_json()
    for name, value in wanted.items():
        if there[name] != value:
            raise MisuseError(
                f"{shop.folder}: the search in it was begun with {name}={there[name]!r}, not {value!r}. "
                f"Give the same, or another folder."
            )


def read_settings(folder: Path) -> Settings:
    """The settings of the search in a folder.

    Raises:
        RunFileError: there is no search, or its file is of another form.
    """
    path = folder / FILE
    try:
        fields = json.loads(path.read_bytes())
        if fields["format"] != FORMAT:
            raise RunFileError(f"{path}: format {fields['format']}, but this wdyn reads {FORMAT}. Upgrade wdyn.")
        return Settings.from_json(fields)
    except FileNotFoundError as error:
        raise RunFileError(f"{folder}: no search, {FILE} is not there. find_ticket makes one.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunFileError(f"{path}: not what a search writes ({type(error).__name__}: {error}).") from error


def _digest(sample: tuple[Any, Any] | None) -> str | None:
    if sample is None:
        return None
    sum_ = 0
    for name, array in checked_sample(sample).items():
        sum_ = crc32(array.tobytes(), crc32(f"{name} {array.dtype.str} {array.shape}".encode(), sum_))
    return f"{sum_:08x}"
