from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tests.reference import neural_collapse as reference
from wdyn.analyses._simplex import (
    Collapse,
    class_means,
    collapse,
    disagreement,
    self_duality,
    simplex,
    simplex_by_chance,
    within_variability,
)
from wdyn.errors import MisuseError


def corners(classes: int, inputs: int) -> np.ndarray:
    return (np.eye(classes) - 1 / classes) @ np.eye(classes, inputs)


def clouds(rng: np.random.Generator, sizes: list[int], inputs: int) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return rng.normal(size=(len(sizes), inputs))[labels] + 0.5 * rng.normal(size=(len(labels), inputs)), labels


def flat(found: Collapse) -> list[float]:
    return [found.nc1, *found.nc2, found.nc3, found.nc4]


@pytest.mark.parametrize(
    ("sizes", "inputs"), [([5, 5, 5], 4), ([1, 7, 3, 2], 6), ([4, 9], 3), ([3, 3, 3, 3], 2), ([2] * 10, 30)]
)
def test_agrees_with_the_definitions(rng: np.random.Generator, sizes: list[int], inputs: int) -> None:
    features, labels = clouds(rng, sizes, inputs)
    weights, bias = rng.normal(size=(len(sizes), inputs)), rng.normal(size=len(sizes))
    found = collapse(features, labels, weights=weights, bias=bias)
    means = reference.means(features, labels)
    # whole covariance matrices and their pseudo-inverse lose some digits
    assert_allclose(found.nc1, reference.nc1(features, labels), rtol=1e-8)
    assert_allclose(found.nc2, reference.nc2(means), rtol=1e-10, atol=1e-14)
    assert_allclose(found.nc3, reference.nc3(weights, means), rtol=1e-12)
    assert found.nc4 == reference.nc4(features, means, weights, bias)


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize(("classes", "inputs"), [(2, 1), (2, 5), (3, 2), (10, 9), (10, 64)])
def test_a_perfect_simplex_is_zero_throughout(
    rng: np.random.Generator, classes: int, inputs: int, offset: float
) -> None:
    basis = np.linalg.svd(corners(classes, classes))[2][: classes - 1]  # the space the simplex spans
    rotation = np.linalg.qr(rng.normal(size=(inputs, inputs)))[0][: classes - 1]
    means = corners(classes, classes) @ basis.T @ rotation
    labels = np.repeat(np.arange(classes), 4)
    found = collapse(3 * means[labels] + offset, labels, weights=means, bias=-offset * means.sum(axis=1))
    # rounding of the offset, 1e-16 of it
    assert_allclose(flat(found), 0, atol=1e-14 + 1e-15 * offset)


def test_nc1_closed_form() -> None:
    # two classes at ±1 on a line, points at ±1 ± e: Σ_W = e², Σ_B = 1
    features, labels = np.array([[1.5], [0.5], [-1.5], [-0.5]]), np.array([0, 0, 1, 1])
    assert within_variability(features, labels) == pytest.approx(0.25 / 2, rel=1e-14)
    # spread in a direction that does not separate the classes costs nothing
    sideways = np.c_[np.sign(features), [[5], [-5], [7], [-7]]]
    assert within_variability(sideways, labels) == pytest.approx(0, abs=1e-30)


def test_edge_cases_of_nc1() -> None:
    points = np.eye(3)[[0, 1, 2]]
    assert within_variability(points, np.arange(3)) == 0  # one point each: no spread within
    assert np.isnan(within_variability(np.ones((4, 3)), np.array([0, 0, 1, 1])))  # equal class means
    same = np.array(
        [[0.0, 1], [0, -1], [0, 1], [0, -1], [2, 0], [2, 0]]
    )  # two of three means are equal: Σ_B has rank 1
    labels = np.array([0, 0, 1, 1, 2, 2])
    assert within_variability(same, labels) == pytest.approx(reference.nc1(same, labels), abs=1e-14)


def test_nc2_closed_forms() -> None:
    square = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    # cosines 0, 0, -1 for each corner; a simplex has -1/3
    assert_allclose(simplex(square), [0, np.sqrt(2 / 9), (1 / 3 + 1 / 3 + 2 / 3) / 3], atol=1e-15)
    assert_allclose(simplex(np.eye(5)), 0, atol=1e-15)  # orthonormal rows are a simplex once centred
    assert_allclose(simplex(np.array([[1.0, 3], [4, 4]])), 0, atol=1e-15)  # any two points are one
    assert np.isnan(simplex(np.ones((3, 4)))).all()
    assert np.isnan(simplex(np.ones((1, 4)))).all()
    line = simplex(np.array([[-1.0], [0], [1]]))  # one row lies at the centre: no direction
    assert_allclose(line, [np.std([1, 0, 1]) / np.mean([1, 0, 1]), np.nan, np.nan])


@settings(max_examples=40)
@given(st.integers(2, 6), st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_rotation_shift_scale_and_order(classes: int, inputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, labels = clouds(rng, [int(n) for n in rng.integers(2, 6, classes)], inputs)
    weights = rng.normal(size=(classes, inputs))
    found = flat(collapse(features, labels, weights=weights, bias=np.zeros(classes)))
    rotation = np.linalg.qr(rng.normal(size=(inputs, inputs)))[0]
    order, names = rng.permutation(len(labels)), rng.permutation(classes)
    other = collapse(
        (5 * features @ rotation)[order],
        names[labels][order],
        weights=(0.3 * weights @ rotation)[np.argsort(names)],
        bias=np.zeros(classes),
    )
    assert_allclose(flat(other), found, rtol=1e-6, atol=1e-12)  # Σ_B of close means is inverted
    shifted = within_variability(features + 7, labels), *simplex(class_means(features + 7, labels)[0])
    assert_allclose(shifted, found[:4], rtol=1e-6, atol=1e-12)
    assert found[0] >= 0
    assert 0 <= found[4] <= 4


def test_nc3_runs_from_zero_to_four() -> None:
    means = corners(4, 6)
    assert self_duality(2 * means, means + 3) == pytest.approx(0, abs=1e-15)
    assert self_duality(-means, means) == pytest.approx(4, rel=1e-14)
    assert np.isnan(self_duality(0 * means, means))
    assert np.isnan(self_duality(means, np.ones((4, 6))))


def test_nc4_counts_points() -> None:
    means = np.array([[0.0, 0], [4, 0]])
    features = np.array([[1.0, 0], [3, 0], [-1, 0], [5, 1]])
    logits = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    assert disagreement(features, means, logits) == 2 / 4


def test_misuse_is_explained(rng: np.random.Generator) -> None:
    features, labels = clouds(rng, [3, 3], 4)
    with pytest.raises(MisuseError, match="class 1 has no point"):
        class_means(features, 2 * labels)
    with pytest.raises(MisuseError, match="do not fit"):
        collapse(features, labels, weights=np.ones((3, 4)), bias=np.zeros(3))


@pytest.mark.parametrize(("rows", "inputs"), [(10, 100), (3, 20), (10, 9), (40, 60)])
@pytest.mark.parametrize("name", ["kaiming_uniform_", "xavier_normal_", "trunc_normal_"])
def test_chance_covers_initialisations(name: str, rows: int, inputs: int) -> None:
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    draw = getattr(torch.nn.init, name)
    low, high = simplex_by_chance(rows, inputs, rng=np.random.default_rng(1)).T
    found = np.array([simplex(draw(torch.empty(rows, inputs), generator=generator).numpy()) for _ in range(100)])
    outside = ((found < low) | (found > high)).sum(axis=0)
    assert outside.max() <= 5  # 1 % expected, up to 2 % as the ends are simulated; 6 of 100 then has a chance of 0.015
    assert (low > 0).all() == (rows > 3)  # three random rows come near a triangle often enough


def test_two_rows_are_a_simplex_by_chance() -> None:
    low, high = simplex_by_chance(2, 30, rng=np.random.default_rng(0)).T
    assert_allclose([low, high], 0, atol=1e-11)
