"""`wdyn demo`: the whole product in about a minute."""

from __future__ import annotations

import click

from wdyn_cli.progress import progress
from wdyn_cli.replayed import evaluate_with


@click.command()
@click.option("--quick", is_flag=True, help="At most 40 steps, PCA in place of UMAP: seconds.")
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
def demo(quick: bool, show: bool) -> None:
    """Train a small network, record it, write reports/demo.html."""
    from wdyn.demo import run_demo

    with progress() as tell:
        run, page = run_demo(quick=quick, evaluate=evaluate_with(), progress=tell)
    click.echo(f"run:  {run}\npage: {page}  (open it in a browser)")
    if show:
        click.launch(str(page))
