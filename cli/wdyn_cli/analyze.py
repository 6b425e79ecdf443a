"""`wdyn analyze`: one run in, one page out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Literal

import click

from wdyn_cli.choices import RUN_FILE, analysis_options
from wdyn_cli.progress import progress


@click.command()
@RUN_FILE
@click.option("--report", type=click.Choice(["html", "json"]), default="html", show_default=True)
@analysis_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write; default reports/<run name>.html")
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
def analyze(
    run_file: Path,
    report: Literal["html", "json"],
    only: tuple[str, ...],
    layers: tuple[str, ...],
    steps: slice | None,
    quick: bool,
    seed: int,
    output: Path | None,
    show: bool,
) -> None:
    """Run the analyses on RUN_FILE and write a report."""
    from wdyn.report.build import build_report

    with progress() as tell:
        written = build_report(
            run_file, kind=report, only=only, layers=layers, steps=steps, quick=quick, seed=seed, out=output,
            command=shlex.join(["wdyn", *sys.argv[1:]]), progress=tell,
        )  # fmt: skip
    click.echo(written)
    if show:
        click.launch(str(written))
