"""`wdyn repair`: a readable file from a broken one."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wdyn_cli.choices import JSON, RUN_FILE, FilePath
from wdyn_cli.progress import progress


@click.command()
@RUN_FILE
@click.option("-o", "--output", type=FilePath(path_type=Path), help="New file; default <name>.repaired.h5 beside it.")
@JSON
def repair(run_file: Path, output: Path | None, as_json: bool) -> None:
    """Write all that is undamaged of RUN_FILE into a new run file."""
    from wdyn.store.repair import repair as repair_run

    with progress() as tell:
        done = repair_run(run_file, output, progress=tell)
    click.echo(json.dumps(done.to_dict(), indent=2) if as_json else str(done))
