"""One analysis becomes one section of a report: computed, skipped with a reason, or failed with its error."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from wdyn.analyses._images import image_layers
from wdyn.errors import MisuseError, NotFoundError, WdynError
from wdyn.scores import Mode

if TYPE_CHECKING:
    from wdyn.analyses._charts import Chart
    from wdyn.analyses._evaluate import Evaluator
    from wdyn.analyses._spec import Analysis, Finding, Need
    from wdyn.store.run import Run

Status = Literal["ok", "skipped", "failed"]
Evaluate = Callable[["Run"], "Evaluator"]


@dataclass(frozen=True)
class Given:
    """What an analysis may ask for besides the run.

    Attributes:
        seed: for everything random.
        evaluate: makes the network of a run run again; what it raises says why that cannot be. It is called once per
            run, when the first analysis asks for it.
        mode: what happens to a unit that goes.
    """

    seed: int = 0
    evaluate: Evaluate | None = None
    mode: Mode = "zero"


NOTHING = Given()


@dataclass(frozen=True)
class Section:
    """What one analysis gave.

    Attributes:
        name: name of the analysis.
        title: its heading.
        reading: how to read it.
        status: `ok`, `skipped` where a run lacks what it needs or runs cannot be compared, `failed` where it raised.
        reason: why it was skipped or failed, one sentence; empty when ok.
        charts: what to draw; empty unless ok.
        findings: what stands out against chance and what does not; empty unless ok.
        result: the result dataclass; None unless ok.
    """

    name: str
    title: str
    reading: str
    status: Status = "ok"
    reason: str = ""
    charts: tuple[Chart, ...] = ()
    findings: tuple[Finding, ...] = ()
    result: Any = None

    def failed(self, error: Exception) -> Section:
        """This section without its findings, naming the error instead."""
        explained = isinstance(error, WdynError)
        reason = str(error) if explained else f"{type(error).__name__}: {error}".removesuffix(": ")
        return replace(self, status="failed", reason=reason, charts=(), findings=(), result=None)


def make_section(
    name: str,
    analysis: Analysis,
    run: Run | Sequence[Run],
    *,
    given: Given = NOTHING,
    progress: Callable[[float], object] | None = None,
) -> Section:
    """Compute one analysis; what it raises stays inside its section.

    Args:
        name: name of the analysis.
        analysis: the analysis.
        run: the selected run; several for an analysis that compares runs.
        given: its parts are passed on where `compute` has parameters of their names.
        progress: called with fractions in [0, 1]; passed on likewise.

    Returns:
        Its section. KeyboardInterrupt and its like pass through.
    """
    section = Section(name, analysis.title, analysis.reading)
    if missing := _missing(analysis, run):
        return replace(section, status="skipped", reason=" ".join(missing))
    offered: dict[str, Any] = {"seed": given.seed, "progress": progress or _silent}
    parameters = inspect.signature(analysis.compute).parameters
    if "evaluate" in parameters.keys() | analysis.needs:
        offered["mode"] = given.mode  # of units that go; elsewhere a parameter of that name means something else
        try:
            offered["evaluate"] = _evaluator(run, given)
        except WdynError as error:
            if "evaluate" in analysis.needs:
                return replace(section, status="skipped", reason=str(error))
        except Exception as error:  # the user's own model and data are at work here
            if "evaluate" in analysis.needs:
                return section.failed(error)
    wanted = parameters.keys() & offered.keys()
    try:
        result = analysis.compute(run, **{key: offered[key] for key in wanted})
        charts, findings = tuple(analysis.charts(result)), tuple(analysis.findings(result))
        return replace(section, charts=charts, findings=findings, result=result)
    except Exception as error:  # one broken analysis must not cost the reader the others
        if analysis.takes == "runs" and isinstance(error, MisuseError):  # these runs cannot be compared
            return replace(section, status="skipped", reason=str(error))
        return section.failed(error)


MISSING: dict[Need, str] = {
    "layers": "This run has no layer that gives neuron rows. What was recorded without is listed as left out.",
    "metrics": "No metrics were logged. Call `rec.log(loss=...)` in the training loop to record them.",
    "sample": "No sample was recorded. Give one with `Recorder(model, sample=(inputs, targets))`.",
    "image": "No layer is known to look at an image: a Conv2d, or a first Linear whose inputs form one.",
    "masks": "No pruning mask was recorded. Masks of `torch.nn.utils.prune` are recorded by themselves.",
}


def _missing(analysis: Analysis, run: Run | Sequence[Run]) -> list[str]:
    needs = [need for need in MISSING if need in analysis.needs]  # what lacks all layers is said first
    if not isinstance(run, Sequence):
        return [MISSING[need] for need in needs if not _offers(run, need)]
    return [f"{each.name}: {MISSING[need]}" for need in needs for each in run if not _offers(each, need)]


def _offers(run: Run, need: Need) -> bool:
    offers: dict[Need, Callable[[], bool]] = {
        "layers": lambda: bool(run.layers),
        "metrics": lambda: bool(run.metrics),
        "sample": lambda: run.sample is not None,
        "image": lambda: bool(image_layers(run)),
        "masks": lambda: bool(run.masks(int(run.steps[-1]))),
        "evaluate": lambda: True,  # what makes it says why where it cannot
    }
    return offers[need]()


def _evaluator(run: Run | Sequence[Run], given: Given) -> Evaluator | Evaluate:
    if given.evaluate is None:
        raise NotFoundError("The network has to run again for this. From Python, give evaluate=wdyn.evaluator.")
    return given.evaluate if isinstance(run, Sequence) else given.evaluate(run)


def once(evaluate: Evaluate | None) -> Evaluate | None:
    """The same, called once for all analyses of a run; an error is raised each time."""
    if evaluate is None:
        return None
    known: list[tuple[Run, Evaluator]] = []

    def get(run: Run) -> Evaluator:
        found = next((evaluator for of, evaluator in known if of is run), None)
        if found is None:
            found = evaluate(run)
            known.append((run, found))
        return found

    return get


def _silent(fraction: float) -> None:
    """Progress that nobody watches."""
