from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from tests.reference import spectrum as reference
from wdyn.analyses import _neurons, _spectrum_charts
from wdyn.analyses import spectrum as module
from wdyn.analyses._charts import CurvesThroughTime, Lines, Table
from wdyn.analyses._spectra import bulk, decompose
from wdyn.analyses.spectrum import ANALYSIS, charts, compute


@pytest.fixture
def run(rng: np.random.Generator) -> MemoryRun:
    fc1, out = rng.normal(size=(7, 12, 15)), rng.normal(size=(7, 4, 12))
    fc1[3] = fc1[3, :1]  # rank one
    fc1[4, :5], fc1[4, 6, 2] = 0, np.nan
    out[5] = 0
    return MemoryRun({"fc1": fc1.astype(np.float32), "out": out.astype(np.float32)}, steps=np.arange(7) * 10, block=3)


def test_every_number_of_a_run(run: MemoryRun) -> None:
    result = compute(run)
    assert_array_equal(result.shown, run.steps)
    for t, step in enumerate(run.steps):
        for j, (layer, shape) in enumerate(run.layers.items()):
            rows = [row for row in run.neurons(layer, step).tolist() if np.isfinite(row).all() and any(row)]
            assert result.live[t, j] == len(rows)
            if not rows:
                continue
            values = reference.singular_values(rows)
            values = [value if value > 1e-12 * values[0] else 0.0 for value in values]  # rank one leaves rounding
            values += [0.0] * (min(shape.rows, shape.columns) - len(values))
            assert_allclose(result.singular_values[layer][t], values, rtol=1e-9)
            assert_allclose(result.stable_rank[t, j], reference.stable_rank(values), rtol=1e-9)
            assert_allclose(result.participation_ratio[t, j], reference.participation_ratio(values), rtol=1e-9)
            assert result.outliers[t, j] == reference.outliers(values, len(rows), shape.columns)
    assert_allclose(result.stable_rank[3, 0], 1)
    assert result.outliers[3, 0] == 1
    assert_array_equal(result.non_finite[:, 0], [0, 0, 0, 0, 1, 0, 0])


def test_angles_to_first_and_last(run: MemoryRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEADING", 2)
    monkeypatch.setattr(module, "decompose", lambda block: decompose(block, leading=2))
    result = compute(run)

    def leading(step: int) -> list[list[float]]:
        return np.linalg.svd(run.neurons("fc1", step))[2][:2].tolist()

    for t in (1, 2, 5):
        for angles, end in ((result.angles_to_first, 0), (result.angles_to_last, 60)):
            expected = reference.principal_angles(leading(10 * t), leading(end))
            assert_allclose(angles["fc1"][t], expected, rtol=1e-6)
    assert_allclose(result.angles_to_first["fc1"][0], 0, atol=1e-10)
    assert_allclose(result.angles_to_last["fc1"][-1], 0, atol=1e-10)
    assert np.isfinite(result.angles_to_last["fc1"][3]).tolist() == [True, False]  # rank one
    assert_array_equal(result.angles_to_last["fc1"][0], result.angles_to_first["fc1"][-1])


def test_a_layer_without_live_rows_is_nan(run: MemoryRun) -> None:
    result = compute(run)
    for name in ("entry_deviation", "upper_edge", "stable_rank", "participation_ratio", "stable_rank_by_chance"):
        assert np.isnan(getattr(result, name)[5, 1]).all(), name
    assert result.outliers[5, 1] == 0
    assert np.isnan(result.singular_values["out"][5]).all()
    assert np.isnan(result.angles_to_first["out"][5]).all()


def test_identity() -> None:
    result = compute(MemoryRun({"layer": 3 * np.eye(8)[None]}))
    assert_allclose(result.singular_values["layer"], 3, rtol=1e-15)
    assert_allclose([result.stable_rank, result.participation_ratio], 8, rtol=1e-14)
    assert result.outliers[0, 0] == 0


def test_a_learned_direction_is_found_and_followed(rng: np.random.Generator) -> None:
    start, left, right = rng.normal(size=(40, 60)), rng.normal(size=40), rng.normal(size=60)
    history = start + np.linspace(0, 1, 11)[:, None, None] * np.outer(left, right)
    result = compute(MemoryRun({"layer": history}))
    assert result.outliers[0, 0] == 0
    assert result.outliers[-1, 0] == 1
    assert_allclose(result.entry_deviation[-1, 0], 1, rtol=0.05)  # the outlier does not count as noise
    assert result.stable_rank[-1, 0] < result.stable_rank_by_chance[-1, 0, 0]
    top = result.angles_to_last["layer"][:, 0]
    assert top[5] < result.smallest_angle_by_chance[0, 0]


@pytest.mark.parametrize("work", [1, 100, 2**19])
@pytest.mark.parametrize("block", [1, 4, 7])
def test_blocks_and_pieces_do_not_matter(
    run: MemoryRun, work: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_neurons, "WORK_NUMBERS", work)
    histories = {name: np.concatenate([part for _, part in run.blocks(name)]) for name in run.layers}
    other, same = compute(MemoryRun(histories, steps=run.steps, block=block)), compute(run)
    assert_allclose(other.stable_rank, same.stable_rank, rtol=1e-13)
    # single precision decides nothing; rank one has one direction only
    assert_allclose(other.angles_to_last["fc1"], same.angles_to_last["fc1"], atol=1e-5)


def test_large_layers_show_fewer_steps(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    history = {"layer": rng.normal(size=(50, 6, 8))}
    assert len(compute(MemoryRun(history)).shown) == 50
    monkeypatch.setattr(module, "SHOWN_WORK", 9 * 36 * (8 + 60))
    assert len(compute(MemoryRun(history)).shown) == 8
    monkeypatch.setattr(module, "SHOWN_WORK", 1)
    assert_array_equal(compute(MemoryRun(history)).shown, [0, 49])


def test_progress_ends_at_one(run: MemoryRun) -> None:
    told: list[float] = []
    compute(run, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


# ---- chance


@pytest.mark.parametrize(
    ("rows", "columns"), [(10, 100), (64, 9), (32, 27), (6, 25), (100, 300), (3, 5)], ids=lambda n: str(n)
)
@pytest.mark.parametrize("name", ["kaiming_uniform_", "xavier_uniform_", "xavier_normal_", "normal_", "orthogonal_"])
def test_no_signal_at_initialisation(name: str, rows: int, columns: int) -> None:
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    draw = getattr(torch.nn.init, name)
    drawn = decompose(np.stack([draw(torch.empty(rows, columns), generator=generator).numpy() for _ in range(100)]))
    claims = (bulk(drawn.values, drawn.live, columns).outliers > 0).sum()
    # at most 1 % is claimed; 5 of 100 then have a chance below 0.004
    assert claims <= (0 if name == "orthogonal_" else 4)


def test_false_claims_stay_below_one_percent() -> None:
    rng = np.random.default_rng(5)
    drawn = decompose(rng.normal(size=(4000, 10, 100)))
    claims = (bulk(drawn.values, drawn.live, 100).outliers > 0).sum()
    assert 1 <= claims <= 40  # measured 0.2 to 0.4 %: the test is careful, not blind


def test_ranks_and_angles_of_random_layers_lie_in_their_bands(rng: np.random.Generator) -> None:
    history = (rng.uniform(-1, 1, size=(100, 20, 300)) / np.sqrt(300)).astype(np.float32)
    result = compute(MemoryRun({"layer": history}, block=20))
    for values, chance in (
        (result.stable_rank, result.stable_rank_by_chance),
        (result.participation_ratio, result.participation_ratio_by_chance),
    ):
        outside = (values < chance[..., 0]) | (values > chance[..., 2])
        assert outside.sum() <= 8  # 2 % expected; 9 of 100 has a chance below 0.001
    low, _, high = result.mean_angle_by_chance[0]
    mean = result.angles_to_first["layer"][1:].mean(axis=1)  # 99 independent layers
    assert ((mean < low) | (mean > high)).sum() <= 8


# ---- charts


def test_charts_carry_the_results(run: MemoryRun) -> None:
    result = compute(run)
    stable, ratio, outliers, first, last, *per_layer, table = charts(result)
    assert len(per_layer) == 6
    for chart, values in (
        (stable, result.stable_rank),
        (ratio, result.participation_ratio),
        (outliers, result.outliers),
    ):
        assert isinstance(chart, Lines)
        assert_array_equal(chart.y["fc1"], values[:, 0])
    assert_array_equal(stable.bands["fc1"][0], result.stable_rank_by_chance[:, 0, 0])
    assert_array_equal(stable.bands["out"][1], result.stable_rank_by_chance[:, 1, 2])
    for chart, angles in ((first, result.angles_to_first), (last, result.angles_to_last)):
        assert_allclose(chart.y["fc1"][6], angles["fc1"][6].mean(), rtol=1e-14)
        assert_allclose(chart.y["fc1"][3], angles["fc1"][3, 0], rtol=1e-14)  # rank one: what is there
        assert np.isnan(chart.y["out"][5])
        assert chart.bands["fc1"][0][0] == result.mean_angle_by_chance[0, 0]
    curves, values, losses = per_layer[3:]
    assert curves.layer == values.layer == losses.layer == "out"
    assert isinstance(curves, CurvesThroughTime)
    assert_array_equal(curves.values, result.singular_values["out"])
    assert_array_equal(curves.x, np.arange(result.singular_values["out"].shape[1]) + 1)
    assert_array_equal(values.y["number 1"], result.singular_values["out"][:, 0])
    assert_array_equal(values.reference["Marchenko-Pastur edge, same variance"], result.upper_edge[:, 1])
    assert_array_equal(losses.x, range(5))
    expected = reference.reconstruction_error(result.singular_values["out"][-1].tolist(), 2)
    assert_allclose(losses.y["step 60"][2], expected, rtol=1e-12)
    assert isinstance(table, Table)
    assert table.columns["outliers, last"] == result.outliers[-1].tolist()
    assert {len(column) for column in table.columns.values()} == {2}


def test_what_a_random_layer_loses_is_what_the_dashed_line_says(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"layer": rng.normal(size=(1, 100, 150))}))
    losses = charts(result)[7]
    # eigenvalues of a large random matrix keep their places; the edges are off by about 100**(-2/3) of one value
    assert_allclose(losses.y["step 0"], losses.reference["random entries (Marchenko-Pastur law)"], atol=0.01)


def test_the_bulk_lies_on_the_dashed_curve_and_outliers_have_none(rng: np.random.Generator) -> None:
    weights = rng.normal(size=(2, 100, 150))
    weights[1] += 3 * np.outer(rng.normal(size=100), rng.normal(size=150))  # one direction for all
    result = compute(MemoryRun({"layer": weights}))
    curves = charts(result)[5]
    assert isinstance(curves, CurvesThroughTime)
    assert result.outliers[:, 0].tolist() == [0, 1]
    assert np.isfinite(curves.expected[0]).all()
    assert np.isnan(curves.expected[1, 0])
    # singular values of large random matrices keep their places, but for the edges: see above
    for values, expected in zip(curves.values, curves.expected, strict=True):
        assert_allclose(values[1:], expected[1:], atol=0.05 * result.upper_edge[0, 0])


def test_many_singular_values_are_drawn_at_fewer_ranks_and_steps(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_spectrum_charts, "CURVE_NUMBERS", 96 * 5)
    result = compute(MemoryRun({"layer": rng.normal(size=(9, 100, 120))}))
    curves = charts(result)[5]
    assert isinstance(curves, CurvesThroughTime)
    assert curves.values.shape == curves.expected.shape == (5, 96)
    assert (curves.x[0], curves.x[-1], curves.steps[0], curves.steps[-1]) == (1, 100, result.shown[0], result.shown[-1])
    assert_array_equal(curves.values[-1], result.singular_values["layer"][-1, curves.x - 1])


def test_analysis_is_complete() -> None:
    assert ANALYSIS.compute is compute
    assert "Marchenko-Pastur" in ANALYSIS.reading
    assert ANALYSIS.needs == {"layers"}
