"""How a run shows itself at a prompt and in a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, cast

from wdyn.store.describe import describe, printable, rows

if TYPE_CHECKING:
    from wdyn.store.run import Run


class Shown:
    """A run in words; mixed into Run."""

    def __repr__(self) -> str:
        """One line."""
        run = cast("Run", self)
        steps = f"{run.steps[0]} to {run.steps[-1]}" if len(run.steps) else "none"
        return f"<Run {printable(run.path.name, 80)}: {len(run.steps)} steps ({steps}), {len(run.layers)} layers>"

    def _repr_html_(self) -> str:
        """What `wdyn info` says, as a table; names are only ever text."""
        run = cast("Run", self)
        if not len(run.steps):
            return f"<code>{html.escape(repr(self))}</code>"
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(label)}</th>"
            f"<td style='text-align:left'>{html.escape(printable(text))}</td></tr>"
            for label, text in rows(describe(run))
        )
        return f"<table>{cells}</table>"
