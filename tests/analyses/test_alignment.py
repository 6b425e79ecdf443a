from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tests.reference import frame_potential as reference
from wdyn.analyses import _alignment
from wdyn.analyses._alignment import alignment, compared
from wdyn.analyses.frame_potential import frame_potential

SHAPES = [(1, 1), (1, 4), (4, 1), (3, 5), (5, 3), (40, 7)]

# Products of float32 weights are taken in float32, each right to 6e-8; float64 differs in the order of addition only.
PRECISION = {np.float16: 1e-6, np.float32: 1e-6, np.float64: 1e-12}


@pytest.mark.parametrize("limit", [512, 2], ids=["all pairs", "sampled pairs"])
@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_double_sums(
    rng: np.random.Generator, shape: tuple[int, int], dtype: type, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_alignment, "COMPARED", limit)
    block = rng.normal(size=(3, *shape)).astype(dtype)
    found = alignment(block)
    for i, rows in enumerate(block.tolist()):
        potential = reference.frame_potential(rows)
        seen = [rows[0], rows[-1]] if compared(*shape) < shape[0] else rows
        without = [reference.frame_potential(rows[:k] + rows[k + 1 :]) for k in range(shape[0])]
        rtol = PRECISION[dtype]
        assert_allclose(found.potential[i], potential, rtol=rtol)
        assert_allclose(found.unnormalised_potential[i], reference.unnormalised_potential(rows), rtol=rtol)
        assert_allclose(found.mean_cosine[i], reference.mean_cosine(seen), rtol=rtol)
        assert_allclose(found.share[i], potential - np.array(without), rtol=rtol)


def layers() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    made = {}
    for rows, columns in [(300, 784), (10, 100), (64, 9), (700, 300), (4000, 20)]:
        drawn = rng.uniform(-1, 1, size=(rows, columns))
        lengths = np.exp(rng.normal(size=(rows, 1)))
        made[f"independent {rows}, {columns}"] = drawn
        made[f"leaning {rows}, {columns}"] = drawn + 1
        made[f"on one line {rows}, {columns}"] = (rng.normal(size=columns) + 1e-3 * drawn) * lengths
        bundles = np.eye(2)[rng.integers(2, size=rows)] @ rng.normal(size=(2, columns))
        made[f"in two bundles {rows}, {columns}"] = (bundles + 1e-3 * drawn) * lengths
    return made


@pytest.mark.parametrize("name", layers())
def test_float32_products_are_precise_enough(name: str) -> None:
    block = layers()[name].astype(np.float32)[None]
    found, exact = alignment(block), alignment(block.astype(np.float64))
    assert_allclose(exact.potential, frame_potential(block[0]), rtol=1e-12)
    assert_allclose(found.potential, exact.potential, rtol=2e-7)
    assert_allclose(found.share, exact.share, rtol=1e-6)
    assert_allclose(found.mean_cosine, exact.mean_cosine, rtol=1e-6)
    assert_allclose(found.unnormalised_potential, exact.unnormalised_potential, rtol=1e-6)
    if name.startswith("independent"):  # where chance is judged, rounding is far below one standard deviation
        n, d = block.shape[1:]
        deviation = np.sqrt(4 * n * (n - 1) * (d - 1) / (d * d * (d + 2)))
        assert abs(found.potential - exact.potential) < 1e-3 * deviation


def test_orthonormal_rows_have_no_cosine_at_all() -> None:
    for dtype in PRECISION:
        found = alignment(np.eye(5, dtype=dtype)[None])
        assert_array_equal(found.mean_cosine, 0)
        assert_array_equal(found.potential, 5)
        assert_array_equal(found.share, 1)


@settings(max_examples=60)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_only_directions_up_to_sign_and_order_count(count: int, inputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, inputs))
    rotation, order = np.linalg.qr(rng.normal(size=(inputs, inputs)))[0], rng.permutation(count)
    scale = np.exp(rng.normal(size=(count, 1)) * 20) * rng.choice([-1, 1], size=(count, 1))
    before, after = alignment(vectors[None]), alignment((vectors * scale)[order][None] @ rotation)
    # rounding in the rotation is of order 1e-16 per entry
    assert_allclose(after.potential, before.potential, rtol=1e-12)
    assert_allclose(after.share, before.share[:, order], rtol=1e-12)
    # a single pair may be nearly orthogonal, where rounding is relative to 1
    assert_allclose(after.mean_cosine, before.mean_cosine, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unnormalised_grows_with_the_fourth_power(rng: np.random.Generator, dtype: type) -> None:
    block = rng.normal(size=(1, 6, 4)).astype(dtype)
    # doubling is exact, so nothing is rounded in another way
    assert_allclose(
        alignment(block * 2).unnormalised_potential, 16 * alignment(block).unnormalised_potential, rtol=1e-14
    )


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("limit", [512, 1], ids=["all pairs", "sampled pairs"])
@pytest.mark.parametrize("odd", ["dead", "dead and not finite"])
def test_rows_without_direction_are_left_out_and_counted(
    rng: np.random.Generator, odd: str, limit: int, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_alignment, "COMPARED", limit)
    block = rng.normal(size=(2, 8, 4)).astype(dtype)
    block[0, [2, 5, 7]] = 0
    if "not finite" in odd:
        block[0, 5, 1], block[0, 7, 0] = np.nan, -np.inf
    found = alignment(block)
    kept = np.delete(block[0], [2, 5, 7], axis=0).tolist()
    assert_allclose(found.potential[0], reference.frame_potential(kept), rtol=PRECISION[dtype])
    assert_allclose(found.unnormalised_potential[0], reference.unnormalised_potential(kept), rtol=PRECISION[dtype])
    dead = 3 if odd == "dead" else 1
    assert_array_equal([found.live, found.dead, found.non_finite], [[5, 8], [dead, 0], [3 - dead, 0]])
    assert_array_equal(np.flatnonzero(np.isnan(found.share[0])), [2, 5, 7])


def test_extremes_take_the_precise_way() -> None:
    block = np.array([[[3e38, 0, 0], [0, 1e-45, 0], [1e-45, 1e-45, 0]]], dtype=np.float32)
    assert_allclose(alignment(block).potential, 3 + 4 * 0.5, rtol=1e-12)
    assert_array_equal(alignment(np.full((1, 2, 3), 1e-30, dtype=np.float32)).live, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(50, 3), (600, 3), (700, 30)])
def test_rounding_stays_within_the_bounds(rng: np.random.Generator, shape: tuple[int, int], dtype: type) -> None:
    n, d = shape
    line = rng.normal(size=(n, 1)) * rng.normal(size=d)
    frame = np.tile(np.linalg.qr(rng.normal(size=(d, d)))[0], (n // d + 1, 1))[: n - n % d]
    assert alignment(line.astype(dtype)[None]).potential <= n**2
    assert alignment(frame.astype(dtype)[None]).potential >= len(frame) ** 2 / d


def test_shares_of_many_rows_only_when_asked(rng: np.random.Generator) -> None:
    block = rng.normal(size=(1, 600, 3)).astype(np.float32)
    with_shares, without = alignment(block), alignment(block, shares=False)
    assert_array_equal(without.potential, with_shares.potential)
    assert np.isnan(without.share).all()
    # every pair counts twice, every neuron with itself once
    assert_allclose((with_shares.share.sum() + 600) / 2, with_shares.potential, rtol=1e-6)
