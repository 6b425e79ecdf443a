"""`wdyn compare`: several runs in, one page out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Literal

import click

from wdyn_cli.choices import JOBS, LAYERS, SEED, TABLES, FilePath
from wdyn_cli.more import say_more
from wdyn_cli.progress import progress
from wdyn_cli.replayed import evaluate_with


@click.command()
@click.argument("run_files", type=FilePath(path_type=Path), nargs=-1, required=True, metavar="RUN RUN ...")
@click.option("--report", type=click.Choice(["html", "pdf", "json"]), default="html", show_default=True)
@click.option("--only", multiple=True, metavar="NAME", help="Run just this analysis, such as tickets (repeatable).")
@LAYERS
@JOBS
@SEED
@click.option("-o", "--output", type=FilePath(path_type=Path), help="File; default reports/<names joined>.html")
@TABLES
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
def compare(
    run_files: tuple[Path, ...],
    report: Literal["html", "pdf", "json"],
    only: tuple[str, ...],
    layers: tuple[str, ...],
    jobs: int,
    seed: int,
    output: Path | None,
    tables: bool,
    show: bool,
) -> None:
    """Compare runs, winning tickets above all, and write a page, the same as PDF, or the numbers as JSON."""
    from wdyn.report.build import build_comparison

    with progress() as tell:
        written = build_comparison(
            run_files, kind=report, only=only, layers=layers, seed=seed, jobs=jobs, evaluate=evaluate_with(),
            out=output, tables=tables, command=shlex.join(["wdyn", *sys.argv[1:]]), progress=tell,
        )  # fmt: skip
    click.echo(written)
    say_more(written, html=report == "html", tables=tables)
    if show:
        click.launch(str(written))
