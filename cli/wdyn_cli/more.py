"""What there is to say of a written report, on stderr."""

from __future__ import annotations

from pathlib import Path

import click


def say_more(report: Path, *, html: bool, tables: bool) -> None:
    """Size and largest parts of a page, and where its tables are."""
    if html:
        from wdyn.report.sizes import size_words

        click.echo(f"{report}: {size_words(report.read_bytes())}", err=True)
    if tables:
        from wdyn.report.csv_tables import tables_folder

        click.echo(f"tables: {tables_folder(report)}", err=True)
