"""Progress on stderr: a bar for a person, a line per stage for a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, float], None]


@contextmanager
def progress() -> Iterator[Report]:
    """Give a function that takes what is being done and which fraction of it, 0 to 1, is ready."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        stages: list[str] = []

        def report(stage: str, fraction: float) -> None:
            bar.update(task, description=stage, completed=fraction)
            if not console.is_terminal and stage not in stages:
                stages.append(stage)
                console.print(f"{stage} ...", highlight=False, markup=False)

        yield report
