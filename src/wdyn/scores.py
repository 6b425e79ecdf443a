"""The words that a network which runs again and the analyses that question it have in common."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Mode = Literal["zero", "mean", "row", "remove"]
Kind = Literal["neuron", "channel", "head", "hidden unit"]


class Place(NamedTuple):
    """Where units can go: the outputs of a layer, after the activation function that follows it.

    Attributes:
        name: of the layer, as in `run.layers` where its weight rows are the units; heads of attention and the hidden
            units of recurrent layers go by the module's path.
        units: N, how many there are.
        kind: what one of them is.
    """

    name: str
    units: int
    kind: Kind


class Scores(NamedTuple):
    """What M variants of a network score on all examples.

    Attributes:
        loss: (M,) float64, mean over the examples: cross-entropy in nats for classes, else mean squared error.
        score: (M,) float64, higher is better: accuracy in [0, 1], or what the user's own metric gives; NaN for targets
            that are no classes, unless there is such a metric.
        class_score: (M, C) float64, accuracy on the examples of each class; NaN for a class without any. C is 0 where
            targets are no classes.
        loss_error: (M,) float64, standard error over the examples of the loss minus that of the intact network.
    """

    loss: Array
    score: Array
    class_score: Array
    loss_error: Array


class Activity(NamedTuple):
    """How active the units of one place are, after the activation function, averaged over positions if there are any.

    Attributes:
        mean: (N,) float64, over all examples.
        class_mean: (C, N) float64, over the examples of each class; NaN for a class without any.
    """

    mean: Array
    class_mean: Array


class Examples(NamedTuple):
    """What a network gives on each example.

    Attributes:
        loss: (B,) float64.
        right: (B,) float64 in [0, 1], share of the example's positions that are right; None where targets are no
            classes.
    """

    loss: Array
    right: Array | None
