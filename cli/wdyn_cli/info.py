"""`wdyn info`: what a file holds."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wdyn_cli.choices import JSON, RUN_FILE


@click.command()
@RUN_FILE
@JSON
def info(run_file: Path, as_json: bool) -> None:
    """Say what RUN_FILE holds and where it comes from."""
    from wdyn.store.describe import as_text, describe
    from wdyn.store.reader import open_run

    with open_run(run_file) as run:
        facts = describe(run)
    click.echo(json.dumps(facts, indent=2) if as_json else as_text(facts))
