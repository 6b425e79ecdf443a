"""The command group and the one error boundary."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import click

from wdyn_cli.ablate import ablate
from wdyn_cli.analyze import analyze
from wdyn_cli.audit import audit
from wdyn_cli.check import check
from wdyn_cli.compare import compare
from wdyn_cli.demo import demo
from wdyn_cli.figures import figures
from wdyn_cli.info import info
from wdyn_cli.lottery import lottery
from wdyn_cli.plan import plan
from wdyn_cli.repair import repair
from wdyn_cli.verify import verify

INTERRUPTED = 130


class Boundary(click.Group):
    """Turns an error that wdyn explains into one sentence and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; only here are wdyn's errors caught."""
        from wdyn.errors import WdynError

        warnings.showwarning = _one_line
        try:
            return super().invoke(ctx)
        except WdynError as error:
            if ctx.params["debug"]:
                raise
            raise click.ClickException(" ".join([str(error), *getattr(error, "__notes__", ())])) from error
        except KeyboardInterrupt:
            if ctx.params["debug"]:
                raise
            click.echo("interrupted; nothing was left half written", err=True)
            ctx.exit(INTERRUPTED)


def _one_line(message: Warning | str, *_: object, **__: object) -> None:
    print(f"Warning: {message}", file=sys.stderr)  # noqa: T201, a warning belongs on stderr as one line


@click.group(cls=Boundary, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wdyn")
@click.option("--debug", is_flag=True, help="Show the full traceback of an error.")
def main(debug: bool) -> None:
    """See how a network learned, from a file that holds the weights of every step."""


for command in (ablate, analyze, audit, check, compare, demo, figures, info, lottery, plan, repair, verify):
    main.add_command(command)
