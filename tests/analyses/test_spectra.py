from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import subspace_angles

from tests.reference import spectrum as reference
from wdyn.analyses._spectra import bulk, decompose, principal_angles, reconstruction_errors
from wdyn.errors import MisuseError

SHAPES = [(1, 1), (1, 4), (4, 1), (3, 5), (5, 3), (9, 9), (20, 12)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_agrees_with_jacobi_rotations(rng: np.random.Generator, shape: tuple[int, int], dtype: type) -> None:
    block = rng.normal(size=(3, *shape)).astype(dtype)
    found = decompose(block)
    for values, rows in zip(found.values, block.tolist(), strict=True):
        # squares are exact to 1e-16 of the largest; the smallest value here is above a thousandth of it
        assert_allclose(values, reference.singular_values(rows), rtol=1e-9)


@pytest.mark.parametrize("shape", [(64, 64), (63, 90), (90, 64), (70, 200)])
@pytest.mark.parametrize("rank", [3, 50])
def test_large_layers_agree_with_a_decomposition_of_the_matrix_itself(
    rng: np.random.Generator, shape: tuple[int, int], rank: int
) -> None:
    values = np.linspace(2, 1, rank)  # apart, so that each direction stands alone
    values[0] = 3
    left, right = (np.linalg.qr(rng.normal(size=(2, size, rank)))[0] for size in shape)
    block = (left * values) @ right.swapaxes(-1, -2)
    found = decompose(block)
    # squares are exact to about 1e-15 of the largest, 9
    assert_allclose(found.values[:, :rank], np.broadcast_to(values, (2, rank)), rtol=1e-13)
    assert_array_equal(found.values[:, rank:], 0)
    along = np.abs(found.directions @ right)  # (2, 10, rank)
    # a direction is off by the squares' error over their distance, here 0.04
    assert_allclose(along[:, : min(rank, 10)], np.broadcast_to(np.eye(rank)[:10], (2, min(rank, 10), rank)), atol=1e-12)
    assert_array_equal(found.directions[:, rank:], 0)


def test_small_values_keep_what_float32_weights_hold(rng: np.random.Generator) -> None:
    left, right = (np.linalg.qr(rng.normal(size=(60, 6)))[0] for _ in range(2))
    values = np.array([1, 1e-2, 1e-4, 1e-6, 1e-9, 0])
    found = decompose((left * values) @ right.T).values
    # error 1e-16 (s_1 / s)**2 times a small number
    assert_allclose(found[:3], values[:3], rtol=1e-7)
    assert_allclose(found[3], values[3], rtol=0.05)
    assert_array_equal(found[6:], 0)


@pytest.mark.parametrize("matrix", [np.diag([3.0, 1, 2]), np.diag([3.0, 1, 2])[:, ::-1], np.diag([-3.0, -1, 2])])
def test_diagonal_matrices(matrix: np.ndarray) -> None:
    found = decompose(matrix)
    assert_allclose(found.values, [3, 2, 1], rtol=1e-15)
    expected = np.abs(matrix[[0, 2, 1]]) / [[3], [2], [1]]
    assert_allclose(np.abs(found.directions), expected, atol=1e-15)


def test_tall_and_wide_give_the_right_directions(rng: np.random.Generator) -> None:
    for shape in [(30, 12), (12, 30)]:
        matrix = rng.normal(size=shape)
        found = decompose(matrix, leading=4)
        # each direction is mapped to a vector as long as its value; eigenvectors are good to 1e-16 over the gap
        assert_allclose(np.linalg.norm(matrix @ found.directions.T, axis=0), found.values[:4], rtol=1e-12)
        assert_allclose(found.directions @ found.directions.T, np.eye(4), atol=1e-12)


def test_dead_and_non_finite_rows(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(7, 5))
    matrix[1], matrix[4, 2], matrix[6, 0] = 0, np.nan, -np.inf
    found = decompose(matrix)
    assert (found.live, found.non_finite) == (4, 2)
    kept = np.delete(matrix, [1, 4, 6], axis=0)
    assert_allclose(found.values[:4], decompose(kept).values, rtol=1e-12)
    nothing = decompose(np.zeros((2, 3, 4)))
    assert_array_equal(nothing.values, 0)
    assert_array_equal(nothing.directions, 0)
    assert_array_equal(nothing.live, 0)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_extreme_scales(rng: np.random.Generator, scale: float) -> None:
    matrix = rng.normal(size=(5, 4))
    assert_allclose(decompose(matrix * scale).values, decompose(matrix).values * scale, rtol=1e-12)


@settings(max_examples=50)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_rotation_order_and_scale(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, columns))
    rotation = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    changed = 7 * matrix[rng.permutation(rows)] @ rotation
    values, turned = decompose(matrix).values, decompose(changed).values
    # a square matrix may be nearly singular: its smallest value is exact only relative to the largest
    assert_allclose(turned, 7 * values, rtol=1e-9, atol=1e-7 * turned[0])
    assert_allclose((values**2).sum(), (matrix**2).sum(), rtol=1e-12)


# ---- principal angles


@pytest.mark.parametrize(("a", "b", "inputs"), [(1, 1, 2), (2, 3, 7), (3, 2, 7), (4, 4, 5), (3, 3, 3)])
def test_angles_agree_with_two_references(rng: np.random.Generator, a: int, b: int, inputs: int) -> None:
    first, second = rng.normal(size=(a, inputs)), rng.normal(size=(b, inputs))
    found = principal_angles(first, second)
    # the plain reference has cosines only, which lose half the digits near 0
    assert_allclose(found, reference.principal_angles(first.tolist(), second.tolist()), atol=5e-6)
    assert_allclose(found, np.degrees(subspace_angles(first.T, second.T))[::-1], rtol=1e-9, atol=1e-12)


def test_known_angles() -> None:
    axes = np.eye(5)
    assert_allclose(principal_angles(axes[:2], axes[1:3]), [0, 90], atol=1e-14)
    assert_allclose(principal_angles(axes[:2], axes[2:4]), [90, 90], atol=1e-14)
    for degrees in (1e-7, 1e-3, 30, 89.9999):
        turned = np.cos(np.radians(degrees)) * axes[0] + np.sin(np.radians(degrees)) * axes[3]
        assert_allclose(principal_angles(axes[:1], 4 * turned[None]), [degrees], rtol=1e-9)


@settings(max_examples=40)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_angles_belong_to_the_subspaces(a: int, b: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(a, 8)), rng.normal(size=(b, 8))
    found = principal_angles(first, second)
    rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    mixed = np.linalg.qr(rng.normal(size=(a, a)))[0] @ first
    assert_allclose(principal_angles(mixed @ rotation, 3 * second @ rotation), found, rtol=1e-8, atol=1e-10)
    assert_allclose(principal_angles(second, first), found, rtol=1e-8, atol=1e-10)
    assert_allclose(principal_angles(first, mixed), 0, atol=1e-10)


def test_angles_ignore_zero_rows_and_refuse_nonsense() -> None:
    axes = np.eye(4)
    assert_allclose(principal_angles(np.vstack([axes[:1], np.zeros((2, 4))]), axes[:2]), [0], atol=1e-14)
    assert principal_angles(np.zeros((2, 4)), axes).shape == (0,)
    with pytest.raises(MisuseError, match="R\\^4 and R\\^3"):
        principal_angles(axes, np.eye(3))
    with pytest.raises(MisuseError, match="span fewer"):
        principal_angles(axes[[0, 0]], axes)
    with pytest.raises(MisuseError, match="NaN"):
        principal_angles(axes * np.nan, axes)


# ---- outliers


@pytest.mark.parametrize(("rows", "columns"), [(10, 100), (64, 9), (30, 40)])
def test_outliers_agree_with_the_plain_loop(rng: np.random.Generator, rows: int, columns: int) -> None:
    counted = []
    for strength in (0.0, 0.5, 1.0, 2.0, 4.0, 20.0):
        signal = rng.normal(size=(rows, 3)) * [3, 2, 1] @ rng.normal(size=(3, columns))
        values = decompose(rng.normal(size=(rows, columns)) + strength * signal).values[None]
        found = bulk(values, np.array([rows]), columns)
        counted.append(int(found.outliers[0]))
        assert counted[-1] == reference.outliers(values[0].tolist(), rows, columns)
        n, d = np.sqrt(rows - counted[-1]), np.sqrt(columns - counted[-1])
        left = (values[0, counted[-1] :] ** 2).sum() / ((rows - counted[-1]) * (columns - counted[-1]))
        assert_allclose(found.entry_deviation, np.sqrt(left), rtol=1e-12)
        assert_allclose(found.upper_edge, np.sqrt(left) * (n + d), rtol=1e-12)
        assert_allclose(found.lower_edge, np.sqrt(left) * abs(n - d), rtol=1e-12)
        assert found.upper_edge < found.outlier_above
    assert counted[0] == 0
    assert counted[-1] == 3


def test_edges_of_a_large_gaussian_matrix(rng: np.random.Generator) -> None:
    values = decompose(0.2 * rng.normal(size=(400, 1000))).values[None]
    found = bulk(values, np.array([400]), 1000)
    assert_allclose(found.entry_deviation, 0.2, rtol=0.01)  # standard error 0.1 %
    # the extreme values stray from the edges by about n**(-2/3), 2 %
    assert_allclose(values[0, [0, -1]], [found.upper_edge[0], found.lower_edge[0]], rtol=0.03)
    assert found.outliers[0] == 0


def test_signal_alone_leaves_no_bulk() -> None:
    found = bulk(np.array([[5.0, 0, 0], [1.0, 1, 1], [0, 0, 0]]), np.array([3, 3, 0]), 40)
    assert_array_equal(found.outliers, [1, 0, 0])  # equal values are not told from a bulk
    assert_allclose(found.entry_deviation, [0, np.sqrt(3 / 120), np.nan])


def test_outliers_are_counted_from_the_top() -> None:
    # the seventh of seven equal values stands out from the three below, but the first does not stand out from all
    values = np.sqrt([[1.0] * 7 + [0.1] * 3])
    assert bulk(values, np.array([10]), 100).outliers[0] == reference.outliers(values[0].tolist(), 10, 100) == 0
    assert bulk(values[:, 6:], np.array([4]), 94).outliers[0] == 1


# ---- reconstruction


def test_reconstruction_errors(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(6, 9))
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    errors = reconstruction_errors(values)
    for kept in range(7):
        rebuilt = (left[:, :kept] * values[:kept]) @ right[:kept]
        # rebuilding rounds at 1e-16 of the whole
        assert_allclose(errors[kept], np.linalg.norm(matrix - rebuilt) / np.linalg.norm(matrix), atol=1e-14)
        assert_allclose(errors[kept], reference.reconstruction_error(values.tolist(), kept), rtol=1e-12)
    assert_allclose(reconstruction_errors(np.ones(4)), np.sqrt([1, 3 / 4, 1 / 2, 1 / 4, 0]))
    assert np.isnan(reconstruction_errors(np.zeros((2, 3)))).all()
