"""Sections → one self-contained HTML file: no request, every name only ever text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from wdyn.analyses._charts import Chart, Lines
from wdyn.report.chart_data import ChartData, chart_data
from wdyn.report.codec import Blocks, packed_text
from wdyn.report.sections import Section
from wdyn.report.static_pictures import first_picture
from wdyn.report.static_tables import StaticTable, static_table
from wdyn.report.story import in_order
from wdyn.report.summary import initial_step, summarise
from wdyn.report.words import WORDS

PARTS = Path(__file__).with_name("page")

# every file defines functions only; main.js starts them
SCRIPTS = (
    "codec", "text", "state", "colour", "legend", "canvas",
    "points", "matrix", "heat", "history", "images", "lifelines", "curves",
    "graph_edges", "graph_force", "graph_draw", "graph_colour", "graph_drag", "graph_controls", "graph_words", "graph",
    "axes", "plot", "switches", "lines", "bars", "table",
    "picture", "save", "layers", "slots",
    "neuron",
    "time", "controls", "place", "main",
)  # fmt: skip

STYLES = ("style", "graph", "neuron", "charts")

THROUGH_TIME = ("points", "matrix", "graph")
SLIDER_STEPS = 200
STATIC_LAYERS = 3  # whose tables a slot has for readers without scripts


@dataclass(frozen=True)
class Slot:
    """One place on the page: a chart, or one chart per layer of which the layer picker shows one."""

    id: str
    kind: str
    charts: tuple[ChartData, ...]
    tables: tuple[StaticTable, ...]
    picture: str = ""  # SVG for readers without scripts; one in a section

    @property
    def is_wide(self) -> bool:
        """A sheet of images and a table of many columns take the whole width."""
        return self.kind == "images" or (self.kind == "table" and len(self.charts[0]["columns"]) > 5)

    @property
    def data(self) -> dict[str, Any]:
        """What the scripts are told."""
        return {"id": self.id, "kind": self.kind, "charts": list(self.charts)}


@dataclass(frozen=True)
class Panel:
    """A section with its slots: those that follow the slider as pictures, and the others."""

    section: Section
    stage: tuple[Slot, ...]
    slots: tuple[Slot, ...]


def render_page(facts: Mapping[str, Any], sections: Sequence[Section], steps: Sequence[int]) -> bytes:
    """The page.

    Args:
        facts: `provenance(...)`.
        sections: one per analysis.
        steps: the analysed optimizer steps.

    Returns:
        UTF-8 HTML. Equal arguments give equal bytes.
    """
    blocks = Blocks()
    panels = [_panel(section, blocks) for section in in_order(sections)]
    slots = [slot for panel in panels for slot in panel.stage + panel.slots]
    shown = _slider_steps(slots, steps)
    index = {
        "layers": [layer["name"] for layer in facts["layers"]],
        "neurons": [layer["rows"] for layer in facts["layers"]],
        "steps": shown,
        "epochs": _epochs(sections, shown),
        "range": {"first": steps[0], "last": steps[-1], "positive": next((step for step in steps if step > 0), None)},
        "slots": [slot.data for slot in slots],
    }
    script = '"use strict";\n(() => {\n' + "\n".join(_part(f"{name}.js") for name in SCRIPTS) + "})();\n"
    html = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            facts=facts,
            panels=panels,
            summary=summarise((panel.section for panel in panels), first_step=initial_step(facts, steps)),
            below=sorted((panel for panel in panels if panel.slots or not panel.stage), key=_place_below),
            index=packed_text(as_json(index)),
            data=blocks.to_text(),
            plotly=packed_text(_plotly()) if any(slot.kind in ("lines", "bars") for slot in slots) else "",
            style="\n".join(_part(f"{name}.css") for name in STYLES),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )
    return html.encode("utf-8", "backslashreplace")


def as_json(value: Any) -> bytes:
    """Compact JSON; packed, no name in it can end the script element it stands in."""
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def _panel(section: Section, blocks: Blocks) -> Panel:
    try:
        encoded = [(chart, chart_data(chart, blocks)) for chart in section.charts]
        slots = _slots(section.name, encoded)
    except Exception as error:  # a chart that breaks its promise costs its own section only
        return Panel(section.failed(error), (), ())
    stage = tuple(slot for slot in slots if slot.kind in THROUGH_TIME)
    return Panel(section, stage, tuple(slot for slot in slots if slot.kind not in THROUGH_TIME))


def _slots(name: str, encoded: Sequence[tuple[Chart, ChartData]]) -> list[Slot]:
    """The first chart of a kind of every layer share a slot, so do the second ones; a chart of no layer has its own."""
    grouped: dict[tuple[Any, ...], list[tuple[Chart, ChartData]]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for at, (chart, data) in enumerate(encoded):
        kind, layer = data["kind"], data["layer"]
        key = (kind, "of all", at) if layer is None else (kind, "of each layer", seen[kind, layer])
        seen[kind, layer] += 1
        grouped.setdefault(key, []).append((chart, data))
    slots = [
        Slot(f"{name}-{at}", kind, tuple(d for _, d in pairs), tuple(static_table(c) for c, _ in pairs[:STATIC_LAYERS]))
        for at, ((kind, *_), pairs) in enumerate(grouped.items())
    ]
    drawn, picture = first_picture([pairs[0][0] for pairs in grouped.values()])
    return [replace(slot, picture=picture) if at == drawn else slot for at, slot in enumerate(slots)]


def _slider_steps(slots: Sequence[Slot], steps: Sequence[int]) -> list[int]:
    """Every step some picture shows; without pictures, recorded steps evenly thinned."""
    shown = {step for slot in slots if slot.kind in THROUGH_TIME for chart in slot.charts for step in chart["steps"]}
    if shown:
        return sorted(shown)
    places = np.linspace(0, len(steps) - 1, min(len(steps), SLIDER_STEPS)).round().astype(int)
    return [steps[at] for at in np.unique(places)]


def _epochs(sections: Sequence[Section], shown: Sequence[int]) -> list[float | None] | None:
    """The epoch at each shown step, the last one logged by then; None where no `epoch` was logged."""
    scalars = [c for s in sections if s.name == "metrics" for c in s.charts if isinstance(c, Lines)]
    epoch = next((chart for chart in scalars if chart.title.lower() == "epoch"), None)
    if epoch is None:
        return None
    (values,) = epoch.y.values()
    at = np.searchsorted(epoch.x, shown, side="right") - 1
    return [float(values[i]) if i >= 0 and np.isfinite(values[i]) else None for i in at]


def _place_below(panel: Panel) -> int:
    """What else belongs to the pictures stands right below them, and what went wrong last."""
    return 2 if panel.section.status != "ok" else 0 if panel.stage else 1


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PARTS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= WORDS
    return environment


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _plotly() -> bytes:
    from plotly.offline import get_plotlyjs

    return bytes(get_plotlyjs(), "utf-8")
