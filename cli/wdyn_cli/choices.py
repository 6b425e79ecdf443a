"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

RUN_FILE = click.argument("run_file", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="For a program instead of a person.")


def analysis_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which analyses, on which layers and steps."""
    for option in reversed(
        [
            click.option("--only", multiple=True, metavar="NAME", help="Run just this analysis (repeatable)."),
            click.option("--layers", multiple=True, metavar="GLOB", help="Only layers of this name (repeatable)."),
            click.option("--steps", metavar="A:B:N", callback=_slice, help="Only recorded steps A to B, every Nth."),
            click.option("--quick", is_flag=True, help="PCA in place of UMAP: seconds instead of a minute."),
            click.option(
                "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For all that is random."
            ),
        ]
    ):
        command = option(command)
    return command


def _slice(ctx: click.Context, option: click.Parameter, text: str | None) -> slice | None:
    if text is None:
        return None
    try:
        numbers = [int(part) if part else None for part in text.split(":")]
        if not 2 <= len(numbers) <= 3 or (len(numbers) == 3 and numbers[2] is not None and numbers[2] < 1):
            raise ValueError
    except ValueError:
        raise click.BadParameter(f"{text!r} is not A:B or A:B:N, such as 0:1000:10 or ::5", ctx, option) from None
    return slice(*numbers)
