"""`wdyn verify`: every checksum."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wdyn_cli.choices import JSON, RUN_FILE
from wdyn_cli.progress import progress


@click.command()
@RUN_FILE
@JSON
def verify(run_file: Path, as_json: bool) -> None:
    """Check RUN_FILE against its checksums; status 1 if damaged."""
    from wdyn.store.verify import verify as verify_run

    with progress() as tell:
        report = verify_run(run_file, progress=lambda done: tell("verifying", done))
    click.echo(json.dumps(report.to_dict(), indent=2) if as_json else str(report))
    if not report.good:
        raise click.exceptions.Exit(1)
