"""Groups of neurons with alike outputs on the sample, and whether they are the groups of alike weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wdyn.analyses._agreement import adjusted_rand, agreement_by_chance
from wdyn.analyses._charts import Array, Chart, Lines, Table
from wdyn.analyses._grouping import groups_at
from wdyn.analyses._groups import average, cosines, spaced
from wdyn.analyses._neurons import directions, shown_steps
from wdyn.analyses._spec import Analysis, Finding, Result, measured

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_STEPS = 60
MOST_NEURONS = 512
MOST_EXAMPLES = 2048
RANDOM_LAYERS = 99
LEVEL = 1 / (1 + RANDOM_LAYERS)


@dataclass(frozen=True)
class OutputClusters(Result):
    """Outputs are those of the layer before its activation; two are alike where they correlate over the examples.

    Outputs follow from the run file for the first layer alone, if it is a Linear one with as many inputs as an example
    of the sample has numbers. That the layer is used first, on the examples as they are, is taken for granted.

    Attributes:
        shown: (T,) int64, the steps looked at, at most 60.
        neurons: layer to (n,) int64, the neurons looked at: all, or 512 evenly spaced.
        left_out: layer to the reason why its outputs are not known.
        examples: examples used: finite ones, at most 2,048 evenly spaced.
        live: neurons looked at that have a direction.
        claim_correlation: correlation that no two outputs of as many random weight vectors reach, on these examples,
            in 99 of 100 cases.
        weight_groups: groups of alike weights, see `clusters`, mode `ray`.
        output_groups: groups of alike outputs: average linkage on 1 - correlation, cut at `claim_correlation`.
        agreement: adjusted Rand index of the two, 0 by chance and 1 where they are the same; NaN where either is empty.
        by_chance: chance of as good an agreement when neurons are dealt to groups at random; NaN likewise.
        weight_members: layer to (T, n) int64, group of each neuron at that step, 0 for the largest, -1 for none.
        output_members: layer to (T, n) int64, the same for outputs.
    """

    shown: Array
    neurons: dict[str, Array]
    left_out: dict[str, str]
    examples: Array = measured()
    live: Array = measured("shown", "layer")
    claim_correlation: Array = measured("layer")
    weight_groups: Array = measured("shown", "layer")
    output_groups: Array = measured("shown", "layer")
    agreement: Array = measured("shown", "layer")
    by_chance: Array = measured("shown", "layer")
    weight_members: dict[str, Array] = measured("layer", "shown", "neuron")
    output_members: dict[str, Array] = measured("layer", "shown", "neuron")


def known_outputs(run: Run) -> tuple[str | None, dict[str, str]]:
    """The layer whose outputs follow from the file, if any, and why those of the others do not.

    Args:
        run: the run.

    Returns:
        Name of the layer or None, and layer to reason.
    """
    if run.sample is None:
        return None, dict.fromkeys(run.layers, "no sample was recorded")
    features = int(np.prod(run.sample.inputs.shape[1:], dtype=np.int64))
    first = run.meta["layers"][0]["name"] if run.meta["layers"] else None
    reasons = {}
    for name, layer in run.layers.items():
        if name != first:
            reasons[name] = "its inputs are the outputs of other layers, which takes a replay of the network"
        elif layer.kind != "Linear":
            reasons[name] = f"a {layer.kind} layer takes a replay of the network"
        elif layer.columns != features:
            reasons[name] = f"it has {layer.columns} inputs, but an example of the sample has {features} numbers"
    return (first if first in run.layers and first not in reasons else None), reasons


def claim_distance(count: int, inputs: Array, *, rng: np.random.Generator) -> float:
    """1 - correlation that no two outputs of random weight vectors undercut, in 99 of 100 cases.

    Args:
        count: N, number of neurons.
        inputs: (M, D) float64, the examples less their mean.
        rng: draws 99 layers of N random directions.

    Returns:
        The closest pair of any of them; 0 with fewer than two neurons, or two examples or inputs that vary.
    """
    factor: Array = inputs
    if len(inputs) > inputs.shape[1]:
        factor = np.asarray(np.linalg.qr(inputs, mode="r"))  # gives outputs the same inner products
    if count < 2 or np.linalg.matrix_rank(factor) < 2:
        return 0.0
    closest = np.inf
    for _ in range(RANDOM_LAYERS):
        outputs = directions(rng.standard_normal((count, inputs.shape[1])) @ factor.T).unit
        correlation = cosines(outputs)
        np.fill_diagonal(correlation, -1.0)
        closest = min(closest, 1.0 - correlation.max())
    return float(closest)


class _Found(NamedTuple):
    neurons: Array
    claim: float
    live: Array  # (T,)
    members: dict[str, Array]  # weight and output, (T, n)
    agreement: Array  # (T, 2): index, by chance


def compute(run: Run, *, seed: int = 0, progress: Callable[[float], object] | None = None) -> OutputClusters:
    """Group the first layer's neurons by weights and by outputs at up to 60 steps.

    Args:
        run: the run.
        seed: of random layers and permutations.
        progress: called with the share of the work done.

    Returns:
        The groups and how well they agree; no layer where no outputs are known.
    """
    shown = run.steps[shown_steps(run.steps, MOST_STEPS)]
    layer, left_out = known_outputs(run)
    inputs = _centred_examples(run)
    found = {}
    if layer is not None:
        steps = _steps(run.select(steps=shown), layer, progress)
        found[layer] = _layer(steps, len(shown), inputs, run.layers[layer].rows, rng=np.random.default_rng(seed))
    return _assemble(run, shown, left_out, len(inputs), found)


def _centred_examples(run: Run) -> Array:
    """(M, D) float64, finite examples less their mean, so that outputs need no bias."""
    if run.sample is None:
        return np.empty((0, 0))
    flat = np.asarray(run.sample.inputs).reshape(len(run.sample.inputs), -1).astype(np.float64)
    flat = flat[np.isfinite(flat).all(axis=1)]
    flat = flat[spaced(len(flat), MOST_EXAMPLES)] if len(flat) else flat
    return np.asarray(flat - flat.mean(axis=0)) if len(flat) else flat


def _steps(chosen: Run, layer: str, progress: Callable[[float], object] | None) -> Iterator[Array]:
    for at, block in chosen.blocks(layer):
        for t, vectors in enumerate(block, start=at):
            yield vectors
            if progress:
                progress((t + 1) / len(chosen.steps))


def _layer(steps: Iterator[Array], count: int, inputs: Array, rows: int, *, rng: np.random.Generator) -> _Found:
    neurons = spaced(rows, MOST_NEURONS)
    claim = claim_distance(len(neurons), inputs, rng=rng)
    members = {kind: np.full((count, len(neurons)), -1) for kind in ("weight", "output")}
    live, agreement = np.zeros(count, dtype=np.int64), np.full((count, 2), np.nan)
    for t, vectors in enumerate(steps):
        unit, _, alive = directions(vectors[neurons])
        members["weight"][t] = groups_at(cosines(unit), alive, unit.shape[1], "ray")
        outputs, _, varies = directions(unit @ inputs.T)
        varying = np.flatnonzero(alive & varies)
        members["output"][t, varying] = average(cosines(outputs[varying]), "ray", claim)
        live[t] = alive.sum()
        pair = members["weight"][t, alive], members["output"][t, alive]
        agreement[t] = adjusted_rand(*pair), agreement_by_chance(*pair, rng=rng)
    return _Found(neurons, claim, live, members, agreement)


def _assemble(
    run: Run, shown: Array, left_out: dict[str, str], examples: int, found: dict[str, _Found]
) -> OutputClusters:
    shape, each = (len(shown), len(found)), list(found.values())

    def columns(values: list[Array]) -> Array:
        return np.stack(values, axis=1) if values else np.empty(shape)

    groups = {kind: [one.members[kind].max(axis=1) + 1 for one in each] for kind in ("weight", "output")}
    claims = [1.0 - one.claim if one.claim else np.nan for one in each]
    return OutputClusters(
        run=run.name, steps=run.steps, layers=tuple(found), shown=shown, left_out=left_out,
        neurons={layer: one.neurons for layer, one in found.items()}, examples=np.array(examples),
        live=columns([one.live for one in each]), claim_correlation=np.array(claims, dtype=np.float64),
        weight_groups=columns(groups["weight"]), output_groups=columns(groups["output"]),
        agreement=columns([one.agreement[:, 0] for one in each]),
        by_chance=columns([one.agreement[:, 1] for one in each]),
        weight_members={layer: one.members["weight"] for layer, one in found.items()},
        output_members={layer: one.members["output"] for layer, one in found.items()},
    )  # fmt: skip


def charts(result: OutputClusters) -> list[Chart]:
    """Numbers of groups, their agreement, and which layers were left out."""
    found: list[Chart] = []
    for j, layer in enumerate(result.layers):
        chance: dict[str, Any] = {"random weights (99 %)": 0.0}
        counts = {"alike weights": result.weight_groups[:, j], "alike outputs": result.output_groups[:, j]}
        index = {
            "adjusted Rand index": result.agreement[:, j],
            "chance of as good an agreement": result.by_chance[:, j],
        }
        found += [
            Lines("Groups of neurons", result.shown, counts, "optimizer step", "groups", reference=chance, layer=layer),
            Lines("Do the groups agree?", result.shown, index, "optimizer step", "index, and its chance",
                  reference={"by chance": 0.0}, layer=layer),
        ]  # fmt: skip
    reasons = {"layer": list(result.left_out), "reason": list(result.left_out.values())}
    return [*found, Table("Layers whose outputs the run file alone does not give", reasons)]


def findings(result: OutputClusters) -> Iterator[Finding]:
    """Whether outputs form groups that those of random weights do not, at the first and the last step."""
    for at in sorted({0, len(result.shown) - 1}):
        for layer, count, live in zip(result.layers, result.output_groups[at].tolist(), result.live[at], strict=True):
            if live:
                text = f"{layer}: {count or 'no'} group{'s' * (count != 1)} of alike outputs beyond chance"
                yield Finding(layer, int(result.shown[at]), text, bool(count), LEVEL)


ANALYSIS = Analysis(
    title="Groups of alike outputs",
    compute=compute,
    charts=charts,
    findings=findings,
    needs=frozenset({"layers", "sample"}),
    when="full",
    reading=(
        "Neurons are alike in outputs where these, before the activation, correlate over the sample more than those of "
        "any two of as many random weight vectors do in 99 of 100 layers. Alike weights give alike outputs, so some "
        "agreement is no surprise: groups of outputs that are none of weights are neurons that the data, not the "
        "weights, make redundant. Adjusted Rand index: Hubert & Arabie (1985)."
    ),
)
