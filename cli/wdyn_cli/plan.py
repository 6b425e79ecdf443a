"""`wdyn plan`: what recording would cost."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wdyn_cli.choices import JSON, FilePath


@click.command()
@click.argument("model", metavar="MODULE:FUNCTION")
@click.option("--steps", type=click.IntRange(min=1), required=True, help="Updates of the training.")
@click.option("--schedule", default="every(1)", show_default=True, help="Also log_spaced(20), dense_then(100, 50).")
@click.option("--include", multiple=True, metavar="GLOB", help="Only these tensors or modules (repeatable).")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Not these (repeatable).")
@click.option("--max-bytes", type=click.FloatRange(min=1), metavar="BYTES", help="As of the Recorder, such as 2e9.")
@click.option("--folder", type=FilePath(exists=True, file_okay=False, path_type=Path), help="Where the run would be.")
@click.option("--no-trial", is_flag=True, help="Record no steps of it to see how long they take.")
@JSON
def plan(model: str, folder: Path | None, no_trial: bool, as_json: bool, **options: object) -> None:
    """Say what recording the network that FUNCTION makes would cost: bytes, room and time.

    MODULE is importable, as my.models, or a file, as my/models.py.
    """
    from wdyn.plan import plan as make_plan

    options["include"] = options["include"] or ("*",)
    made = make_plan(model, folder=folder, trial=not no_trial, **options)  # type: ignore[arg-type]
    click.echo(json.dumps(made.as_json(), indent=2) if as_json else made.as_text())
