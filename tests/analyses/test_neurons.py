from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses import _neurons
from wdyn.analyses._neurons import (
    alive,
    directions,
    every_block,
    live_rows,
    pieces,
    quantiles,
    row_norms,
    shown_steps,
    unit_rows,
)
from wdyn.errors import MisuseError

ODD = np.array([[3.0, 4.0], [0.0, -0.0], [np.nan, 1.0], [np.inf, 1.0], [-np.inf, np.nan], [0.0, -2.0]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_split_into_direction_and_length(dtype: type) -> None:
    unit, norms, live = directions(ODD.astype(dtype))
    assert unit.dtype == norms.dtype == np.float64
    assert_array_equal(norms, [5, 0, np.nan, np.nan, np.nan, 2])
    assert_array_equal(live, [True, False, False, False, False, True])
    assert_allclose(unit, [[0.6, 0.8], [0, 0], [0, 0], [0, 0], [0, 0], [0, -1]], rtol=1e-15)


@pytest.mark.parametrize("scale", [5e-324, 1e-200, 1e-45, 1e30, 3e38, 1e200, 5e307], ids=lambda scale: f"{scale:g}")
def test_tiny_and_huge_rows_keep_direction_and_length(scale: float) -> None:
    rows = np.array([[0.75, 1.0, 0.0]]) * scale  # squares overflow or underflow; 5e-324 rounds to (1, 1, 0)
    exact = np.hypot(*rows[0, :2])  # hypot scales by itself
    assert_allclose(directions(rows).norms, exact, rtol=1e-15)
    assert_allclose(row_norms(rows), exact, rtol=1e-15)
    # at the edge of the subnormal numbers the entries themselves hold few digits, the direction is that of the entries
    assert_allclose(unit_rows(rows), rows / rows.max() / np.hypot(*(rows[0, :2] / rows.max())), rtol=1e-15)


def test_subnormal_and_large_float32_rows() -> None:
    rows = np.array([[1e-45, 0], [1e30, 1e30], [3e38, -3e38]], dtype=np.float32)
    assert_allclose(row_norms(rows), np.hypot(*rows.astype(np.float64).T), rtol=1e-15)
    assert alive(rows).all()


def test_a_length_beyond_float64_is_infinite() -> None:
    rows = np.full((1, 4), 1.5e308)
    assert_array_equal(row_norms(rows), [np.inf])
    assert_allclose(unit_rows(rows), 0.5, rtol=1e-15)


def test_row_norms_of_odd_rows() -> None:
    assert_array_equal(row_norms(ODD), [5, 0, np.nan, np.nan, np.nan, 2])
    assert_array_equal(row_norms(ODD[None, None])[0, 0], [5, 0, np.nan, np.nan, np.nan, 2])


def test_leading_axes_are_batched(rng: np.random.Generator) -> None:
    block = rng.normal(size=(4, 5, 3)).astype(np.float32)
    block[1, 2] = 0
    each = [directions(vectors) for vectors in block]
    for field, together in zip(zip(*each, strict=True), directions(block), strict=True):
        assert_array_equal(together, np.stack(field))


def test_unit_rows_names_the_rows_without_direction() -> None:
    with pytest.raises(
        MisuseError, match=r"^1 of 6 neuron rows have zero norm \(first: row 1\). Drop them with live_r"
    ):
        unit_rows(ODD)
    with pytest.raises(MisuseError, match=r"^3 of 5 neuron rows have NaN or infinite entries \(first: row 1\)"):
        unit_rows(np.delete(ODD, 1, axis=0))


def test_live_rows_keep_order_and_dtype() -> None:
    kept = live_rows(ODD.astype(np.float16))
    assert kept.dtype == np.float16
    assert_array_equal(kept, [[3, 4], [0, -2]])


@pytest.mark.parametrize("count", [1, 2, 3, 30, 59, 60, 61, 100, 2001])
@pytest.mark.parametrize("gap", [1, 100])
def test_shown_steps_are_unique_and_keep_both_ends(count: int, gap: int) -> None:
    at = shown_steps(np.arange(count) * gap + 7, 60)
    assert len(at) == min(count, 60)
    assert at[0] == 0
    assert at[-1] == count - 1
    assert (np.diff(at) > 0).all()


def test_shown_steps_are_denser_at_the_start() -> None:
    at = shown_steps(np.arange(2001), 60)
    gaps = np.diff(at)
    assert gaps[0] == 1
    assert gaps[-1] > 100
    assert (at < 200).sum() > 30
    # rounding to whole positions lets a gap shrink by at most one
    assert (np.diff(gaps) >= -1).all()


def test_shown_steps_follow_step_numbers_not_positions() -> None:
    steps = np.unique(np.geomspace(1, 1e6, 400).round().astype(np.int64))  # already log-spaced
    gaps = np.diff(shown_steps(steps, 40))
    assert gaps.max() <= 2 * np.median(gaps)


def test_shown_steps_of_one_odd_gap() -> None:
    steps = np.array([0, 1, 2, 3, 1000, 1001, 1002, 1003, 1004])
    at = shown_steps(steps, 5)
    assert len(at) == 5
    assert_array_equal(at[[0, -1]], [0, 8])
    assert (np.diff(at) > 0).all()


def test_shown_steps_leave_room_for_the_last_ones() -> None:
    # the geometric place after step 0 is step 9, nearest to position 3, but three more positions are wanted
    assert_array_equal(shown_steps(np.array([0, 1, 2, 3, 1000]), 4), [0, 2, 3, 4])


def test_pieces_cover_the_block_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_neurons, "WORK_NUMBERS", 100)
    block = np.arange(10 * 2 * 3).reshape(10, 2, 3)
    parts = list(pieces(block, 25))
    assert [part for part, _ in parts] == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert_array_equal(np.concatenate([piece for _, piece in parts]), block)
    assert len(list(pieces(block, 1000))) == 10  # a step larger than the limit still comes, alone


def test_every_block_reports_progress() -> None:
    run = MemoryRun({"a": np.zeros((5, 2, 3)), "b": np.zeros((5, 4, 1))}, block=2)
    told: list[float] = []
    seen = [(j, layer, at, block.shape) for j, layer, at, block in every_block(run, told.append)]
    assert seen == [
        (0, "a", 0, (2, 2, 3)), (0, "a", 2, (2, 2, 3)), (0, "a", 4, (1, 2, 3)),
        (1, "b", 0, (2, 4, 1)), (1, "b", 2, (2, 4, 1)), (1, "b", 4, (1, 4, 1)),
    ]  # fmt: skip
    assert_allclose(told, [0.24, 0.48, 0.6, 0.76, 0.92, 1.0], rtol=1e-15)


@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning")
def test_quantiles_agree_with_numpy(rng: np.random.Generator) -> None:
    values = rng.normal(size=(6, 11))
    values[1, 3:] = np.nan
    values[2, 1:] = np.nan
    values[3] = np.nan
    for share, found in zip((0.1, 0.5, 0.9), quantiles(values, (0.1, 0.5, 0.9)), strict=True):
        # numpy interpolates with the same formula in another order
        assert_allclose(found, np.nanquantile(values, share, axis=-1), rtol=1e-13, atol=1e-15)
