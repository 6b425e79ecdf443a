"""Neuron rows by their definition, one weight at a time."""

import itertools

import numpy as np


def first_axis(weight: np.ndarray) -> np.ndarray:
    """Row n holds every weight whose first index is n, last index fastest."""
    return np.array(
        [[weight[i] for i in itertools.product([n], *map(range, weight.shape[1:]))] for n in range(len(weight))]
    )


def transposed_convolution(weight: np.ndarray, groups: int) -> np.ndarray:
    """Row c holds the weights that reach output channel c, by input channel of its group, then kernel position.

    `weight` is (in, out / groups, *kernel); input channel i belongs to group i // (in / groups), and its weights
    `weight[i, j]` reach output channel j + group * (out / groups).
    """
    inputs, per_group = weight.shape[:2]
    rows: list[list[float]] = [[] for _ in range(per_group * groups)]
    for i, j in itertools.product(range(inputs), range(per_group)):
        group = i // (inputs // groups)
        rows[j + group * per_group].extend(weight[i, j].ravel().tolist())
    return np.array(rows, dtype=weight.dtype)
