from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from wdyn.analyses import _principal
from wdyn.analyses._principal import principal


def by_svd(points: np.ndarray, axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Textbook principal components of equally weighted points, with the same choice of sign."""
    centred = points - points.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(right[range(len(right)), np.abs(right).argmax(axis=1)])
    return (left * sizes * signs)[:, :axes], (sizes**2 / (sizes**2).sum())[:axes]


@pytest.mark.parametrize("shape", [(50, 4), (4, 50), (7, 7), (3, 2)])
def test_agrees_with_the_singular_value_decomposition(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    points = rng.normal(size=shape)
    coordinates, explained = by_svd(points, 2)
    found = principal(points, np.ones(shape[0]), 2, rng=rng)
    # eigenvectors of the scatter matrix: the square of the data's condition number enters
    assert_allclose(found.coordinates, coordinates, rtol=0, atol=1e-10)
    assert_allclose(found.explained, explained, rtol=1e-10)


@pytest.mark.parametrize("inputs", [3, 20])
def test_weights_count_like_repeated_points(rng: np.random.Generator, inputs: int) -> None:
    points, times = rng.normal(size=(6, inputs)), np.array([1, 3, 2, 1, 5, 1])
    coordinates, explained = by_svd(np.repeat(points, times, axis=0), 2)
    found = principal(points, times.astype(float), 2, rng=rng)
    assert_allclose(np.repeat(found.coordinates, times, axis=0), coordinates, rtol=0, atol=1e-10)
    assert_allclose(found.explained, explained, rtol=1e-10)


def test_randomised_search_and_portions_agree_too(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_principal, "EXACT", 10)
    monkeypatch.setattr(_principal, "NUMBERS_AT_A_TIME", 200)
    points = rng.normal(size=(90, 40)) * np.geomspace(8, 0.5, 40)
    coordinates, explained = by_svd(points, 2)
    found = principal(points, np.ones(90), 2, rng=rng)
    # eight power iterations shrink what is left of the thirteenth axis by (its variance / that of the second)^8, 1e-6
    assert_allclose(found.coordinates, coordinates, rtol=0, atol=1e-4)
    assert_allclose(found.explained, explained, rtol=1e-6)


@pytest.mark.parametrize("points", [np.ones((5, 3)), np.ones((1, 4)), np.full((2, 1), 3.0), np.ones((3, 9))])
def test_points_that_do_not_vary_have_no_axis(rng: np.random.Generator, points: np.ndarray) -> None:
    found = principal(points, np.ones(len(points)), 2, rng=rng)
    assert_allclose(found.coordinates, np.zeros((len(points), 2)), atol=1e-12)
    assert_array_equal(found.explained, [0, 0])


@pytest.mark.parametrize("inputs", [1, 2, 60])
def test_points_on_a_line_need_one_axis(rng: np.random.Generator, inputs: int) -> None:
    points = np.arange(5.0)[:, None] * np.ones(inputs) / np.sqrt(inputs)
    found = principal(points, np.ones(5), 2, rng=rng)
    assert_allclose(found.coordinates, np.c_[[-2.0, -1, 0, 1, 2], np.zeros(5)], atol=1e-12)
    assert_allclose(found.explained, [1, 0], atol=1e-12)
