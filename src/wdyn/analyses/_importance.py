"""What single units do: their selectivity, since when they are important, and whether chance could do that."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Array


def class_selectivity(class_mean: Array) -> Array:
    """How much more active a unit is for its favourite class than for the mean of the others.

    (μmax - μ-max)/(μmax + μ-max), with μmax the largest class mean of the unit's activity.

    Args:
        class_mean: (C, N) mean activity on the examples of each class; a class without examples is NaN and left out.

    Returns:
        (N,) float64 in [0, 1]: 0 for a unit that answers all classes alike, 1 for one that answers a single class.
        NaN where the index means nothing: fewer than two classes, a unit that is never active, or one of negative
        activity, as with tanh or GELU.

    Source:
        Morcos et al., On the importance of single directions for generalization (2018).
    """
    selectivity = np.full(class_mean.shape[1], np.nan)
    present = class_mean[~np.isnan(class_mean).all(axis=1)]
    if len(present) < 2:
        return selectivity
    largest = present.max(axis=0)
    with np.errstate(invalid="ignore"):  # infinite activity means nothing
        others = (present.sum(axis=0) - largest) / (len(present) - 1)
    meant = (present >= 0).all(axis=0) & (largest > 0) & np.isfinite(largest)
    np.divide(largest - others, largest + others, out=selectivity, where=meant)
    return selectivity


def chance_of_exceeding(count: int, units: int, control: int) -> float:
    """Chance that at least `count` of some units exceed all units of a control, if all are exchangeable.

    The `count` largest of all must be units: C(m + n - k, n) / C(m + n, n) for k of m units and n of the control.

    Args:
        count: k, units above the largest of the control; 0 gives 1.
        units: m, at least k.
        control: n.

    Returns:
        Float in (0, 1].

    Source:
        Rosenbaum, On some two-sample non-parametric tests, Journal of the American Statistical Association 60 (1965).
    """
    turn = np.arange(count)
    return float(np.prod((units - turn) / (units + control - turn)))


def important_from(rise: Array, limit: float, steps: Array) -> Array:
    """First shown step from which on a unit does more damage than a limit, to the end.

    Args:
        rise: (T, N) loss rise without the unit.
        limit: largest rise of any unit of the untrained network; NaN where that is not known.
        steps: (T,) the shown steps.

    Returns:
        (N,) float64 step numbers; NaN for a unit that is not above the limit at the last step.
    """
    above = rise > limit
    lasting = np.logical_and.accumulate(above[::-1], axis=0).sum(axis=0)  # how many of the last steps
    since = np.asarray(steps, dtype=np.float64)[np.minimum(len(steps) - lasting, len(steps) - 1)]
    return np.where(lasting > 0, since, np.nan)
