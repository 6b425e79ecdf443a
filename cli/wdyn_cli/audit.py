"""`wdyn audit`: is a ticket what it claims to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from wdyn_cli.choices import JSON, RUN_FILE
from wdyn_cli.progress import progress


def _step_of(ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[Path, int] | None:
    if text is None:
        return None
    file, _, step = text.rpartition(":")
    if not file or not step.isdecimal():
        raise click.BadParameter(f"{text!r} is no RUN:STEP, such as round-00.h5:0", ctx, option)
    return Path(file), int(step)


def _rates(ctx: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, float] | None:
    found = {}
    for text in texts:
        glob, _, rate = text.rpartition("=")
        try:
            found[glob or "*"] = float(rate)
        except ValueError:
            raise click.BadParameter(f"{text!r} is no rate, such as 0.2 or fc3=0.1", ctx, option) from None
    return found or None


@click.command()
@RUN_FILE
@click.option(
    "--start", metavar="RUN:STEP", callback=_step_of,
    help="Where survivors should start from, if RUN_FILE does not say or it lies elsewhere.",
)  # fmt: skip
@click.option(
    "--parent", metavar="RUN:STEP", callback=_step_of, help="The trained weights that gave the mask, likewise."
)
@click.option(
    "--rate", "rates", multiple=True, metavar="[GLOB=]RATE", callback=_rates,
    help="Share that goes in a round, likewise (repeatable; the first that fits holds).",
)  # fmt: skip
@click.option("--round", "number", type=click.IntRange(min=0), help="How often it was pruned, likewise.")
@JSON
def audit(
    run_file: Path, start: Any, parent: Any, rates: dict[str, float] | None, number: int | None, as_json: bool
) -> None:
    """Prove from RUN_FILE that a ticket is one; status 1 if a promise is broken or the file is damaged."""
    from wdyn.tickets.audit import audit as audit_run

    with progress() as tell:
        found = audit_run(
            run_file,
            start=start,
            parent=parent,
            rates=rates,
            round=number,
            progress=lambda done: tell("auditing", done),
        )
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else str(found))
    if not found.good:
        raise click.exceptions.Exit(1)
