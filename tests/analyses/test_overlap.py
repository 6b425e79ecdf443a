from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import false_discovery_control, hypergeom, kstest, norm

from tests.reference import overlap as reference
from wdyn.analyses import _overlap_nulls
from wdyn.analyses._birth_fit import Births, births_of, fitted, residuals
from wdyn.analyses._false_discovery import adjusted
from wdyn.analyses._overlap import Overlap, chance_variance, largest, overlap, together
from wdyn.analyses._overlap_births import initial_chances
from wdyn.analyses._overlap_bits import count, packed, unpacked
from wdyn.analyses._overlap_nulls import Chance, shared_inputs, uniform_chance, units_chance

PAIRS = 2_000


def masks(rng: np.random.Generator, *shape: int, density: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    return rng.random(shape) < density, rng.random(shape) < density


def births(rng: np.random.Generator, *shape: int) -> tuple[np.ndarray, Births]:
    """Initial magnitudes and their strata."""
    magnitudes = np.abs(rng.normal(size=shape))
    return magnitudes, births_of(magnitudes)


def chance_by_birth(first: np.ndarray, second: np.ndarray, born: Births) -> Chance:
    return initial_chances({0: packed(first), 1: packed(second)}, born, [(0, 1)])[0, 1]


def unrelated(
    rng: np.random.Generator, *shape: int, density: float = 0.2, noise: float = 0.5, units: float = 0.0,
    inputs: float = 0.0, common: float = 0.0,
) -> tuple[Births, list[np.ndarray]]:  # fmt: skip
    """Two masks with a birth and the scales of their inputs in common, and a share of their training."""
    start, scales = rng.normal(size=shape), np.exp(inputs * rng.normal(size=shape[1]))
    shared, found = rng.normal(size=shape), []
    for _ in range(2):
        trained = np.sqrt(common) * shared + np.sqrt(1 - common) * rng.normal(size=shape)
        values = np.abs(start + noise * trained) * np.exp(units * rng.normal(size=(shape[0], 1))) * scales
        found.append(largest(values, round(density * values.size)))
    return births_of(np.abs(start)), found


def test_counts_by_hand() -> None:
    found = overlap(np.array([[1, 1, 0], [1, 0, 0]], bool), np.array([[1, 0, 1], [1, 0, 0]], bool))
    assert found == Overlap(3, 3, 2, 6, 1.5, 3)
    assert (found.iou, found.expected_iou) == (2 / 4, 1.5 / 4.5)
    assert found.kappa == pytest.approx((2 - 1.5) / (3 - 1.5))


def test_the_variance_of_chance_agrees_with_scipy_in_a_layer_of_millions() -> None:
    for first, second, places in ((5, 7, 20), (471_860, 400_000, 2_359_296), (9_000_000, 7, 10_000_000)):
        exact = hypergeom.var(places, first, second)
        assert_allclose(chance_variance(Overlap(first, second, 0, places, 0.0, 0)), exact, rtol=1e-12)


def test_the_z_of_a_layer_of_millions() -> None:
    n, k, both = 2_359_296, 471_860, 95_000
    found = uniform_chance(Overlap(k, k, both, n, k * k / n, k))
    assert_allclose(found.z, (both - k * k / n) / hypergeom.std(n, k, k), rtol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (8, 8), (13, 64), (3, 1_000)])
def test_bits_hold_a_mask_and_its_count(shape: tuple[int, int], rng: np.random.Generator) -> None:
    for mask in (*masks(rng, *shape), np.ones(shape, bool), np.zeros(shape, bool)):
        assert_array_equal(unpacked(packed(mask), shape), mask)
        assert count(packed(mask)) == mask.sum()


@pytest.mark.parametrize("density", [0.0, 0.02, 0.4, 1.0])
@pytest.mark.parametrize("shape", [(1, 5), (7, 9), (50, 3_000), (3, 70_000)])
def test_inputs_shared_by_units_are_counted_exactly(
    density: float, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    first, second = masks(rng, *shape, density=density) if density < 1 else (np.ones(shape, bool),) * 2
    assert_array_equal(shared_inputs(first, second), first.astype(np.int64) @ second.T.astype(np.int64))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (40, 50)])
def test_strata_rise_with_magnitude_and_ties_go_by_index(
    dtype: str, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    values = np.abs(rng.normal(size=shape).astype("f2")).astype(dtype)  # few values, so many ties
    values[::7] = 0
    found = births_of(values)
    rising = found.stratum.ravel()[np.argsort(values, axis=None, kind="stable")].astype(int)
    assert (np.diff(rising) >= 0).all()
    assert_array_equal(np.bincount(rising), found.sizes)
    assert np.ptp(found.sizes) <= 1


def test_fitted_chances_keep_as_many_of_each_unit_input_and_stratum(rng: np.random.Generator) -> None:
    born, (mask, _) = unrelated(rng, 60, 50, units=0.5, inputs=0.5)
    left = residuals(fitted(mask, born), mask, born, slice(None)).astype(np.float64)
    spread = mask.sum() * 0.1  # Σ p (1 - p) is more than a tenth of it
    for sums in (left.sum(axis=0), left.sum(axis=1), np.bincount(born.stratum.ravel(), left.ravel())):
        # settled to half a standard error of each
        assert np.abs(sums).max() < 1.0 * np.sqrt(spread / len(sums)) + 0.5


def test_the_published_overlap_of_independent_masks() -> None:
    for density, expected in ((0.8, 0.667), (0.21, 0.118), (0.135, 0.072)):  # p / (2 - p)
        kept = round(density * 1_000_000)
        assert Overlap(kept, kept, 0, 1_000_000, kept**2 / 1e6, kept).expected_iou == pytest.approx(expected, abs=1e-3)


def test_kappa_is_one_for_a_mask_within_another_and_undefined_without_a_choice(rng: np.random.Generator) -> None:
    first, _ = masks(rng, 30, 20, density=0.5)
    within = first & (rng.random(first.shape) < 0.3)
    assert overlap(first, within).kappa == pytest.approx(1.0)
    assert np.isnan(overlap(first, np.ones_like(first)).kappa)
    assert np.isnan(overlap(np.zeros_like(first), np.zeros_like(first)).iou)


def test_layers_together_add_up(rng: np.random.Generator) -> None:
    each = [overlap(*masks(rng, 7, 5)), overlap(*masks(rng, 3, 9, density=0.6))]
    whole = together(each)
    assert (whole.both, whole.places, whole.most) == tuple(
        sum(getattr(o, name) for o in each) for name in ("both", "places", "most")
    )


@pytest.mark.parametrize("keep", [0, 1, 5, 11, 12])
def test_the_largest_are_exactly_as_many_and_ties_go_by_index(keep: int) -> None:
    values = np.array([[3, 1, 2, 2], [2, 5, 2, 0], [2, 2, 4, 2]])
    slow = sorted(range(12), key=lambda i: (values.ravel()[i], i))[12 - keep :]
    assert sorted(np.flatnonzero(largest(values, keep))) == sorted(slow)


def test_units_agree_with_all_permutations(rng: np.random.Generator) -> None:
    first, second = masks(rng, 6, 9, density=0.5)
    every = np.array(reference.overlaps_of_permuted_units(first.astype(int).tolist(), second.astype(int).tolist()))
    found, observed = units_chance(first, second, rng=rng), np.count_nonzero(first & second)
    assert_allclose(found.expected, every.mean(), rtol=1e-12)
    assert_allclose(found.z, (observed - every.mean()) / every.std(), rtol=1e-12)
    exact = (every >= observed).mean()
    # 9,999 draws: four standard errors
    assert abs(found.p - exact) < 4 * np.sqrt(exact * (1 - exact) / 9_999) + 1e-4


def test_the_law_for_many_units_agrees_with_draws(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uneven units and inputs, where the permutation law is skewed."""
    uneven = np.clip(rng.gamma(0.5, size=(40, 1)) * rng.gamma(0.3, size=60) * 0.3, 0, 0.9)
    first = rng.random(uneven.shape) < uneven
    laws, draws = [], []
    for shift in range(6):
        second = rng.random(uneven.shape) < np.roll(uneven, shift * 7, axis=0) * 0.7 + 0.3 * uneven
        laws.append(units_chance(first, second, rng=rng).p)
        monkeypatch.setattr(_overlap_nulls, "FEW_UNITS", 1_000)
        draws.append(units_chance(first, second, rng=rng).p)
        monkeypatch.undo()
    # the error of the draws, four standard errors, and a tenth of the law for its approximation
    errors = 4 * np.sqrt(np.array(draws) * (1 - np.array(draws)) / 9_999) + 1e-4
    assert (np.abs(np.subtract(laws, draws)) < errors + 0.1 * np.array(draws)).all()


def independent_masks(null: str, rng: np.random.Generator) -> tuple[int, Chance]:
    """Overlap of two of them and what the null says."""
    shape = {"uniform": (100, 90), "units": (130, 30)}[null]
    first, second = masks(rng, *shape, density=0.3)
    found = {
        "uniform": lambda: uniform_chance(overlap(first, second)),
        "units": lambda: units_chance(first, second, rng=rng),
    }[null]()
    return int(np.count_nonzero(first & second)), found


@pytest.mark.parametrize("null", ["uniform", "units"])
def test_2000_pairs_of_independent_masks_have_uniform_chances(null: str, rng: np.random.Generator) -> None:
    found = [independent_masks(null, rng) for _ in range(PAIRS)]
    z, p = np.array([chance.z for _, chance in found]), np.array([chance.p for _, chance in found])
    assert abs(z.mean()) < 4 / np.sqrt(PAIRS)
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * PAIRS)
    # p counts the overlap itself in full, and is uniform with half of it
    deviation = np.std([both - chance.expected for both, chance in found])
    assert kstest(p - norm.pdf(z) / deviation / 2, "uniform").pvalue > 1e-3


def test_masks_that_follow_initial_magnitude_alone_are_alike_by_birth_only(rng: np.random.Generator) -> None:
    magnitudes, born_alike = births(rng, 100, 200)
    claims = []
    for _ in range(40):
        first, second = (largest(magnitudes + rng.normal(size=magnitudes.shape), 4_000) for _ in range(2))
        assert uniform_chance(overlap(first, second)).p < 1e-10
        claims.append(chance_by_birth(first, second, born_alike).p <= 0.01)
    assert sum(claims) <= 3  # of 40 at 1 % each, 4 or more in 1 of 1,500 cases


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((100, 300), {"units": 0.3}),
        ((100, 300), {"inputs": 0.5}),
        ((64, 30), {"inputs": 0.5, "density": 0.3}),
        ((50, 40), {"inputs": 1.0, "noise": 1.0, "density": 0.3}),
        ((100, 300), {"noise": 0.1, "inputs": 1.0, "units": 0.5}),
        ((60, 50), {"density": 0.02}),
        ((60, 50), {"density": 0.8, "inputs": 1.0, "noise": 2.0}),
        ((10, 100), {"inputs": 1.0}),
        ((10, 10), {}),
    ],
)
def test_unequal_units_and_inputs_are_no_common_finding(
    shape: tuple[int, int], options: dict[str, float], rng: np.random.Generator
) -> None:
    claims = 0
    for _ in range(30):
        born, (first, second) = unrelated(rng, *shape, **options)
        claims += chance_by_birth(first, second, born).p <= 0.01
    assert claims <= 3  # of 30 at 1 % each, 4 or more in 1 of 4,700 cases


def test_weights_of_a_unit_found_together_are_no_common_finding(rng: np.random.Generator) -> None:
    claims = 0
    for _ in range(30):
        start = rng.normal(size=(60, 100))
        training = np.repeat(rng.normal(size=(2, 60, 10)), 10, axis=2)  # tens of inputs that move together
        first, second = (largest(np.abs(start + each), 1_200) for each in training)
        claims += chance_by_birth(first, second, births_of(np.abs(start))).p <= 0.01
    assert claims <= 3


@pytest.mark.parametrize(("shape", "common"), [((100, 300), 0.1), ((60, 50), 0.3), ((10, 100), 0.6)])
def test_a_training_in_common_is_found_beyond_birth(
    shape: tuple[int, int], common: float, rng: np.random.Generator
) -> None:
    found = [unrelated(rng, *shape, units=0.3, inputs=0.5, common=common) for _ in range(10)]
    assert sum(chance_by_birth(*masks, born).p <= 0.01 for born, masks in found) >= 7


def test_dead_inputs_alone_are_no_common_finding(rng: np.random.Generator) -> None:
    magnitudes, born_alike = births(rng, 100, 200)
    dead = np.arange(200) < 80
    uneven = np.where(dead, 0.0, 0.4 + 0.3 * np.sin(np.arange(200) / 9))
    units, born = [], []
    for _ in range(40):
        first, second = (rng.random((100, 200)) < uneven for _ in range(2))
        assert uniform_chance(overlap(first, second)).p < 1e-10
        units.append(units_chance(first, second, rng=rng).p <= 0.01)
        # both causes at once: neither the magnitudes nor the inputs alone would explain it
        follow = magnitudes + 0.7 * rng.normal(size=(2, 100, 200)) > 1.2
        born.append(chance_by_birth(follow[0] & ~dead, follow[1] & ~dead, born_alike).p <= 0.01)
    assert sum(units) <= 3
    assert sum(born) <= 3


@pytest.mark.parametrize("null", ["uniform", "units", "initial"])
def test_a_planted_overlap_is_found(null: str, rng: np.random.Generator) -> None:
    _, born_alike = births(rng, 100, 200)
    first, second = masks(rng, 100, 200)
    second = np.where(rng.random(first.shape) < 0.1, first, second)  # one in ten weights is common
    found = {
        "uniform": lambda: uniform_chance(overlap(first, second)),
        "units": lambda: units_chance(first, second, rng=rng),
        "initial": lambda: chance_by_birth(first, second, born_alike),
    }[null]()
    assert found.z > 8
    assert found.p <= 1e-4


def test_nothing_is_said_where_there_is_no_choice(rng: np.random.Generator) -> None:
    full, some = np.ones((5, 4), bool), np.eye(5, 4, dtype=bool)
    assert np.isnan(uniform_chance(overlap(full, some)).p)
    assert np.isnan(units_chance(full, some, rng=rng).z)
    assert np.isnan(units_chance(some[:1], some[:1], rng=rng).z)
    assert np.isnan(chance_by_birth(full, some, births(rng, 5, 4)[1]).p)


def test_the_correction_agrees_with_scipy_and_claims_what_the_procedure_claims(rng: np.random.Generator) -> None:
    chances = rng.random((6, 8)) ** 3
    chances[0] /= 1e3
    found = adjusted(chances)
    assert_allclose(found.ravel(), false_discovery_control(chances.ravel()), rtol=1e-12)
    for level in (0.01, 0.1):
        assert (found.ravel() <= level).tolist() == reference.benjamini_hochberg(chances.ravel().tolist(), level)


def test_what_was_not_tested_does_not_count(rng: np.random.Generator) -> None:
    chances = rng.random(9)
    gaps = np.insert(chances, [2, 5], np.nan)
    assert_allclose(adjusted(gaps)[np.isfinite(gaps)], adjusted(chances))
    assert np.isnan(adjusted(np.full(3, np.nan))).all()
