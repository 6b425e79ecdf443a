"""`wdyn figures`: the charts as files for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from wdyn_cli.choices import FilePath, analysis_options
from wdyn_cli.progress import progress
from wdyn_cli.replayed import evaluate_with


def _formats(ctx: click.Context, option: click.Parameter, text: str) -> tuple[str, ...]:
    known, chosen = ("pdf", "svg", "png"), tuple(dict.fromkeys(text.replace(" ", "").split(",")))
    if wrong := [name for name in chosen if name not in known]:
        raise click.BadParameter(f"{', '.join(map(repr, wrong))} is none of {', '.join(known)}", ctx, option)
    return chosen


_COLUMNS: dict[str | None, Literal[1, 2] | None] = {None: None, "1": 1, "2": 2}


@click.command()
@click.argument("run_files", type=FilePath(path_type=Path), nargs=-1, required=True, metavar="RUN [RUN ...]")
@click.option(
    "-f", "--formats", default="pdf", show_default=True, callback=_formats, help="One or more of pdf, svg and png."
)
@click.option(
    "--columns", type=click.Choice(["1", "2"]), help="Width of every figure; by default what suits the chart."
)
@analysis_options
@click.option("-o", "--output", type=FilePath(path_type=Path), help="Folder; default reports/<run name>-figures")
def figures(
    run_files: tuple[Path, ...],
    formats: tuple[str, ...],
    columns: Literal["1", "2"] | None,
    only: tuple[str, ...],
    layers: tuple[str, ...],
    steps: Any,
    jobs: int,
    quick: bool,
    seed: int,
    output: Path | None,
) -> None:
    """Write the charts of a run, or of a comparison of several, as figures and the tables as CSV."""
    from wdyn.report.figures import write_figures

    with progress() as tell:
        written = write_figures(
            run_files, formats=formats, columns=_COLUMNS[columns], only=only, layers=layers, steps=steps, quick=quick,
            seed=seed, jobs=jobs, evaluate=evaluate_with(), out=output, progress=tell,
        )  # fmt: skip
    click.echo("\n".join(map(str, written)))
