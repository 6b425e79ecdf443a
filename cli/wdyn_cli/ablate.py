"""`wdyn ablate`: what each unit carries, replayed from the file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any, Literal

import click

from wdyn_cli.choices import RUN_FILE, FilePath, run_options
from wdyn_cli.progress import progress
from wdyn_cli.replayed import evaluate_with

ANALYSES = ("ablation", "pruning_curves", "redundancy", "subspace")


@click.command()
@RUN_FILE
@click.option(
    "--data", type=FilePath(exists=True, dir_okay=False, path_type=Path), metavar="FILE.npz",
    help="Arrays inputs and targets to score on, in place of the recorded sample.",
)  # fmt: skip
@click.option(
    "--model",
    metavar="MODULE:FUNCTION",
    help="package.module:make_model or file.py:make_model, in place of the program.",
)
@click.option(
    "--mode", type=click.Choice(["zero", "mean", "row", "remove"]), default="zero", show_default=True,
    help="What happens to a unit that goes, in the section on single units; 'zero' in the others.",
)  # fmt: skip
@click.option("--report", type=click.Choice(["html", "json"]), default="html", show_default=True)
@click.option("--only", multiple=True, type=click.Choice(ANALYSES), help="Just this analysis (repeatable).")
@run_options
@click.option("-o", "--output", type=FilePath(path_type=Path), help="File; default reports/<run name>-ablation.html")
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
def ablate(
    run_file: Path,
    data: Path | None,
    model: str | None,
    mode: Literal["zero", "mean", "row", "remove"],
    report: Literal["html", "json"],
    only: tuple[str, ...],
    layers: tuple[str, ...],
    steps: Any,
    jobs: int,
    seed: int,
    output: Path | None,
    show: bool,
) -> None:
    """Run the network in RUN_FILE again without some of its units, and write what each of them carries."""
    from wdyn.places import default_report
    from wdyn.report.build import build_report

    with progress() as tell:
        written = build_report(
            run_file, kind=report, only=only or ANALYSES, layers=layers, steps=steps, seed=seed, jobs=jobs,
            evaluate=evaluate_with(data, model), mode=mode, command=shlex.join(["wdyn", *sys.argv[1:]]),
            out=output or default_report(run_file, f"-ablation.{report}"), progress=tell,
        )  # fmt: skip
    click.echo(written)
    if show:
        click.launch(str(written))
