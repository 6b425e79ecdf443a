"""What a run says of itself as a winning ticket: its mask, its start, and the facts its search wrote down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.errors import MisuseError
from wdyn.store.layers import needed, rows_of

if TYPE_CHECKING:
    from wdyn.store.run import Run

FEWEST_ZEROS = 0.01  # of a layer: fewer may be the work of chance, as `wdyn audit` has it too
SAMPLE = 4_096
ALIKE, FEWEST_ALIKE = 0.99, 8  # correlation of initial magnitudes that are the same, and of how many at least


@dataclass(frozen=True)
class Member:
    """A sparse run among those compared.

    Attributes:
        run: the run.
        name: what it is called, told apart from the others.
        by_zeros: it has no recorded mask, so exact zeros of its last step stand for one.
    """

    run: Run
    name: str
    by_zeros: bool

    @property
    def last(self) -> int:
        """The step at which it is looked at."""
        return int(self.run.steps[-1])

    def kept(self, layer: str) -> Array:
        """(N, D) bool, the weights of a layer that its mask keeps."""
        found = self.run.layers[layer]
        if self.by_zeros:
            kept = np.asarray(self.run.neurons(layer, self.last) != 0)
            return kept if kept.mean() <= 1 - FEWEST_ZEROS else np.ones_like(kept)
        masks = self.run.masks(self.last, [found.parameter])
        if found.parameter not in masks:  # masked nowhere
            return np.ones((found.rows, found.columns), dtype=np.bool_)
        return np.asarray(rows_of(masks[found.parameter][needed(found)][None], found)[0])

    def ends(self, layer: str) -> tuple[Array | None, Array]:
        """(N, D) the layer's values at step 0 and at the last, as the optimizer had them, pruned places included.

        The first is None where step 0 was not recorded. Of a ticket that was rewound to a later step of a dense run,
        step 0 is that step.
        """
        found = self.run.layers[layer]
        known = [0] if self.run.steps[0] == 0 else []
        blocks = self.run.select(steps=[*known, self.last]).history(found.parameter, masked=False)
        raw = np.concatenate([values for _, values in blocks])  # both from what is inflated once
        rows = rows_of(raw[:, needed(found)], found)
        return rows[0] if known else None, rows[-1]


def ticket_facts(run: Run) -> Mapping[str, Any]:
    """What a search wrote into the metadata of a run; empty for a run that comes from elsewhere."""
    found = metadata_of(run).get("ticket")
    return found if isinstance(found, Mapping) else {}


def metadata_of(run: Run) -> Mapping[str, Any]:
    """The user's own facts; empty where they are no object."""
    found = run.meta.get("metadata")
    return found if isinstance(found, Mapping) else {}


def sparse_members(runs: Sequence[Run], names: Sequence[str]) -> tuple[list[Member], list[str]]:
    """The runs whose masks can be compared, and notes on how they were read and which were left out.

    Args:
        runs: all runs.
        names: what they are called.

    Raises:
        MisuseError: a run has neither a mask nor 1 % zeros in a layer and does not say that it is a dense one, or fewer
            than two are left.
    """
    members, notes = [], []
    for run, name in zip(runs, names, strict=True):
        if ticket_facts(run).get("kind") == "dense":
            notes.append(f"{name} is a dense run and has no mask to compare")
        elif _is_masked(run):
            members.append(Member(run, name, False))
        elif _has_zeros(run):
            members.append(Member(run, name, True))
            notes.append(f"{name} holds no recorded mask: the exact zeros of its last step stand for one")
        else:
            raise MisuseError(
                f"{name} is a dense run: no mask was recorded, and at its last step, {run.steps[-1]}, no layer has "
                "1 % zeros. Compare runs of pruned networks, or leave it out."
            )
    if len(members) < 2:
        raise MisuseError(
            f"{', '.join(names)}: masks can be compared where two runs at least are pruned, and {len(members)} is."
        )
    return members, notes


def mismatch(first: Member, second: Member, layer: str) -> str:
    """Why a layer of two runs cannot be compared, in words; empty where it can."""
    mine, other = first.run.layers.get(layer), second.run.layers.get(layer)
    if mine is None or other is None:
        return f"it is only in {(first if other is None else second).name}"
    shapes = [f"{each.rows} x {each.columns}" for each in (mine, other)]
    where = f"({shapes[0]} in {first.name}, {shapes[1]} in {second.name})"
    if mine.rows != other.rows:
        last = layer == list(first.run.layers)[-1] == list(second.run.layers)[-1]
        return f"another number of {'outputs, as for other classes' if last else 'units'} {where}"
    if mine.columns != other.columns:
        return f"another number of inputs {where}"
    if mine.kind != other.kind:
        return f"another kind of layer ({mine.kind} in {first.name}, {other.kind} in {second.name})"
    return ""


def other_classes(first: Member, second: Member) -> str:
    """A warning where the outputs of two networks stand for different things; empty where nothing says so."""
    a, b = metadata_of(first.run), metadata_of(second.run)
    if isinstance(a.get("classes"), list) and isinstance(b.get("classes"), list) and a["classes"] != b["classes"]:
        same = sorted(map(str, a["classes"])) == sorted(map(str, b["classes"]))
        return f"the classes of {first.name} and {second.name} {'stand in another order' if same else 'differ'}"
    return ""


def other_data(members: Sequence[Member]) -> list[str]:
    """Who learned what, in one sentence, where not all learned the same; empty where nothing says so."""
    learners: dict[str, list[str]] = {}
    for each in members:
        if dataset := metadata_of(each.run).get("dataset"):
            learners.setdefault(str(dataset), []).append(each.name)
    if len(learners) < 2:
        return []
    return ["; ".join(f"{', '.join(names)} learned {dataset}" for dataset, names in learners.items())]


class Birth(NamedTuple):
    """Initial magnitudes of a layer, as much of them as tells whether two runs have the same.

    Attributes:
        shape: (N, D).
        exact: equal for magnitudes that are equal bit for bit, and of one type and shape.
        sample: (M,) float64, up to 4,096 of them, evenly spaced.
    """

    shape: tuple[int, ...]
    exact: bytes
    sample: Array


def birth_of(values: Array) -> Birth:
    """Of (N, D) initial weights."""
    magnitudes = np.ascontiguousarray(np.abs(values))
    digest = blake2b(values.dtype.str.encode() + magnitudes.tobytes(), digest_size=16).digest()
    return Birth(values.shape, digest, magnitudes.ravel()[:: -(-values.size // SAMPLE)].astype(np.float64))


def one_birth(first: Birth | None, second: Birth | None) -> bool:
    """Whether two layers were born with the same magnitudes, as one seed gives them in float32 and in bfloat16.

    That is where they are equal bit for bit, or where a sample of them correlates by more than .99, as after rounding
    or a few steps of training; independent ones of 8 weights do in one of a million cases.
    """
    if first is None or second is None or first.shape != second.shape:
        return False
    if first.exact == second.exact:
        return True
    pair = np.stack([first.sample, second.sample])
    if pair.shape[1] < FEWEST_ALIKE or not np.isfinite(pair).all():
        return False
    pair -= pair.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(pair, axis=1)
    return bool(lengths.min() > 0 and pair[0] @ pair[1] > ALIKE * lengths.prod())


def _is_masked(run: Run) -> bool:
    last = int(run.steps[-1])
    parameters = {layer.parameter for layer in run.layers.values()}
    return any(not mask.all() for name in parameters for mask in run.masks(last, [name]).values())


def _has_zeros(run: Run) -> bool:
    last = int(run.steps[-1])
    return any(float(np.mean(run.neurons(layer, last) == 0)) >= FEWEST_ZEROS for layer in run.layers)
