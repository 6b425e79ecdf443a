"""`wdyn figures`: the charts as files for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wdyn_cli.choices import RUN_FILE, FilePath, analysis_options
from wdyn_cli.progress import progress
from wdyn_cli.replayed import evaluate_with


def _formats(ctx: click.Context, option: click.Parameter, text: str) -> tuple[str, ...]:
    known, chosen = ("pdf", "svg", "png"), tuple(dict.fromkeys(text.replace(" ", "").split(",")))
    if wrong := [name for name in chosen if name not in known]:
        raise click.BadParameter(f"{', '.join(map(repr, wrong))} is none of {', '.join(known)}", ctx, option)
    return chosen


@click.command()
@RUN_FILE
@click.option(
    "-f", "--formats", default="pdf", show_default=True, callback=_formats, help="One or more of pdf, svg and png."
)
@analysis_options
@click.option("-o", "--output", type=FilePath(path_type=Path), help="Folder; default reports/<run name>-figures")
def figures(
    run_file: Path,
    formats: tuple[str, ...],
    only: tuple[str, ...],
    layers: tuple[str, ...],
    steps: Any,
    jobs: int,
    quick: bool,
    seed: int,
    output: Path | None,
) -> None:
    """Write the charts of RUN_FILE as figures and its tables as CSV."""
    from wdyn.report.figures import write_figures

    with progress() as tell:
        written = write_figures(
            run_file, formats=formats, only=only, layers=layers, steps=steps, quick=quick, seed=seed, jobs=jobs,
            evaluate=evaluate_with(), out=output, progress=tell,
        )  # fmt: skip
    click.echo("\n".join(map(str, written)))
