"""What the nulls say of one pair of masks in one layer, in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SAME = "the same mask"
NESTED = "one mask lies within the other, as the rounds of one search do"


def verdict(mismatch: str, relation: str, nulls: Mapping[str, tuple[float, float]], level: float) -> str:
    """The verdict on one layer of one pair.

    Args:
        mismatch: why it cannot be compared; empty where it can.
        relation: SAME, NESTED or empty.
        nulls: `uniform`, `units` and `initial` to z and corrected chance; NaN where a null does not apply.
        level: of a claim.
    """
    if mismatch:
        return f"not compared: {mismatch}"
    if relation:
        return relation
    if not np.isfinite(nulls["uniform"][1]):
        return "nothing to compare: a mask keeps all or nothing here"
    if nulls["uniform"][1] > level:
        return "no more alike than two random masks"
    reasons = {
        "units": "which inputs are kept, not which unit keeps them",
        "initial": "the magnitudes that both were born with and what they keep of units and inputs",
    }
    explained = [reason for null, reason in reasons.items() if nulls[null][1] > level]
    if explained:
        return f"alike, but no more than by {' or by '.join(explained)}"
    born = "" if np.isfinite(nulls["initial"][1]) else "; born with other weights"
    return f"alike beyond chance{born}"
