"""Many tests at once: how many of those that are claimed may be false."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Array


def adjusted(chances: Array) -> Array:
    """Chances corrected for their number: claiming all that are at most q, a share of at most q is false on average.

    Args:
        chances: p-values of any shape; NaN stands for no test.

    Returns:
        Of that shape, each at least what it was and at most 1; NaN where there was no test.

    Source:
        Benjamini & Hochberg, Controlling the false discovery rate, J. R. Stat. Soc. B 57 (1995). It holds for
        independent tests and for those that depend on one another positively.
    """
    found = np.full(np.shape(chances), np.nan)
    tested = np.isfinite(chances)
    values = np.asarray(chances, dtype=np.float64)[tested]
    order = np.argsort(values)[::-1]
    scaled = values[order] * len(values) / np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    found[tested] = corrected
    return found
