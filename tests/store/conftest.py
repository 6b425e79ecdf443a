from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.make_run import make_run

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


@pytest.fixture
def full_run(tmp_path, walk) -> Path:
    """A small run file with everything that a run can have, its weights in three chunks."""
    return make_run(
        tmp_path / "a.h5",
        walk({"fc1.weight": (3, 4), "up.weight": (4, 2, 3)}, steps=range(70)),
        metrics={"loss": {0: 1.0, 5: 2.0}, "lose": {0: 1.0, 5: 2.0}},
        masks={3: {"fc1.weight": np.eye(3, 4) > 0}},
        sample=(np.ones(2), np.ones(2)),
        program={"inputs": [], "nodes": []},
    )
