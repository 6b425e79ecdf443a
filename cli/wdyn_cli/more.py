"""What there is to say of a written report, on stderr."""

from __future__ import annotations

from pathlib import Path

import click


def say_more(report: Path, *, html: bool, tables: bool) -> None:
    """Size and largest parts of a page, where its tables are, and that older ones beside it are not its own."""
    if html:
        from wdyn.report.sizes import size_words

        click.echo(f"{report}: {size_words(report.read_bytes())}", err=True)
    from wdyn.report.csv_tables import MANIFEST, tables_folder

    folder = tables_folder(report)
    if tables:
        click.echo(f"tables: {folder}", err=True)
    elif (folder / MANIFEST).is_file():
        click.echo(f"{folder}: tables of an earlier report; --tables makes them anew", err=True)
