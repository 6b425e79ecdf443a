"""`wdyn demo`: the whole product in about a minute."""

from __future__ import annotations

import click

from wdyn_cli.progress import progress
from wdyn_cli.replayed import evaluate_with


@click.command()
@click.option("--quick", is_flag=True, help="At most 40 steps, PCA in place of UMAP: seconds.")
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
def demo(quick: bool, show: bool) -> None:
    """Train a small network, record it, find two tickets, write reports/demo.html and reports/demo-tickets.html."""
    from wdyn.demo import run_demo

    with progress() as tell:
        made = run_demo(quick=quick, evaluate=evaluate_with(), progress=tell)
    click.echo(f"run:     {made.run}\npage:    {made.page}  (open it in a browser)")
    click.echo(f"tickets: {' '.join(map(str, made.tickets))}\npage:    {made.comparison}")
    if show:
        click.launch(str(made.page))
