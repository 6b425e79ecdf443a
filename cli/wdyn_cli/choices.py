"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class FilePath(click.Path):
    """A path that names something; the empty one would mean the working folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or wrong usage where it is empty."""
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


RUN_FILE = click.argument("run_file", type=FilePath(path_type=Path))
STEPS = "A:B from A up to B, A:B:N every Nth of them, every:N of all, log:K so many, denser early."
JSON = click.option("--json", "as_json", is_flag=True, help="For a program instead of a person.")


ONLY = click.option(
    "--only", multiple=True, metavar="NAME", help="Run just this analysis, such as frame_potential (repeatable)."
)
LAYERS = click.option("--layers", multiple=True, metavar="GLOB", help="Only layers of this name (repeatable).")
JOBS = click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes to work in.")
SEED = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything random.")
TABLES = click.option("--tables", is_flag=True, help="Also the numbers as CSV files, in a folder beside the report.")
QUICK = click.option("--quick", is_flag=True, help="At most 40 steps, PCA in place of UMAP: seconds.")


def analysis_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which analyses, on which layers and steps."""
    return ONLY(run_options(QUICK(command)))


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which layers and steps, and how."""
    steps = click.option("--steps", metavar="WHICH", callback=_steps, help=STEPS)
    return LAYERS(steps(JOBS(SEED(command))))


def _steps(ctx: click.Context, option: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    if match := re.fullmatch(r"log:(\d+)", text):
        if int(match[1]) < 2:
            raise click.BadParameter(f"{text!r} leaves no room for the first and the last step", ctx, option)
        from wdyn.report.analysing import LogSpaced

        return LogSpaced(int(match[1]))
    match = re.fullmatch(r"(-?\d*):(-?\d*)(?::(\d*))?", re.sub(r"^every:(?=\d)", "::", text))
    if match is None or (match[3] and int(match[3]) < 1):
        raise click.BadParameter(f"{text!r} is none of A:B, A:B:N, every:N and log:K, such as 0:1000:10", ctx, option)
    return slice(*(int(part) if part else None for part in match.groups()))
