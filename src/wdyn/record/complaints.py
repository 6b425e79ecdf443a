"""What a Recorder says when something goes wrong: each thing once, as a warning, and never as an exception."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from wdyn.record.writer import Journal, Missing


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
        sentence = f"{self._path}: {text}" + (f" ({detail})." if detail else ".")
        try:
            warnings.warn(sentence, stacklevel=2)
        except UserWarning:  # a filter made it an error, which must not end the training either
            sys.stderr.write(f"{sentence}\n")

    def trouble(self, journal: Journal) -> None:
        """Warn that the disk refused something."""
        text = "wdyn could not write and tries again while training goes on; close() says what is missing"
        self.once(text, journal.trouble or "")

    def missing(self, journal: Journal) -> None:
        """Warn of all that is not in the journal and should be."""
        lost = [_describe(missing) for missing in journal.missing]
        if journal.lost_metrics:
            lost.append(f"what {journal.lost_metrics} calls of log() gave")
        if lost:
            self.once(f"these are missing: {'; '.join(lost)}")
        elif journal.trouble:
            self.once("wdyn could not write", journal.trouble)


def _describe(missing: Missing) -> str:
    steps = f"step {missing.first}"
    if missing.count > 1:
        steps = f"{missing.count} steps from {missing.first} to {missing.last}"
    return f"{steps} ({missing.what}: {missing.reason})"
