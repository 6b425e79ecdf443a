"""Which neurons of a large layer are nodes of its similarity graph: those of largest norm at the last step shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdyn.analyses._charts import Array
from wdyn.analyses._neurons import pieces, row_norms

if TYPE_CHECKING:
    from wdyn.store.run import Run

MOST_NODES = 512
"""Nodes per layer; of a larger layer the neurons of largest norm."""


def largest(norms: Array, at_most: int) -> Array:
    """The rows of largest norm.

    Args:
        norms: (N,) float; 0 for a dead row, NaN for a non-finite one.
        at_most: how many to keep.

    Returns:
        (min(N, at_most),) int64, increasing. Ties go to the lower number; rows without direction come last.
    """
    order = np.argsort(-np.where(norms > 0, norms, 0.0), kind="stable")
    return np.sort(order[:at_most])


def graph_nodes(run: Run, layer: str, step: int, *, at_most: int = MOST_NODES) -> Array:
    """The neurons that stand for a layer: all, or those of largest norm at a step.

    Norms say nothing about directions where these are random, so bands and claims of that step hold for the neurons
    kept as for all. One exception: the longest rows of a uniform start lie near the corners of its cube. Of 100 of 400
    such rows, curves of components leave their band in 39 of 40 layers with 3 inputs and in 10 with 9, but with 27 no
    more often than they may.

    Args:
        run: the run.
        layer: a name of its layers.
        step: the step whose norms count; it is read only where not all neurons are kept.
        at_most: how many to keep.

    Returns:
        (n,) int64, increasing.
    """
    rows, columns = run.layers[layer].rows, run.layers[layer].columns
    if rows <= at_most:
        return np.arange(rows)
    parts = [row_norms(part) for _, part in pieces(run.neurons(layer, step), columns)]
    return largest(np.concatenate(parts), at_most)


def chosen_blindly(band: Array, *, all_shown: bool) -> Array:
    """A band only where the choice of neurons did not look ahead.

    Neurons that grew long may have done so because of where they pointed from the beginning: were they random then,
    they are not random as a choice. Of 100 of 400 random rows, nearest to one direction, the mean distance leaves its
    band nearly always; edges that chance does not give are seen in 7 of 200 such layers at most, where 2 are allowed.

    Args:
        band: (T, ...) float, of each step shown.
        all_shown: whether all neurons are nodes.

    Returns:
        The band; NaN before the last step where not all neurons are shown.
    """
    if all_shown:
        return band
    kept = np.full_like(band, np.nan)
    kept[-1] = band[-1]
    return kept


def said(kept: int, rows: int, step: int, *, of_each: str = "") -> str:
    """What a caption says of the choice; nothing where all neurons are shown."""
    if kept == rows:
        return ""
    return (
        f" The {kept:,} of largest norm{of_each} at step {step:,} of {rows:,} neurons; at the steps before, that "
        "choice alone can bring directions together."
    )
