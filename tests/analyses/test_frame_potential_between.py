from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kstest

from tests.analyses.memory_run import MemoryRun
from tests.reference import frame_potential as reference
from wdyn.analyses._charts import HeatMap, Lines, Table
from wdyn.analyses.frame_potential import frame_potential
from wdyn.analyses.frame_potential_between import (
    ANALYSIS,
    LEVEL,
    chance_of,
    charts,
    compute,
    findings,
    frame_potentials,
    turned_null,
)
from wdyn.errors import MisuseError


@pytest.mark.parametrize("sizes", [(1, 1), (3, 2), (9, 4, 3), (2, 7, 5)])
@pytest.mark.parametrize("inputs", [1, 3, 9])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6), ("float16", 1e-6)])
def test_agrees_with_the_double_sums(
    rng: np.random.Generator, sizes: tuple[int, ...], inputs: int, dtype: str, tolerance: float
) -> None:
    sets = [rng.normal(size=(n, inputs)).astype(dtype) for n in sizes]
    found = frame_potentials(sets)
    lists = [rows.tolist() for rows in sets]
    expected = [[sum(reference.cosine(x, y) ** 2 for x in a for y in b) for b in lists] for a in lists]
    assert_allclose(found, expected, rtol=tolerance, atol=tolerance)  # products have the precision of the rows
    assert_allclose(found.sum(), frame_potential(np.concatenate(sets)), rtol=tolerance)


def test_closed_forms() -> None:
    basis = np.eye(6)
    assert_allclose(frame_potentials([basis[:3], basis[3:]]), [[3, 0], [0, 3]], atol=0)
    assert_allclose(frame_potentials([basis, 2 * basis[::-1]]), np.full((2, 2), 6), rtol=1e-15)
    ones = frame_potentials([np.ones((4, 9)), -np.ones((5, 9))])
    assert_allclose(ones, [[16, 20], [20, 25]], rtol=1e-12)
    with pytest.raises(MisuseError, match="zero norm"):
        frame_potentials([basis, np.zeros((1, 6))])


def test_blind_to_rotation_scale_sign_and_order(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(5, 7)), rng.normal(size=(4, 7))
    rotation = np.linalg.qr(rng.normal(size=(7, 7)))[0]
    scaled = -3 * b[::-1] @ rotation
    assert_allclose(frame_potentials([a @ rotation, scaled]), frame_potentials([a, b]), rtol=1e-12)


def aligned(rng: np.random.Generator, neurons: int, inputs: int, directions: int) -> np.ndarray:
    """Neurons that all lie near so many random directions; 0 for none of that."""
    own = rng.normal(size=(neurons, inputs))
    if not directions:
        return own
    return 0.2 * own + rng.normal(size=(directions, inputs))[rng.integers(directions, size=neurons)]


@pytest.mark.parametrize("shapes", [(2, 3, 4), (10, 5, 20), (30, 20, 3), (6, 6, 1)])
@pytest.mark.parametrize("directions", [0, 1, 4])
def test_null_against_random_turns(rng: np.random.Generator, shapes: tuple[int, int, int], directions: int) -> None:
    (n, m, d), times = shapes, 4_000
    a, b = (aligned(rng, rows, d, directions) for rows in (n, m))
    (own_a, _), (_, own_b) = frame_potentials([a, b])
    mean, variance = turned_null(n, m, own_a, own_b, d)
    if d == 1:
        assert_allclose([mean, variance], [n * m, 0], rtol=0)
        return
    q, r = np.linalg.qr(rng.normal(size=(times, d, d)))
    turned = b @ (q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :])
    unit = [rows / np.linalg.norm(rows, axis=-1, keepdims=True) for rows in (a, turned)]
    z = (np.square(unit[0] @ unit[1].transpose(0, 2, 1)).sum(axis=(1, 2)) - mean) / np.sqrt(variance)
    assert abs(z.mean()) < 4 / np.sqrt(times)  # four standard errors
    assert abs(np.mean(z**2) - 1) < 4 * np.sqrt(np.mean(z**4) / times)


def test_the_chance_of_one_direction_against_another_is_exact(rng: np.random.Generator) -> None:
    directions = rng.normal(size=(20_000, 7))
    z = (directions[:, 0] ** 2 / np.square(directions).sum(axis=1) - 1 / 7) / np.sqrt(2 * 6 / (49 * 9))
    assert kstest(chance_of(z, 7), "uniform").pvalue > 0.001


@pytest.fixture
def runs(rng: np.random.Generator) -> list[MemoryRun]:
    first, second = rng.normal(size=(4, 6, 5)), rng.normal(size=(5, 8, 5))
    second[2, 1] = 0
    second[4] = np.nan
    first[3] = 0
    return [
        MemoryRun({"fc": first, "out": first[:, :2]}, steps=np.array([0, 1, 2, 9]), block=3),
        MemoryRun({"fc": second, "out": second[:, :2, :4]}, steps=np.array([0, 2, 3, 9, 11]), block=2),
    ]


def test_every_number_of_two_runs(runs: list[MemoryRun]) -> None:
    told: list[float] = []
    result = compute(runs, progress=told.append)
    assert result.layers == ("fc",)  # `out` has other inputs in the second
    assert_array_equal(result.steps, [0, 2, 9])
    assert (result.runs, result.pairs) == (("memory (1)", "memory (2)"), ((0, 1),))
    for i, step in enumerate(result.steps[:2]):
        a, b = (reference.live(run.neurons("fc", step).tolist()) for run in runs)
        (first, cross), (_, second) = frame_potentials([np.array(a), np.array(b)])
        pairs = len(a) * len(b)
        assert_allclose(result.cross[0, i, 0], cross, rtol=1e-12)
        assert_allclose(result.normalised[0, i, 0], cross / pairs, rtol=1e-12)
        assert_allclose(result.overlap[0, i, 0], cross / np.sqrt(first * second), rtol=1e-12)
        # the mean is subtracted, which costs digits
        z = (cross - pairs / 5) / np.sqrt(2 * (first - len(a) ** 2 / 5) * (second - len(b) ** 2 / 5) / (4 * 7))
        assert_allclose(result.z[0, i, 0], z, rtol=1e-9)
        assert_allclose(result.null_mean[0, i, 0], 1 / 5, rtol=1e-12)
    assert np.isnan([result.cross[0, 2], result.z[0, 2], result.overlap[0, 2]]).all()
    assert told[-1] == 1


def test_a_run_overlaps_with_itself(rng: np.random.Generator) -> None:
    run = MemoryRun({"fc": rng.normal(size=(2, 20, 9)).astype(np.float32)})
    other = MemoryRun({"fc": run.neurons("fc", 0)[None, ::-1] * np.float32(-2)}, steps=np.array([0]))
    assert_allclose(compute([run, other]).overlap, 1, rtol=1e-12)


@pytest.mark.parametrize("directions", [0, 1, 2, 5])
@pytest.mark.parametrize("inputs", [3, 60])
def test_independent_runs_claim_nothing_however_aligned_each_is(
    rng: np.random.Generator, directions: int, inputs: int
) -> None:
    claimed = 0
    for _ in range(200):
        rows = [
            np.stack([aligned(rng, 30, inputs, 0), aligned(rng, 30, inputs, directions)]).astype(np.float32)
            for _ in range(2)
        ]
        found = list(findings(compute([MemoryRun({"fc": each}) for each in rows])))
        claimed += sum(each.significant for each in found)
    assert claimed <= 8  # of 200; at a level of 1 % more have a chance below 0.0003


def test_runs_that_come_to_the_same_directions_are_told_and_runs_born_alike_are_not(rng: np.random.Generator) -> None:
    start, goal = rng.normal(size=(2, 30, 20)), rng.normal(size=(3, 20))
    ends = [goal[rng.integers(3, size=30)] + 0.3 * rng.normal(size=(30, 20)) for _ in range(2)]
    apart = [MemoryRun({"fc": np.stack([start[i], ends[i]])}) for i in range(2)]
    (found,) = findings(compute(apart))
    assert (found.layer, found.step, found.significant, found.level) == ("fc", 1, True, LEVEL)
    assert "come to use the same directions" in found.text
    alike = [MemoryRun({"fc": np.stack([start[0], end])}) for end in ends]
    (found,) = findings(compute(alike))
    assert not found.significant
    assert "from the first step on" in found.text


def test_a_tight_frame_tells_nothing(rng: np.random.Generator) -> None:
    square = [np.linalg.qr(rng.normal(size=(8, 8)))[0].astype(np.float32)[None] for _ in range(2)]
    result = compute([MemoryRun({"fc": rows}) for rows in square])
    assert np.isnan([result.z, result.chance]).all()
    assert list(findings(result)) == []


def test_three_runs_make_three_pairs(rng: np.random.Generator) -> None:
    result = compute([MemoryRun({"fc": rng.normal(size=(2, 4, 3))}) for _ in range(3)])
    assert result.pairs == ((0, 1), (0, 2), (1, 2))
    assert result.cross.shape == (3, 2, 1)


def test_many_runs_are_looked_at_in_fewer_steps_and_drawn_as_maps(rng: np.random.Generator) -> None:
    runs = [MemoryRun({"fc": rng.normal(size=(80, 4, 3)), "out": rng.normal(size=(80, 2, 4))}) for _ in range(6)]
    result = compute(runs)
    assert len(result.pairs) * len(result.shown) <= 600
    assert (result.shown[0], result.shown[-1], result.cross.shape) == (0, 79, (15, 40, 2))
    *maps, table = charts(result)
    assert [(type(chart), chart.layer) for chart in maps] == [(HeatMap, "fc"), (HeatMap, "out")]
    for (a, b), z in zip(result.pairs, result.z[:, -1, 1], strict=True):
        assert maps[1].values[a, b] == maps[1].values[b, a] == z
    assert np.isnan(np.diag(maps[1].values)).all()
    assert isinstance(table, Table)


def test_few_steps_are_read_at_a_time(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [MemoryRun({"fc": rng.normal(size=(9, 4, 3))}, block=4) for _ in range(3)]
    whole = compute(runs)
    monkeypatch.setattr("wdyn.analyses._runs.TOGETHER", 2 * 4 * 3 * 12)  # two steps of all three runs
    assert_array_equal(compute(runs).cross, whole.cross)


def test_what_has_nothing_in_common_is_refused(runs: list[MemoryRun]) -> None:
    with pytest.raises(MisuseError, match="at least 2 runs, not 1"):
        compute(runs[:1])
    with pytest.raises(MisuseError, match="no layer has the same name and number of inputs"):
        compute([runs[0].select(layers="out"), runs[1]])
    with pytest.raises(MisuseError, match="no step was recorded in all"):
        compute([runs[0].select(steps=[1]), runs[1]])


def test_charts_carry_the_results(runs: list[MemoryRun]) -> None:
    result = compute(runs)
    square, overlap, z, table = charts(result)
    for chart, values in ((square, result.normalised), (overlap, result.overlap), (z, result.z)):
        assert isinstance(chart, Lines)
        assert_array_equal(chart.y["fc"], values[0, :, 0])
        assert "memory (1) and memory (2)" in chart.title
    assert isinstance(square, Lines)
    assert_allclose(np.mean(square.bands["fc"], axis=0), result.null_mean[0, :, 0], rtol=1e-14)
    assert isinstance(table, Table)
    assert_array_equal(table.columns["z, first"], result.z[0, 0])


def test_analysis_is_for_comparing() -> None:
    assert ANALYSIS.compute is compute
    assert ANALYSIS.takes == "runs"
