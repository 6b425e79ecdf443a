from __future__ import annotations

import numpy as np

from wdyn.store.kept import Kept

TRUTH = np.arange(20 * 6, dtype=np.float32).reshape(20, 2, 3)  # 24 bytes a step


class Asked:
    """Reads from TRUTH and remembers what was asked for."""

    def __init__(self) -> None:
        self.positions: list[int] = []

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        self.positions += positions.tolist()
        return TRUTH[positions]


def test_a_step_is_fetched_once_while_there_is_room_and_the_first_stay() -> None:
    kept, asked = Kept(5 * 24 + 23), Asked()
    for positions, fetched in (
        ([3, 4, 5], [3, 4, 5]),
        ([0, 3, 5, 7, 8, 9], [0, 7, 8, 9]),  # 0 and 7 take the last places
        ([0, 3, 4, 5, 7], []),
        ([7, 8, 9], [8, 9]),
    ):
        asked.positions.clear()
        np.testing.assert_array_equal(kept.read("w", np.array(positions), asked), TRUTH[positions])
        assert asked.positions == fetched


def test_parts_of_a_tensor_do_not_mix() -> None:
    kept = Kept(1000)
    kept.read(("w", 0, 1), np.array([1]), lambda at: TRUTH[at, :1])
    np.testing.assert_array_equal(kept.read(("w", 1, 2), np.array([1]), lambda at: TRUTH[at, 1:]), TRUTH[[1], 1:])


def test_what_is_returned_belongs_to_the_caller() -> None:
    kept, asked = Kept(1000), Asked()
    for _ in range(3):
        values = kept.read("w", np.array([2, 6]), lambda at: asked(at).copy())
        np.testing.assert_array_equal(values, TRUTH[[2, 6]])
        values[:] = 0
    assert asked.positions == [2, 6]


def test_a_single_number_per_step() -> None:
    kept = Kept(1000)
    for _ in range(2):
        assert kept.read("scale", np.array([4, 5]), lambda at: at * 0.5).tolist() == [2.0, 2.5]
