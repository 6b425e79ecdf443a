"""What an analysis may ask of a network that runs again: scores of a recorded step with some of its units gone.

`wdyn.replay` gives such an `Evaluator`; an analysis only sees numbers, so it needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from wdyn.scores import Activity, Array, Examples, Kind, Mode, Place, Scores

__all__ = ["Activity", "Evaluator", "Examples", "Kind", "Mode", "Network", "Place", "Scores"]


class Network(Protocol):
    """One recorded step, ready to be scored. The intact network scores `scores({})`, M = 1."""

    def scores(self, gone: Mapping[str, Array], mode: Mode = "zero") -> Scores:
        """Scores of M variants, each with some units gone.

        Args:
            gone: name of a place to (M, N) bool, True where a unit is gone; the same M for all of them.
            mode: `zero` clamps the unit's output to 0 after the activation function, `mean` to its mean over the
                examples, `row` sets its weight row to 0 and keeps the bias, `remove` takes row, bias and outgoing
                weights away.

        Returns:
            One value per variant. Variants that differ little from the one before are cheapest, so that a removal
            order (each variant has one unit less) and single units in a row cost the same.
        """

    def with_weights(self, replaced: Mapping[str, Array]) -> Scores:
        """Scores, M = 1, with some parameters replaced by arrays of the same shape, by recorded name."""

    def each(self, replaced: Mapping[str, Array]) -> Examples:
        """Loss and score of each example, with some of the evaluator's `tensors` replaced as in `with_weights`."""

    def statistics(self, replaced: Mapping[str, Array]) -> Mapping[str, Array]:
        """Running means and variances of normalisation layers as the data give them, by recorded name.

        They are those of a forward pass in train mode over the examples (as many as memory allows), with some of the
        evaluator's `tensors` replaced; empty for a network without such layers.
        """

    def activity(self, place: str) -> Activity:
        """Mean activity of the units of a place."""

    def features(self) -> Array:
        """(B, p) float, what the last layer reads, for an evaluator that has `labels`."""

    def taylor(self, place: str) -> Array:
        """(N,) float64, first-order estimate of how much the loss rises when a unit's output becomes 0.

        Source:
            Molchanov et al., Pruning convolutional neural networks for resource efficient inference (2017), signed:
            minus the mean over the examples of Σ activation x gradient of the loss.
        """


class Evaluator(Protocol):
    """A run whose network runs again on some data.

    Attributes:
        places: name to place, in the order of the forward pass; the network's own outputs are none.
        left_out: name of a layer to the reason its units cannot go.
        examples: number of examples.
        classes: C, or 0 where targets are no classes.
        score_name: `accuracy`, the name of the user's metric, or empty where there is only a loss.
        tensors: recorded names of the weights and buffers that the forward pass reads.
        labels: (B,) int, class of each example; None where examples have none, or where the outputs are not those of
            the run's last layer.
    """

    @property
    def places(self) -> Mapping[str, Place]:
        """See the class."""

    @property
    def left_out(self) -> Mapping[str, str]:
        """See the class."""

    @property
    def examples(self) -> int:
        """See the class."""

    @property
    def classes(self) -> int:
        """See the class."""

    @property
    def score_name(self) -> str:
        """See the class."""

    @property
    def tensors(self) -> Sequence[str]:
        """See the class."""

    @property
    def labels(self) -> Array | None:
        """See the class."""

    def at(self, step: int) -> Network:
        """The network as it was at one of the run's steps."""
