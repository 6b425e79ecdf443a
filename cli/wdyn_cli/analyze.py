"""`wdyn analyze`: one run in, one page out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any, Literal

import click

from wdyn_cli.choices import RUN_FILE, TABLES, FilePath, analysis_options
from wdyn_cli.more import say_more
from wdyn_cli.progress import progress
from wdyn_cli.replayed import evaluate_with


@click.command()
@RUN_FILE
@click.option("--report", type=click.Choice(["html", "pdf", "json"]), default="html", show_default=True)
@analysis_options
@click.option(
    "-o", "--output", type=FilePath(path_type=Path), help="File; default reports/<run name>.<html, pdf or json>"
)
@TABLES
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
def analyze(
    run_file: Path,
    report: Literal["html", "pdf", "json"],
    only: tuple[str, ...],
    layers: tuple[str, ...],
    steps: Any,
    jobs: int,
    quick: bool,
    seed: int,
    output: Path | None,
    tables: bool,
    show: bool,
) -> None:
    """Analyse RUN_FILE and write a page, the same as PDF, or its numbers as JSON."""
    from wdyn.report.build import build_report

    with progress() as tell:
        written = build_report(
            run_file, kind=report, only=only, layers=layers, steps=steps, quick=quick, seed=seed, jobs=jobs,
            evaluate=evaluate_with(), out=output, tables=tables, command=shlex.join(["wdyn", *sys.argv[1:]]),
            progress=tell,
        )  # fmt: skip
    click.echo(written)
    say_more(written, html=report == "html", tables=tables)
    if show:
        click.launch(str(written))
