"""Steps that should have been recorded and were not, and how a journal says so."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass
class Missing:
    """Kept steps in a row that were not recorded.

    Attributes:
        what: `gap` where writing failed, `skipped` where the queue was full.
        reason: why.
        first: first of the steps.
        last: last of them.
        count: how many; fewer than last - first + 1 where the schedule keeps only some.
    """

    what: str
    reason: str
    first: int
    last: int
    count: int = 1

    def extend(self, other: Missing) -> bool:
        """Add steps that follow at once; False where they are missing for another reason."""
        if (self.what, self.reason) != (other.what, other.reason):
            return False
        self.last, self.count = other.last, self.count + other.count
        return True

    def note(self) -> bytes:
        """The payload of its NOTE frame."""
        return note(self.what, self.reason, (self.first, self.last))


def note(what: str, reason: str, steps: tuple[int, int] | None = None) -> bytes:
    """The payload of a NOTE frame."""
    return json.dumps({"what": what, "reason": reason} | ({"steps": steps} if steps else {})).encode()
