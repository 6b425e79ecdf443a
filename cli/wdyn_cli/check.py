"""`wdyn check`: the proof, on the user's own script, that recording changes nothing."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from wdyn_cli.choices import JSON, FilePath
from wdyn_cli.progress import progress


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("script", type=FilePath(exists=True, dir_okay=False, path_type=Path), metavar="SCRIPT.py")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
@click.option(
    "--steps", type=click.IntRange(min=1), default=50, show_default=True,
    help="Updates to compare. As many again are timed, then each run is ended, wherever the script is.",
)  # fmt: skip
@JSON
def check(script: Path, arguments: tuple[str, ...], steps: int, as_json: bool) -> None:
    """Prove that recording changes nothing in the training of SCRIPT.py, and measure what it costs.

    Runs the script three times, each in a process of its own: without recording, with it, and without again. Its own
    Recorder is used, but writes to a temporary folder. Each run ends when enough was seen, or when the script closes
    its Recorder. What follows SCRIPT.py is given to the script; options of wdyn stand before it. Status 0 if all is
    identical, else 1.
    """
    from wdyn.record.checking import check_script

    with progress() as tell:
        proof = check_script(script, arguments, updates=steps, progress=tell, said=partial(click.echo, err=True))
    click.echo(json.dumps(proof.to_dict(), indent=2) if as_json else str(proof))
    if not proof.identical:
        raise click.exceptions.Exit(1)
