"""Winning tickets compared: do networks keep the same weights, beyond what three kinds of chance give?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wdyn.analyses._charts import Array, Chart
from wdyn.analyses._false_discovery import adjusted
from wdyn.analyses._overlap import Overlap, chance_variance, together
from wdyn.analyses._runs import distinct_names
from wdyn.analyses._spec import Analysis, Finding, Result, measured
from wdyn.analyses._threads import at_once
from wdyn.analyses._ticket_charts import ticket_charts
from wdyn.analyses._ticket_layers import NULLS, SIGNS, LayerComparison, compare_layer
from wdyn.analyses._ticket_runs import Member, mismatch, other_classes, other_data, sparse_members
from wdyn.analyses._ticket_words import NESTED, SAME, verdict
from wdyn.errors import MisuseError

if TYPE_CHECKING:
    from wdyn.store.run import Run

LEVEL = 0.01  # of the claims of one null, so many are false on average


@dataclass(frozen=True)
class Tickets(Result):
    """Masks of R runs at their last steps, in P pairs; along `index` run the pairs, where not said otherwise.

    NaN where a layer cannot be compared or a null leaves no choice. A null is `uniform`: as many weights anywhere in
    the layer; `units`: the units of one mask permuted; `initial`: each mask follows the initial magnitudes, its
    units and its inputs, and is random beyond, only for runs that share their initial magnitudes, but for rounding.

    Attributes:
        runs: R names.
        pairs: P positions in `runs`, two each.
        notes: what to know of the runs and what was left out.
        mismatches: (position of the pair, layer, reason) where a layer cannot be compared.
        verdicts: P times L words.
        unit_survivors: layer to weights kept of each unit; `index` are the runs.
        input_survivors: layer to weights kept of each input, which is `neuron` here; `index` are the runs.
        kept: weights kept; `index` are the runs; -1 where a run has no such layer.
        total: weights there are; likewise.
        by_start_iou: intersection over union of each run's mask with the one that its initial magnitudes alone give.
        both: weights that both keep.
        iou: intersection over union.
        iou_expected: the same at the overlap that `uniform` expects.
        kappa: (both - expected) / (most - expected) under `uniform`.
        expected_uniform, expected_units, expected_initial: overlap expected by each null.
        z_uniform, z_units, z_initial: standard deviations above it.
        p_uniform, p_units, p_initial: chance of at least this overlap.
        q_uniform, q_units, q_initial: the same corrected for the number of layers and pairs (Benjamini-Hochberg); pairs
            that keep the same weights, or of which one lies within the other, are no tests.
        signs_start, signs_end: share of the weights kept by both that have one sign in both, at step 0 and at the end.
        signs_start_expected, signs_end_expected: the same where signs are dealt out at random.
        signs_start_p, signs_end_p: chance of at least this agreement.
        signs_start_q, signs_end_q: corrected like `q_uniform`; signs at the start of pairs that were born with the same
            magnitudes are no tests either.
        unit_correlation: Spearman's, of the survivors per unit.
        unit_correlation_p: chance of one as far from 0, from permutations of the units.
        unit_correlation_q: corrected like `q_uniform`.
        all_iou, all_kappa: over all comparable layers together.
        all_z: standard deviations above `uniform` in all of them together.
    """

    runs: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]
    mismatches: tuple[tuple[int, str, str], ...]
    verdicts: tuple[tuple[str, ...], ...]
    unit_survivors: dict[str, Array] = measured("layer", "index", "neuron")
    input_survivors: dict[str, Array] = measured("layer", "index", "neuron")
    kept: Array = measured("index", "layer")
    total: Array = measured("index", "layer")
    by_start_iou: Array = measured("index", "layer")
    both: Array = measured("index", "layer")
    iou: Array = measured("index", "layer")
    iou_expected: Array = measured("index", "layer")
    kappa: Array = measured("index", "layer")
    expected_uniform: Array = measured("index", "layer")
    expected_units: Array = measured("index", "layer")
    expected_initial: Array = measured("index", "layer")
    z_uniform: Array = measured("index", "layer", unit="standard deviations")
    z_units: Array = measured("index", "layer", unit="standard deviations")
    z_initial: Array = measured("index", "layer", unit="standard deviations")
    p_uniform: Array = measured("index", "layer")
    p_units: Array = measured("index", "layer")
    p_initial: Array = measured("index", "layer")
    q_uniform: Array = measured("index", "layer")
    q_units: Array = measured("index", "layer")
    q_initial: Array = measured("index", "layer")
    signs_start: Array = measured("index", "layer")
    signs_start_expected: Array = measured("index", "layer")
    signs_start_p: Array = measured("index", "layer")
    signs_start_q: Array = measured("index", "layer")
    signs_end: Array = measured("index", "layer")
    signs_end_expected: Array = measured("index", "layer")
    signs_end_p: Array = measured("index", "layer")
    signs_end_q: Array = measured("index", "layer")
    unit_correlation: Array = measured("index", "layer")
    unit_correlation_p: Array = measured("index", "layer")
    unit_correlation_q: Array = measured("index", "layer")
    all_iou: Array = measured("index")
    all_kappa: Array = measured("index")
    all_z: Array = measured("index", unit="standard deviations")


def compute(runs: Sequence[Run], *, seed: int = 0, progress: Callable[[float], object] | None = None) -> Tickets:
    """Compare the masks of all pairs of runs, layer by layer.

    Args:
        runs: at least two pruned runs, each taken at its last step. A run without recorded masks is taken by the exact
            zeros of its weights; a dense one that says so is left out. Layers match by name, kind and shape.
        seed: of permutations.
        progress: called with the share of the work done.

    Returns:
        All numbers; in memory are masks, signs and initial magnitudes of up to four layers at a time.

    Raises:
        MisuseError: a run is dense and does not say so, fewer than two are pruned, or no layer can be compared.
    """
    members, notes = sparse_members(runs, distinct_names(runs))
    pairs = list(itertools.combinations(range(len(members)), 2))
    layers = list(dict.fromkeys(layer for each in members for layer in each.run.layers))
    gaps = _mismatches(members, pairs, layers)
    if len(gaps) == len(pairs) * len(layers):
        raise MisuseError(f"no layer of {members[0].name} can be compared. {gaps[0][1]}: {gaps[0][2]}.")

    def compared(j: int) -> LayerComparison:
        return compare_layer(members, pairs, layers[j], rng=np.random.default_rng([seed, j]))

    found = {}
    for j, of_layer in enumerate(at_once(compared, range(len(layers)))):
        found[layers[j]] = of_layer
        if progress is not None:
            progress((j + 1) / len(layers))
    notes += [warning for a, b in pairs if (warning := other_classes(members[a], members[b]))]
    notes += other_data(members)
    return _assembled(members, pairs, found, notes=notes, gaps=gaps)


def _mismatches(
    members: list[Member], pairs: list[tuple[int, int]], layers: list[str]
) -> tuple[tuple[int, str, str], ...]:
    return tuple(
        (p, layer, reason)
        for p, (a, b) in enumerate(pairs)
        for layer in layers
        if (reason := _mismatch(members[a], members[b], layer))
    )


def _mismatch(first: Member, second: Member, layer: str) -> str:
    if layer not in first.run.layers and layer not in second.run.layers:
        return "neither of them has it"
    return mismatch(first, second, layer)


def _assembled(
    members: list[Member],
    pairs: list[tuple[int, int]],
    found: dict[str, LayerComparison],
    *,
    notes: list[str],
    gaps: tuple[tuple[int, str, str], ...],
) -> Tickets:
    numbers = _numbers(found)
    counts = [[each.pairs[p].counts for each in found.values()] for p in range(len(pairs))]
    relations = [_relation([each for each in row if each is not None]) for row in counts]
    tested = np.array([relation == "" for relation in relations])[:, None]
    numbers["unit_correlation_p"] = _columns([each.unit_correlation_p for each in found.values()])
    apart = np.array([[not each.pairs[p].one_birth for each in found.values()] for p in range(len(pairs))])
    numbers |= _corrected(numbers, tested, apart)
    why = {(p, layer): reason for p, layer, reason in gaps}
    verdicts = tuple(
        tuple(
            verdict(why.get((p, layer), ""), relation, {null: _of_null(numbers, null, p, j) for null in NULLS}, LEVEL)
            for j, layer in enumerate(found)
        )
        for p, relation in enumerate(relations)
    )
    return Tickets(
        run=" and ".join(each.name for each in members), steps=np.array([each.last for each in members]),
        layers=tuple(found), runs=tuple(each.name for each in members), pairs=tuple(pairs),
        notes=tuple(dict.fromkeys(notes)), mismatches=gaps, verdicts=verdicts, **numbers, **_all_layers(counts),
        unit_survivors={layer: each.unit_survivors for layer, each in found.items()},
        input_survivors={layer: each.input_survivors for layer, each in found.items()},
        **{name: _columns([getattr(each, name) for each in found.values()]) for name in ("kept", "total")},
        by_start_iou=_columns([each.by_start for each in found.values()]),
        unit_correlation=_columns([each.unit_correlation for each in found.values()]),
    )  # fmt: skip


def _corrected(numbers: dict[str, Array], tested: Array, apart: Array) -> dict[str, Array]:
    """Chances corrected for their number: of `tested` pairs, of signs at the start those not born together."""
    asked = {f"q_{null}": (f"p_{null}", tested) for null in NULLS}
    asked |= {f"{name}_q": (f"{name}_p", tested) for name in ("signs_end", "unit_correlation")}
    asked["signs_start_q"] = "signs_start_p", tested & apart
    return {name: adjusted(np.where(those, numbers[p], np.nan)) for name, (p, those) in asked.items()}


def _columns(values: list[Array]) -> Array:
    return np.stack(values, axis=1)


def _of_null(numbers: dict[str, Array], null: str, p: int, j: int) -> tuple[float, float]:
    """Standard deviations above a null, and corrected chance."""
    return float(numbers[f"z_{null}"][p, j]), float(numbers[f"q_{null}"][p, j])


def _numbers(found: dict[str, LayerComparison]) -> dict[str, Array]:
    """Name of a field to its (P, L) values."""
    rows: dict[str, list[list[float]]] = {}
    for each in found.values():
        column: dict[str, list[float]] = {}
        for pair in each.pairs:
            for name, value in _of_pair(pair).items():
                column.setdefault(name, []).append(value)
        for name, values in column.items():
            rows.setdefault(name, []).append(values)
    return {name: np.array(values, dtype=np.float64).T for name, values in rows.items()}


def _of_pair(pair: Any) -> dict[str, float]:
    counts = pair.counts
    numbers = {
        name: np.nan if counts is None else float(getattr(counts, field))
        for name, field in (("both", "both"), ("iou", "iou"), ("iou_expected", "expected_iou"), ("kappa", "kappa"))
    }
    for null in NULLS:
        numbers |= {f"{name}_{null}": value for name, value in pair.nulls[null]._asdict().items()}
    for signs in SIGNS:
        numbers |= dict(zip((signs, f"{signs}_expected", f"{signs}_p"), pair.signs[signs], strict=True))
    return numbers


def _relation(counts: list[Overlap]) -> str:
    """Whether two masks are one, or one lies within the other in every layer, or neither."""
    if all(each.both == each.first == each.second for each in counts):
        return SAME
    within_first = all(each.both == each.second for each in counts)
    return NESTED if within_first or all(each.both == each.first for each in counts) else ""


def _all_layers(counts: list[list[Overlap | None]]) -> dict[str, Array]:
    values: list[tuple[float, float, float]] = []
    for row in counts:
        known = [each for each in row if each is not None]
        if not known:
            values.append((np.nan, np.nan, np.nan))
            continue
        whole, variance = together(known), sum(chance_variance(each) for each in known)
        z = (whole.both - whole.expected) / np.sqrt(variance) if variance > 0 else np.nan
        values.append((whole.iou, whole.kappa, z))
    columns = np.array(values, dtype=np.float64).reshape(-1, 3).T
    return dict(zip(("all_iou", "all_kappa", "all_z"), columns, strict=True))


def findings(result: Tickets) -> Iterator[Finding]:
    """For each pair and layer whether the overlap is beyond all nulls that apply, and what explains it if not."""
    z = np.stack([result.z_uniform, result.z_units, result.z_initial])
    q = np.stack([result.q_uniform, result.q_units, result.q_initial])
    for p, (a, b) in enumerate(result.pairs):
        for j, layer in enumerate(result.layers):
            applies = np.isfinite(q[:, p, j])
            if applies[0]:
                beyond = bool((q[applies, p, j] <= LEVEL).all())
                text = f"{layer}, {result.runs[a]} and {result.runs[b]}: {result.verdicts[p][j]}"
                yield Finding(layer, int(result.steps[a]), text, beyond, LEVEL, float(z[applies, p, j].min()))


def charts(result: Tickets) -> list[Chart]:
    """See `_ticket_charts`."""
    return ticket_charts(result)


ANALYSIS = Analysis(
    title="Winning tickets compared",
    compute=compute,
    charts=charts,
    findings=findings,
    takes="runs",
    reading=(
        "Two masks overlap by chance alone, so an overlap is read against three nulls: as many weights anywhere in the "
        "layer (hypergeometric); the units of one mask permuted, which asks whether the same unit keeps the same "
        "inputs, beyond those that all units keep; and, for runs born with the same weights, masks that follow the "
        "magnitudes they were born with and what each keeps of its units and inputs, since large weights survive "
        "wherever they are trained. κ is 0 by chance and 1 where the sparser mask lies within the other. Chances are "
        "corrected for the number of layers and pairs (Benjamini and Hochberg 1995). Tickets: Frankle and Carbin, The "
        "lottery ticket hypothesis (2019)."
    ),
)
