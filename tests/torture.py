"""How often to repeat what breaks things at random: seldom in a normal run of the tests, often with WDYN_TORTURE=1."""

from __future__ import annotations

import os


def times(few: int, many: int) -> int:
    """`many` where WDYN_TORTURE is set, else `few`."""
    return many if os.environ.get("WDYN_TORTURE", "0") not in ("", "0") else few


def tell(text: str) -> None:
    """Add a line to what `make torture` prints at its end; without WDYN_TORTURE_REPORT nothing happens."""
    if report := os.environ.get("WDYN_TORTURE_REPORT"):
        with open(report, "a") as file:
            file.write(f"{text}\n")
