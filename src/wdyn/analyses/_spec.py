"""What an analysis file must offer, and what every result can do."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from wdyn.analyses._charts import Chart
from wdyn.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

Axis = Literal["step", "shown", "layer", "neuron", "index", "metric"]
TIDY_COLUMNS = ("run", "step", "layer", "neuron", "index", "metric", "value")
Need = Literal["layers", "metrics", "sample", "masks", "image", "evaluate"]


def measured(*axes: Axis, unit: str = "") -> Any:
    """A result field that holds numbers, with the meaning of its axes.

    Args:
        axes: one per array axis. `step` runs along `steps`, `shown` along `shown`, `layer` along `layers`; `neuron` and
            `index` count from 0, but a result that looks at some neurons only says which in a dict `neurons`, layer to
            (n,) numbers, and `neuron` runs along those. A field that differs in size from layer to layer is a dict
            from layer to array and starts with `layer`; one that starts with `metric` is a dict from the name of a
            metric to its array. No axis at all is a single number.
        unit: what one unit of the number is; empty for a pure number.

    Returns:
        A dataclass field. `to_dataframe`, the JSON report and the tables behind the charts are made from it.
    """
    return field(metadata={"axes": axes, "unit": unit})


@dataclass(frozen=True)
class Result:
    """Base of all results: a frozen dataclass whose numbers are `measured` fields.

    Attributes:
        run: name of the run the numbers come from.
        steps: (S,) int64, optimizer steps along every `step` axis.
        layers: L names along every `layer` axis.
    """

    run: str
    steps: np.ndarray
    layers: tuple[str, ...]

    def to_dataframe(self) -> pandas.DataFrame:
        """All numbers in long form: columns run, step, layer, neuron, metric, value.

        Axes that a number does not have are empty (`NaN` or None). A matrix over neurons adds the column `index`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError("to_dataframe needs pandas. Install it with: pip install 'wdyn[data]'") from error
        frame = pandas.DataFrame(tidy_rows(self), columns=list(TIDY_COLUMNS))
        return frame if frame["index"].notna().any() else frame.drop(columns="index")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the first chart of this result.

        Args:
            ax: matplotlib axes to draw into; new ones when omitted.

        Returns:
            The axes.
        """
        from wdyn.analyses._draw import draw

        return draw(self.charts()[0], ax)

    def _repr_png_(self) -> bytes | None:
        """The first chart, for a notebook; None where there is none."""
        from wdyn.analyses._draw import png

        return next((png(chart) for chart in self.charts()), None)

    def charts(self) -> list[Chart]:
        """What to draw, by the `charts` function of the analysis file that defines this class."""
        analysis: Analysis = sys.modules[type(self).__module__].ANALYSIS
        return analysis.charts(self)


@dataclass(frozen=True)
class Finding:
    """What an analysis says of one layer at one step when it is asked whether chance could have done that.

    Attributes:
        layer: name of the layer.
        step: optimizer step.
        text: one sentence without a full stop, also where there is nothing but chance.
        significant: whether a signal is claimed.
        level: in (0, 1), the share of layers without any signal in which one is claimed, at most.
        z: standard deviations above chance; NaN where the null is not told that way.
    """

    layer: str
    step: int
    text: str
    significant: bool
    level: float
    z: float = float("nan")


def no_findings(result: Any) -> Iterable[Finding]:
    """For an analysis that has no null to hold its numbers against."""
    return ()


@dataclass(frozen=True)
class Analysis:
    """What an analysis file ends with: `ANALYSIS = Analysis(...)`.

    Attributes:
        title: heading of its section.
        compute: run -> result. A keyword parameter `seed: int`, `progress: Callable[[float], object]`, `mode: Mode` or
            `evaluate: Evaluator` is passed by the pipeline where the function has one; every other keyword has a
            default, and so has `evaluate` where it is not among the needs. An analysis of several runs takes a list of
            them, and as `evaluate` a function from a run to its evaluator. A MisuseError of it says why these runs
            cannot be compared.
        charts: result -> charts.
        reading: one or two sentences on how to read the charts and where the quantity comes from.
        needs: what a run, or each of several, must offer, by default a layer; an unmet need becomes a section that
            says so.
        when: `full` is left out by `--quick`, `quick` is used by `--quick` alone, `asked` only where it is named: by
            `--only`, or by `wdyn ablate` for what takes minutes.
        takes: `runs` puts it in `wdyn compare` instead of `wdyn analyze`.
        findings: result -> what stands out against chance and what does not, at the first and at the last step.
    """

    title: str
    compute: Callable[..., Any]
    charts: Callable[[Any], list[Chart]]
    reading: str
    needs: frozenset[Need] = frozenset({"layers"})
    when: Literal["always", "full", "quick", "asked"] = "always"
    takes: Literal["run", "runs"] = "run"
    findings: Callable[[Any], Iterable[Finding]] = no_findings


def measured_fields(result: Result) -> Iterator[tuple[str, tuple[Axis, ...], Any]]:
    """Name, axes and value of each `measured` field, in order of declaration."""
    for each in dataclasses.fields(result):
        if "axes" in each.metadata:
            yield each.name, each.metadata["axes"], getattr(result, each.name)


def tidy_rows(result: Result) -> Iterator[tuple[Any, ...]]:
    """Every measured number as (run, step, layer, neuron, index, metric, value)."""
    for metric, axes, value in measured_fields(result):
        if not isinstance(value, Mapping):
            yield from _rows(result, metric, axes, np.asarray(value), None)
            continue
        for key, numbers in value.items():
            name, layer = (metric, key) if axes[0] == "layer" else (key, None)
            yield from _rows(result, name, axes[1:], np.asarray(numbers), layer)


def _rows(
    result: Result, metric: str, axes: tuple[Axis, ...], numbers: np.ndarray, layer: str | None
) -> Iterator[tuple[Any, ...]]:
    labels = {"step": result.steps, "shown": getattr(result, "shown", ()), "layer": result.layers}
    if layer is not None and hasattr(result, "neurons"):
        labels["neuron"] = result.neurons[layer]
    ticks = [labels.get(axis, range(size)) for axis, size in zip(axes, numbers.shape, strict=True)]
    for place, value in zip(itertools.product(*ticks), numbers.ravel().tolist(), strict=True):
        at = dict(zip(axes, place, strict=True))
        step = at.get("step", at.get("shown"))
        yield result.run, step, at.get("layer", layer), at.get("neuron"), at.get("index"), metric, value
