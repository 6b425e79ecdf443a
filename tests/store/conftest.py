from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

Arrays = dict[int, dict[str, np.ndarray]]


@pytest.fixture
def walk(rng) -> Callable[..., Arrays]:
    """Make arrays by step that drift like weights: `walk({"fc1.weight": (3, 4)}, steps=range(5))`."""

    def make(shapes: dict[str, tuple[int, ...]], steps=range(3), dtype: str = "float32") -> Arrays:
        start = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        return {
            step: {n: np.asarray(a + 1e-3 * rng.normal(size=a.shape)).astype(dtype) for n, a in start.items()}
            for step in steps
        }

    return make


SHAPES = {
    "fc1.weight": (7, 30), "fc1.bias": (7,), "conv.weight": (4, 3, 3, 3), "scale": (), "nothing": (0, 5),
    "wide.weight": (3, 2500),
}  # fmt: skip


@pytest.fixture
def arrays(walk) -> Arrays:
    """41 steps, not a multiple of a chunk's 32, with gaps in their numbers, of all shapes that matter."""
    return walk(SHAPES, steps=[*range(30), *range(30, 140, 10)])
