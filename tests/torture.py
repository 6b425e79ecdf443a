"""How often to repeat what breaks things at random: seldom in a normal run of the tests, often with WDYN_TORTURE=1."""

from __future__ import annotations

import os


def times(few: int, many: int) -> int:
    """`many` where WDYN_TORTURE is set, else `few`."""
    return many if os.environ.get("WDYN_TORTURE", "0") not in ("", "0") else few
