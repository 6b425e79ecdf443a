from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom

from tests.reference import moran as reference
from tests.torture import times
from wdyn.analyses import _moran
from wdyn.analyses._false_discovery import adjusted
from wdyn.analyses._moran import moran, smooth_by_chance, standardised

LEVEL = 0.01


@pytest.mark.parametrize("shape", [(2, 2), (1, 5), (3, 4), (6, 5)])
def test_agrees_with_the_double_sum(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    images = rng.normal(size=(3, *shape)).astype(np.float32)
    expected = [reference.moran(image.tolist()) for image in images]
    # both sum in float64; only the order of addition differs
    assert_allclose(moran(images).value, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("image", [[[1, 2, 4], [3, 3, 9]], [[0, 0], [0, 1], [0, 5]], [[1, 7, 2, 2, 3, 1]]])
def test_the_moments_are_those_of_all_orders_of_the_pixels(image: list[list[float]]) -> None:
    found, every = moran(np.array(image, dtype=float)), np.array(reference.law(image))
    assert_allclose(found.mean, every.mean(), rtol=1e-12)
    assert_allclose(found.variance, every.var(), rtol=1e-12)


def test_known_images() -> None:
    stripes = np.tile([1.0, -1.0], (6, 3))
    board = np.indices((6, 6)).sum(axis=0) % 2
    found = moran(np.stack([board, board * -1e-200 + 5e-200, stripes])).value
    assert_allclose(found, [-1, -1, 0], atol=1e-12)  # half of the edges of stripes join equals, half opposites
    ramp = np.add.outer(np.arange(30.0), np.arange(30.0))
    assert moran(ramp).value > 0.95


def test_scale_and_mean_do_not_matter(rng: np.random.Generator) -> None:
    images = rng.normal(size=(4, 5, 5))
    assert_allclose(moran(3e200 * images).value, moran(images).value, rtol=1e-12)
    assert_allclose(moran(images + 7).value, moran(images).value, rtol=1e-9)


def test_an_image_of_one_value_or_with_nan_has_none(rng: np.random.Generator) -> None:
    images = rng.normal(size=(4, 1, 3, 3))
    images[0], images[1], images[2, 0, 1, 1] = 0, 0.1, np.nan
    found = moran(images)
    assert_array_equal(np.isnan(found.value[:, 0]), [True, True, True, False])
    assert_array_equal(np.isnan(standardised(found)), [True, True, True, False])
    assert_array_equal(np.isnan(smooth_by_chance(images, rng=rng)), [True, True, True, False])


@pytest.mark.parametrize("share", [1.0, 0.2])  # of the weights that are not zero: sparse images have heavy tails
@pytest.mark.parametrize("shape", [(40, 1, 3, 3), (40, 3, 3, 3), (6, 1, 5, 5), (100, 1, 8, 8)])
def test_noise_is_called_smooth_no_more_often_than_said(
    rng: np.random.Generator, shape: tuple[int, ...], share: float
) -> None:
    layers, claimed = times(60, 400), 0
    for _ in range(layers):
        images = rng.uniform(-1, 1, size=shape) * (rng.random(shape) < share)
        claimed += bool((adjusted(smooth_by_chance(images, rng=rng)) <= LEVEL).any())
    assert claimed <= binom.ppf(0.999, layers, LEVEL)


def test_a_few_smooth_neurons_among_noise_are_found(rng: np.random.Generator) -> None:
    images = rng.normal(size=(100, 1, 8, 8))
    images[:5] += 2 * np.add.outer(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8))
    claimed = adjusted(smooth_by_chance(images, rng=rng)) <= LEVEL
    assert claimed[:5].all()
    assert claimed.sum() <= 6


def test_of_many_channels_some_stand_for_all(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    images = rng.normal(size=(6, 20, 3, 3))
    images[:, 1::2] = np.arange(3)  # as smooth as can be, in every second channel
    monkeypatch.setattr(_moran, "SHUFFLED", 2 * 6 * 9 * 199)  # room for two: the first and the last
    kept = images[:, [0, -1]]
    expected = smooth_by_chance(kept, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(smooth_by_chance(images, rng=np.random.default_rng(1)), expected)
