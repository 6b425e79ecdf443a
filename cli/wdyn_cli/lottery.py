"""`wdyn lottery`: a user's experiment in, a ticket with its controls out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wdyn_cli.choices import FilePath
from wdyn_cli.progress import progress


def _rates(ctx: click.Context, option: click.Parameter, words: tuple[str, ...]) -> Any:
    """One number for all, or globs to numbers; the number for all fits last, wherever it was given."""
    found: dict[str, float] = {}
    for word in words:
        glob, equals, number = word.rpartition("=")
        try:
            found[glob if equals else "*"] = float(number)
        except ValueError:
            raise click.BadParameter(f"{word!r} is neither 0.2 nor GLOB=0.1", ctx, option) from None
    if "*" in found:
        found["*"] = found.pop("*")
    return found["*"] if list(found) == ["*"] else found or None


@click.command()
@click.argument("experiment", type=FilePath(exists=True, dir_okay=False, path_type=Path), metavar="EXPERIMENT.py")
@click.option("--data", type=FilePath(exists=True, path_type=Path), metavar="PATH", help="Given to make_data(path).")
@click.option("--rounds", type=click.IntRange(min=1), default=10, show_default=True, help="How often to prune.")
@click.option(
    "--rate", multiple=True, callback=_rates, metavar="[GLOB=]SHARE",
    help="Share of the weights left that goes in each round (repeatable); default the experiment's RATE, else 0.2.",
)  # fmt: skip
@click.option(
    "--rewind-to", type=click.IntRange(min=0), default=0, show_default=True, help="Step survivors go back to."
)
@click.option(
    "--optimizer-state", type=click.Choice(["fresh", "rewound"]), default="fresh", show_default=True,
    help="What the optimizer remembers of the steps before --rewind-to.",
)  # fmt: skip
@click.option("--one-shot", is_flag=True, help="Choose every round's mask from the dense run.")
@click.option("--structured", type=click.Choice(["l1", "l2"]), help="Whole neurons or filters, by this norm.")
@click.option(
    "--scope", type=click.Choice(["layer", "global"]), default="layer", show_default=True, help="Rank within."
)
@click.option(
    "--criterion", type=click.Choice(["magnitude", "magnitude_increase", "movement", "random"]), default="magnitude",
    show_default=True, help="What speaks for a weight.",
)  # fmt: skip
@click.option("--exclude", multiple=True, metavar="GLOB", help="A parameter or module to leave alone (repeatable).")
@click.option("--early-stop", metavar="METRIC", help="Stop where this logged metric was lowest.")
@click.option("--controls", type=click.IntRange(min=0), default=0, show_default=True, help="Runs of each control.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything random.")
@click.option(
    "--folder", type=FilePath(file_okay=False, path_type=Path), help="Default checkpoints/<experiment>-lottery"
)
def lottery(experiment: Path, data: Path | None, folder: Path | None, controls: int, **options: Any) -> None:
    """Find a winning ticket in the network that EXPERIMENT.py makes and trains, every round recorded.

    The file defines make_model(), make_data() and train(model, data, recorder). The same command again goes on where
    the last one stopped.
    """
    from wdyn.tickets.lottery import read_experiment, run_lottery, told

    with progress() as tell:
        found = run_lottery(
            read_experiment(experiment, data), folder=folder, controls=controls, progress=tell, **options
        )
    click.echo(told(found))
