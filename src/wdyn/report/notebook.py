"""The page inside a notebook."""

from __future__ import annotations

import html
import tempfile
from pathlib import Path
from typing import Any

from wdyn.report.build import build_comparison, build_report
from wdyn.store.run import Run

HEIGHT = 900  # pixels


class Page:
    """A page that a notebook displays.

    Attributes:
        html: the whole page, as `wdyn analyze` would write it.
    """

    def __init__(self, text: str) -> None:
        """Hold a page."""
        self.html = text

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, replacing an older one.

        Returns:
            The path.
        """
        Path(path).write_text(self.html, encoding="utf-8")
        return Path(path)

    def __repr__(self) -> str:
        """One line; the page itself is for notebooks and browsers."""
        return f"<wdyn page of {len(self.html) / 1e6:.1f} MB: display it in a notebook, or .save('page.html')>"

    def _repr_html_(self) -> str:
        """The page in a frame of its own: its styles and names stay inside."""
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts allow-downloads" '
            f'style="width:100%;height:{HEIGHT}px;border:0" title="wdyn"></iframe>'
        )


def report(run: Run | str | Path, *others: Run | str | Path, **options: Any) -> Page:
    """The page of a run, or of several compared, for a notebook.

    Args:
        run: an open run or the path of one.
        others: further runs, to compare it with.
        options: as for `build_report`, or `build_comparison` where there are others; not `out` and `kind`.

    Returns:
        A page that displays itself where it is a cell's last value.

    Raises:
        WdynError: as these do.
    """
    files = [each.path if isinstance(each, Run) else Path(each) for each in (run, *others)]
    with tempfile.TemporaryDirectory(prefix="wdyn-page-") as folder:
        target = Path(folder, "page.html")
        if others:
            build_comparison(files, out=target, **options)
        else:
            build_report(files[0], out=target, **options)
        return Page(target.read_text(encoding="utf-8"))
