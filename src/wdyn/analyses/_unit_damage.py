"""What the network does worse without single units of one place, and which places have units that can go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._evaluate import Evaluator, Mode, Network
from wdyn.analyses._groups import MOST_ROWS, spaced
from wdyn.errors import WdynError

if TYPE_CHECKING:
    from wdyn.store.run import Run

GONE = 2**24  # units gone or not, of all places, that are kept at once
TOLD = 64  # variants between two words on the progress


class Damages(NamedTuple):
    """What the network does worse without each of n units; NaN where a loss is not finite.

    Attributes:
        rise: (n,) of the loss.
        error: (n,) standard error of the rise over the examples.
        drop: (n,) of the score.
        class_drop: (C, n) of the accuracy on each class.
    """

    rise: Array
    error: Array
    drop: Array
    class_drop: Array


def single_damages(network: Network, place: str, units: Array, *, count: int, mode: Mode) -> Damages:
    """Take units away one by one.

    Args:
        network: one recorded step.
        place: name of the place.
        units: (n,) int, which ones.
        count: N, how many the place has.
        mode: how they go.

    Returns:
        The damages.
    """
    intact = network.scores({})
    together = max(1, GONE // count)
    parts = []
    for at in range(0, len(units), together):
        some = units[at : at + together]
        gone = np.zeros((len(some), count), dtype=bool)
        gone[np.arange(len(some)), some] = True
        found = network.scores({place: gone}, mode)
        known = np.isfinite(found.loss) & np.isfinite(intact.loss[0])
        rise = np.subtract(found.loss, intact.loss[0], out=np.full(len(some), np.nan), where=known)
        parts.append((rise, found.loss_error, intact.score[0] - found.score, intact.class_score[0] - found.class_score))
    rise, error, drop, class_drop = (np.concatenate(each).astype(np.float64) for each in zip(*parts, strict=True))
    return Damages(rise, error, drop, class_drop.T)


def usable(run: Run, evaluate: Evaluator, mode: Mode) -> tuple[dict[str, Array], dict[str, str]]:
    """Places whose units can go this way, and why others cannot.

    Args:
        run: the selected run; layers that were not selected are passed over in silence.
        evaluate: its network.
        mode: how units go.

    Returns:
        Name of the place to the units looked at, all or 2,048 evenly spaced, in the order of the forward pass; and name
        of a layer or place to the reason.
    """
    passed_over = {layer["name"] for layer in run.meta["layers"]} - set(run.layers)
    left_out = {name: why for name, why in evaluate.left_out.items() if name not in passed_over}
    network, found = evaluate.at(int(run.steps[-1])), {}
    for name, place in evaluate.places.items():
        if name in passed_over:
            continue
        try:
            network.scores({name: np.zeros((1, place.units), dtype=bool)}, mode)
        except WdynError as error:
            left_out[name] = str(error)
        else:
            found[name] = spaced(place.units, MOST_ROWS)
    return found, left_out


def vectors_of(run: Run, place: str, *, step: int, units: int) -> Array | None:
    """The weight rows that are the units of a place, (N, D), or None where no layer has them."""
    if place not in run.layers or run.layers[place].rows != units:
        return None
    return np.asarray(run.neurons(place, step))


def recorded(run: Run, places: Mapping[str, object]) -> tuple[str, ...]:
    """Names of the places that are layers of the run, which the page's layer picker knows."""
    return tuple(name for name in places if name in run.layers)


def told(progress: Callable[[float], object] | None, total: int) -> Callable[[int], None]:
    """A counter that tells the share of the work done: call it with the amount just finished."""
    done = 0

    def advance(amount: int) -> None:
        nonlocal done
        done += amount
        if progress is not None:
            progress(min(done / max(total, 1), 1.0))

    return advance
