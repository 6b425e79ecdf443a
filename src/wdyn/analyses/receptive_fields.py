"""Weights as images where neurons look at an image, and whether their pixels are smoother than shuffled ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdyn.analyses._charts import Array, Chart, ImagesThroughTime, Lines
from wdyn.analyses._false_discovery import adjusted
from wdyn.analyses._groups import spaced
from wdyn.analyses._images import Field, image_layers
from wdyn.analyses._moran import moran, smooth_by_chance
from wdyn.analyses._neuron_maps import neuron_map
from wdyn.analyses._neurons import shown_steps
from wdyn.analyses._spec import Analysis, Finding, Result, measured

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_STEPS = 60
MOST_PICTURES = 4  # steps that pictures are kept of
MOST_VALUES = 600_000  # pixels of all pictures of a page
MOST_CHANNELS = 3  # pictures of one neuron side by side
STRONGEST = 0.995  # share of the weights that the colours tell apart; those beyond have the last one
LEVEL = 0.01  # of the fields that are called smooth, at most so many are on average; so of layers without a smooth one
NORMAL_HIGH = 1.96


@dataclass(frozen=True)
class ReceptiveFields(Result):
    """Weights of the neurons that look at an image, as images. The pictures are no `measured` numbers.

    Attributes:
        shown: (T,) int64, steps at which the smoothness is known, at most 60.
        pictured: (P,) int64, those of them that there are pictures of: 2 to 4, or the only one.
        fields: layer that looks at an image to how the inputs of its neurons lie there.
        drawn: layer to (n,) int64, neurons that there are pictures of: evenly spaced, all where they are few enough.
        channels: layer to (n, c) int64, their channels that there are pictures of: the strongest 3 of each neuron at
            the last step, in order.
        images: layer to (P, n, c, H, W) float32.
        height: (L,) int64, rows of pixels; 0 where a layer looks at no image, also below.
        width: (L,) int64, columns of pixels.
        channel_count: (L,) int64, channels of the image.
        smoothness: layer to (T, N), Moran's I of the weights, mean over the channels: about 1 for a smooth image, 0 for
            shuffled pixels; NaN for a dead neuron.
        mean_smoothness: (T, L), its mean over the neurons; NaN where a layer looks at no image.
        chance_low: (T, L), lower end of the band that holds it for shuffled pixels in 95 of 100 cases (exact mean and
            variance, normal approximation).
        chance_high: (T, L), its upper end.
        smooth: (T, L), neurons smoother than shuffled pixels allow, corrected for their number (Benjamini & Hochberg)
            so that on average at most 1 % of them are not; NaN but at the first and the last step.
    """

    shown: np.ndarray
    pictured: np.ndarray
    fields: dict[str, Field]
    drawn: dict[str, np.ndarray]
    channels: dict[str, np.ndarray]
    images: dict[str, np.ndarray]
    height: np.ndarray = measured("layer", unit="pixels")
    width: np.ndarray = measured("layer", unit="pixels")
    channel_count: np.ndarray = measured("layer")
    smoothness: dict[str, np.ndarray] = measured("layer", "shown", "neuron")
    mean_smoothness: np.ndarray = measured("shown", "layer")
    chance_low: np.ndarray = measured("shown", "layer")
    chance_high: np.ndarray = measured("shown", "layer")
    smooth: np.ndarray = measured("shown", "layer", unit="neurons")


class _Plan(NamedTuple):
    shown: Array  # (T,) steps
    pictured: Array  # (P,) positions among them
    share: float  # of the neurons that there is room for


class _Found(NamedTuple):
    drawn: Array  # (n,)
    channels: Array  # (n, c)
    images: Array  # (P, n, c, H, W)
    smoothness: Array  # (T, N)
    numbers: Array  # (T, 4): mean, low, high, smooth


def plan(run: Run, fields: dict[str, Field]) -> _Plan:
    """Which steps have pictures, and of which share of the neurons, so that all pixels stay within 600,000."""
    pixels = sum(
        run.layers[name].rows * min(each.channels, MOST_CHANNELS) * each.height * each.width
        for name, each in fields.items()
    )
    shown = run.steps[shown_steps(run.steps, MOST_STEPS)]
    count = int(np.clip(MOST_VALUES // max(pixels, 1), 2, MOST_PICTURES))
    pictured = shown_steps(shown, count)
    return _Plan(shown, pictured, min(1.0, MOST_VALUES / max(pixels * len(pictured), 1)))


def compute(run: Run, *, seed: int = 0, progress: Callable[[float], object] | None = None) -> ReceptiveFields:
    """Pictures of the weights of every layer that looks at an image, and their smoothness at up to 60 steps.

    Args:
        run: the run.
        seed: of the shuffled pixels.
        progress: called with the share of the work done.
    """
    fields = image_layers(run)
    planned = plan(run, fields)
    found = {}
    for i, (layer, field) in enumerate(fields.items()):
        found[layer] = _layer(run, layer, field, planned=planned, rng=np.random.default_rng([seed, i]))
        if progress:
            progress((i + 1) / len(fields))
    return _assemble(run, planned, fields, found)


def _layer(run: Run, layer: str, field: Field, *, planned: _Plan, rng: np.random.Generator) -> _Found:
    chosen, rows = run.select(steps=planned.shown), run.layers[layer].rows
    drawn = spaced(rows, max(1, int(rows * planned.share)))
    channels = _strongest(field.images(run.neurons(layer, int(planned.shown[-1])))[drawn])
    pictures = np.empty((len(planned.pictured), *channels.shape, field.height, field.width), dtype=np.float32)
    smoothness, numbers = np.empty((len(planned.shown), rows)), np.full((len(planned.shown), 4), np.nan)
    for at, block in chosen.blocks(layer):
        for t, vectors in enumerate(block, start=at):
            images = field.images(vectors)
            smoothness[t], numbers[t, :3] = _smoothness(images)
            if t in (0, len(planned.shown) - 1):
                numbers[t, 3] = (adjusted(smooth_by_chance(images, rng=rng)) <= LEVEL).sum()
            if t in planned.pictured:
                place = int(np.searchsorted(planned.pictured, t))
                pictures[place] = np.take_along_axis(images[drawn], channels[..., None, None], axis=1)
    return _Found(drawn, channels, pictures, smoothness, numbers)


def _strongest(images: Array) -> Array:
    """(n, c) channels of the largest norm of (n, C, H, W), in order."""
    norms = np.square(np.nan_to_num(images.astype(np.float64))).sum(axis=(-2, -1))
    return np.sort(np.argsort(-norms, axis=1, kind="stable")[:, :MOST_CHANNELS], axis=1)


def _smoothness(images: Array) -> tuple[Array, tuple[float, float, float]]:
    """(N,) of (N, C, H, W), its mean, and the band of that by chance."""
    found = moran(images)
    live = np.isfinite(found.value)
    count = live.sum(axis=1)
    own = np.divide(
        np.where(live, found.value, 0.0).sum(axis=1), count, out=np.full(len(count), np.nan), where=count > 0
    )
    if not live.any():
        return own, (np.nan, np.nan, np.nan)
    weight = 1.0 / (np.where(count > 0, count, 1)[:, None] * (count > 0).sum())
    reach = NORMAL_HIGH * float(np.sqrt(np.where(live, found.variance * weight**2, 0.0).sum()))
    return own, (float(np.nanmean(own)), found.mean - reach, found.mean + reach)


def _assemble(run: Run, planned: _Plan, fields: dict[str, Field], found: dict[str, _Found]) -> ReceptiveFields:
    nothing = np.full((len(planned.shown), 4), np.nan)
    numbers = np.array([found[layer].numbers if layer in found else nothing for layer in run.layers])
    mean, low, high, smooth = np.moveaxis(numbers.reshape(len(run.layers), len(planned.shown), 4), -1, 0)
    sides = [fields.get(layer, Field(0, 0, 0, "")) for layer in run.layers]
    return ReceptiveFields(
        run=run.name, steps=run.steps, layers=tuple(run.layers), shown=planned.shown,
        pictured=planned.shown[planned.pictured], fields=fields,
        drawn={layer: each.drawn for layer, each in found.items()},
        channels={layer: each.channels for layer, each in found.items()},
        images={layer: each.images for layer, each in found.items()},
        height=np.array([each.height for each in sides], dtype=np.int64),
        width=np.array([each.width for each in sides], dtype=np.int64),
        channel_count=np.array([each.channels for each in sides], dtype=np.int64),
        smoothness={layer: each.smoothness for layer, each in found.items()},
        mean_smoothness=mean.T, chance_low=low.T, chance_high=high.T, smooth=smooth.T,
    )  # fmt: skip


def charts(result: ReceptiveFields) -> list[Chart]:
    """A sheet of pictures and a map of the smoothness for each layer, and its mean against chance."""
    at = {layer: result.layers.index(layer) for layer in result.fields}
    lines = Lines(
        title="Smoothness of the weights, mean of the neurons", x=result.shown,
        y={layer: result.mean_smoothness[:, j] for layer, j in at.items()},
        bands={layer: (result.chance_low[:, j], result.chance_high[:, j]) for layer, j in at.items()},
        x_label="optimizer step", y_label="Moran's I", band_label="shuffled pixels, 95 %",
    )  # fmt: skip
    maps = [neuron_map(_Shown(tuple(at), result.shown), layer, result.smoothness[layer], label=LABEL, diverging=True)
            for layer in at]  # fmt: skip
    return [*(_sheet(result, layer) for layer in at), *([lines] if at else []), *maps]


LABEL = "smoothness (Moran's I)"


class _Shown(NamedTuple):
    layers: tuple[str, ...]
    shown: Array


def _sheet(result: ReceptiveFields, layer: str) -> ImagesThroughTime:
    images, field, drawn = result.images[layer], result.fields[layer], result.drawn[layer]
    rows = result.smoothness[layer].shape[1]
    some = f" ({len(drawn)} of {rows} neurons)" if len(drawn) < rows else ""
    sizes = np.abs(images[np.isfinite(images)])
    return ImagesThroughTime(
        title=f"Weights as images{some}", steps=result.pictured, images=images, neurons=drawn,
        channels=result.channels[layer], channel_count=field.channels,
        limit=float(np.quantile(sizes, STRONGEST)) or 1.0 if sizes.size else 1.0, value_label="weight", layer=layer,
        caption=(
            f"{field.height} × {field.width} pixels, {field.told}. All neurons have one scale, which tells "
            f"{100 * STRONGEST:g} % of the weights apart. Pictures of steps {', '.join(map(str, result.pictured))}."
        ),
    )  # fmt: skip


def findings(result: ReceptiveFields) -> Iterator[Finding]:
    """Whether fields are smoother than shuffled pixels, at the first and the last step."""
    for t in sorted({0, len(result.shown) - 1}):
        for layer in result.fields:
            of = int(np.isfinite(result.smoothness[layer][t]).sum())
            if of:
                count = int(result.smooth[t, result.layers.index(layer)])
                have = "neuron has" if count == 1 else "neurons have"
                text = f"{layer}: {count} of {of} {have} weights smoother in the image than shuffled pixels allow"
                yield Finding(layer, int(result.shown[t]), text, count > 0, LEVEL)


ANALYSIS = Analysis(
    title="Weights as images",
    compute=compute,
    charts=charts,
    findings=findings,
    needs=frozenset({"layers", "image"}),
    reading=(
        "Each small picture is what one neuron weighs its inputs with, red for positive and blue for negative weights: "
        "of a fully connected first layer, or the kernels of a convolution. Noise looks like something, too, so "
        "Moran's I (1950) tells whether neighbouring pixels are more alike than shuffled ones (moments of Cliff & Ord "
        "1981); claims are corrected for the number of neurons (Benjamini & Hochberg 1995)."
    ),
)
