"""One place at one step with units gone, one by one, in pairs and in sets; the work behind `redundancy`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._copies import (
    aligned_sets,
    chance_above,
    chance_sets,
    chance_synergies,
    classify,
    holm,
    members,
    nearest_pairs,
    synergy,
    variants,
)
from wdyn.analyses._evaluate import Network
from wdyn.analyses._grouping import groups_at
from wdyn.analyses._groups import cosines
from wdyn.analyses._neurons import directions

LEVEL = 0.01  # of places without copies in which some are claimed
NEAREST = 256  # pairs of nearest units drawn
RANDOM = 256  # random pairs drawn
CLAIM = LEVEL * (1 + 1e-9)  # m chances of 1 / (100 m) may round up
GONE = 2**24  # units gone or not that are kept at once
SETS = (
    "set_size", "set_sum", "set_rise", "set_rise_error", "set_drop", "set_synergy", "set_drop_synergy",
    "set_by_chance", "set_high_by_chance", "set_chance", "set_corrected",
)  # fmt: skip


class Damage(NamedTuple):
    """What M variants do worse than the intact network: each (M,) float64, the error that of the loss."""

    rise: Array
    error: Array
    drop: Array


class UnitsAt(NamedTuple):
    """The units of one place at one step.

    Attributes:
        network: the network at that step.
        name: of the place.
        units: N, in all.
        neurons: (n,) the units looked at.
        vectors: (n, D) their weights.
        still: (n,) bool, units that never trained; none where that is not known.
    """

    network: Network
    name: str
    units: int
    neurons: Array
    vectors: Array
    still: Array


class Measured(NamedTuple):
    """What `measure` finds.

    Attributes:
        numbers: field of `Redundancy` to array, without the step.
        sets: rows of each set, positions among the units looked at.
    """

    numbers: dict[str, Array]
    sets: list[Array]


def damage(place: UnitsAt, sets: Sequence[Array]) -> Damage:
    """Damage of sets of units, given as positions among those looked at; NaN where a loss is not finite."""
    intact = place.network.scores({})
    parts = []
    together = max(1, GONE // place.units)
    for at in range(0, len(sets), together):
        gone = variants([place.neurons[rows] for rows in sets[at : at + together]], place.units)
        found = place.network.scores({place.name: gone})
        known = np.isfinite(found.loss) & np.isfinite(intact.loss[0])
        rise = np.subtract(found.loss, intact.loss[0], out=np.full(len(known), np.nan), where=known)
        parts.append((rise, found.loss_error, intact.score[0] - found.score))
    if not parts:
        return Damage(*np.empty((3, 0)))
    return Damage(*(np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True)))


def measure(place: UnitsAt, *, most: int, limit: float, rng: np.random.Generator) -> Measured:
    """Everything about one place at one step.

    Args:
        place: the place.
        most: how many sets to test against chance, each with 100 times as many draws as there are tests.
        limit: as for `classify`.
        rng: draws chance sets and random pairs.

    Returns:
        The numbers.
    """
    count = len(place.neurons)
    unit, _, live = directions(place.vectors)
    cosine = cosines(unit)
    labels = groups_at(cosine, live, place.vectors.shape[1], "ray")
    alone = damage(place, [np.array([row]) for row in range(count)])
    sets = aligned_sets(labels, cosine, live=live, inputs=place.vectors.shape[1])
    together = damage(place, sets)
    table = _sets(sets, together, alone)
    for i, numbers in enumerate(_tests(place, sets[:most], labels, alone.rise, table["set_synergy"], rng)):
        for name, value in numbers.items():
            table[name][i] = value
    table["set_corrected"] = holm(table["set_chance"])
    groups = [(rows, bool(np.abs(together.rise[i]) <= together.error[i])) for i, rows in enumerate(members(labels))]
    copies = [sets[i] for i in np.flatnonzero(table["set_corrected"] <= CLAIM)]
    kind = classify(alone.rise, alone.error, limit=limit, still=place.still, copies=copies, groups=groups)
    pair_cosine, pair_synergy = _pairs(place, cosine, live, alone.rise, rng)
    numbers = {
        "rise": alone.rise, "rise_error": alone.error, "drop": alone.drop, "group": labels, "kind": kind,
        "pair_cosine": pair_cosine, "pair_synergy": pair_synergy, **table,
    }  # fmt: skip
    return Measured(numbers, sets)


def _sets(sets: Sequence[Array], together: Damage, alone: Damage) -> dict[str, Array]:
    table = {name: np.full(len(sets), np.nan) for name in SETS}
    return table | {
        "set_size": np.array([len(rows) for rows in sets], dtype=np.float64),
        "set_sum": np.array([alone.rise[rows].sum() for rows in sets]),
        "set_rise": together.rise, "set_rise_error": together.error, "set_drop": together.drop,
        "set_synergy": synergy(together.rise, sets, alone.rise),
        "set_drop_synergy": synergy(together.drop, sets, alone.drop),
    }  # fmt: skip


def _tests(
    place: UnitsAt, sets: Sequence[Array], labels: Array, single: Array, found: Array, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """What chance gives for each set; nothing where the other units are too few."""
    draws = max(1, len(sets)) * round(1 / LEVEL) - 1
    numbers = []
    for rows, observed in zip(sets, found, strict=False):
        drawn = chance_sets(rows, labels, single, draws=draws, rng=rng) if np.isfinite(single).all() else []
        total = float(np.abs(single[rows]).sum())
        by_chance = chance_synergies(damage(place, drawn).rise, drawn, single, total=total)
        numbers.append(
            {
                "set_by_chance": by_chance.mean(), "set_high_by_chance": np.quantile(by_chance, 1 - LEVEL),
                "set_chance": chance_above(float(observed), by_chance),
            } if len(drawn) else {}
        )  # fmt: skip
    return numbers


def _pairs(place: UnitsAt, cosine: Array, live: Array, single: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Cosine and synergy of nearest and of random pairs."""
    rows = np.flatnonzero(live)
    pairs = list(nearest_pairs(cosine, live)[:NEAREST])
    if len(rows) > 1:
        pairs += [rng.choice(rows, 2, replace=False) for _ in range(RANDOM)]
    pairs = [np.array(pair) for pair in sorted({tuple(sorted(pair.tolist())) for pair in pairs})]
    between = np.array([cosine[pair[0], pair[1]] for pair in pairs])
    return between, synergy(damage(place, pairs).rise, pairs, single)
