"""What a Recorder says when something goes wrong: each thing once, as a warning, and never as an exception."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from pathlib import Path

from wdyn.journal.scan import segments
from wdyn.places import parts_folder
from wdyn.record.journal import Journal
from wdyn.record.missing import Missing

MOST_ROWS = 20  # stretches of missing steps that are listed one by one


class Complaints:
    """Warnings about one run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: set[str] = set()

    def once(self, text: str, detail: str = "") -> None:
        """Warn, unless the text was said before; the detail may differ."""
        if text in self._said:
            return
        self._said.add(text)
        sentence = f"{self._path}: {text.rstrip('.')}" + (f" ({detail})." if detail else ".")
        try:
            warnings.warn(sentence, stacklevel=2)
        except Exception:  # a filter made it an error, or there is no stderr: neither may end the training
            with suppress(Exception):
                sys.stderr.write(f"{sentence}\n")

    def trouble(self, journal: Journal) -> None:
        """Warn that the disk refused something."""
        text = "wdyn could not write and tries again while training goes on; close() says what is missing"
        self.once(text, journal.trouble or "")

    def missing(self, journal: Journal) -> None:
        """Warn of all that is not in the journal and should be."""
        lost = [_describe(missing) for missing in journal.missing[:MOST_ROWS]]
        if more := journal.missing[MOST_ROWS:]:
            lost.append(f"{sum(missing.count for missing in more)} more steps from {more[0].first} to {more[-1].last}")
        if journal.lost_metrics:
            lost.append(f"what {journal.lost_metrics} calls of log() gave")
        lost += [f"the {kind.name.lower()}" for kind in journal.unwritten]
        if journal.lost_notes:
            lost.append(f"{journal.lost_notes} notes on the recording")
        if lost:
            self.once(f"these are missing: {'; '.join(lost)}")
        elif journal.trouble:
            self.once("wdyn could not write", journal.trouble)

    def unpacked(self, problem: str) -> None:
        """Warn that there is no run file."""
        folder = parts_folder(self._path)
        if segments(folder):
            left = f"What was recorded stands in {folder.name}, where wdyn.open_run finds it"
        else:
            left = f"The journal {folder.name} is gone, and what was recorded with it"
        self.once(f"packing failed: {problem.rstrip('.')}. {left}")


def _describe(missing: Missing) -> str:
    steps = f"step {missing.first}"
    if missing.count > 1:
        steps = f"{missing.count} steps from {missing.first} to {missing.last}"
    return f"{steps} ({missing.what}: {missing.reason})"
