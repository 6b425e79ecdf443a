from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from tests.reference import norms as reference
from wdyn.analyses import _neuron_maps, _neurons
from wdyn.analyses._charts import HeatMap, Lines, Table
from wdyn.analyses._dip import dip
from wdyn.analyses.norms import ANALYSIS, charts, compute, movement, origin_of


@pytest.fixture
def history(rng: np.random.Generator) -> np.ndarray:
    """(9, 6, 4): wandering neurons, one that dies, one dead from the start, one that turns NaN, one that stays."""
    steps = np.cumsum(rng.normal(size=(9, 6, 4)), axis=0).astype(np.float32)
    steps[5:, 1] = 0
    steps[:, 2] = 0
    steps[7:, 3, 0] = np.nan
    steps[:, 4] = steps[0, 4] * np.linspace(1, 1.05, 9)[:, None]
    return steps


def expected(history: np.ndarray) -> dict[str, np.ndarray]:
    rows = history.tolist()
    count, neurons = len(rows), range(len(rows[0]))
    return {
        "norm": np.array([[reference.norm(now[n]) for n in neurons] for now in rows]),
        "distance": np.array([[reference.distance(now[n], rows[0][n]) for n in neurons] for now in rows]),
        "cosine": np.array([[reference.cosine(now[n], rows[0][n]) for n in neurons] for now in rows]),
        "update": np.array(
            [[reference.update(rows[t][n], rows[t - 1][n]) if t else np.nan for n in neurons] for t in range(count)]
        ),
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("block", [1, 2, 9])
@pytest.mark.parametrize("work", [1, 2**19])
def test_single_neurons_agree_with_the_loop(
    history: np.ndarray, dtype: type, block: int, work: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_neurons, "WORK_NUMBERS", work)
    history = history.astype(dtype)
    result = compute(MemoryRun({"fc": history}, block=block))
    assert_array_equal(result.shown, np.arange(9))
    for name, values in expected(history).items():
        # both in float64; only the order of addition differs. A cosine of a neuron with itself may round below 1
        assert_allclose(getattr(result, name)["fc"], values, rtol=1e-12, atol=1e-15, err_msg=name)


def test_counts(history: np.ndarray) -> None:
    result = compute(MemoryRun({"fc": history}))
    assert_array_equal(result.dead[:, 0], [1] * 5 + [2] * 4)
    assert_array_equal(result.non_finite[:, 0], [0] * 7 + [1] * 2)
    still = [[reference.still(now[n], history[0].tolist()[n]) for n in (0, 4, 5)] for now in history.tolist()]
    wandering = [t for t in range(9) if result.still[t, 0] > sum(still[t])]
    assert result.still[0, 0] == 5  # all but the one without a start
    assert set(wandering) <= set(range(7))  # neurons 1 and 3, while they live
    assert result.still[-1, 0] == sum(still[-1]) == 1


@pytest.mark.parametrize(
    ("turn", "growth", "still"),
    [
        (0.0, 1.0, True),
        (25.8, 1.0, True),
        (25.9, 1.0, False),
        (0.0, 1.099, True),
        (0.0, 1.101, False),
        (0.0, 0.899, False),
    ],
)
def test_never_trained_means_little_turn_and_little_growth(turn: float, growth: float, still: bool) -> None:
    start = np.array([[2.0, 0.0]])  # arccos(0.9) is 25.84 degrees
    end = growth * 2 * np.array([[np.cos(np.radians(turn)), np.sin(np.radians(turn))]])
    assert compute(MemoryRun({"fc": np.stack([start, end])})).still[1, 0] == still


def test_quantiles_over_live_neurons(rng: np.random.Generator) -> None:
    history = rng.normal(size=(4, 50, 3))
    history[2, 7] = np.nan
    result = compute(MemoryRun({"fc": history}))
    lengths = np.linalg.norm(history, axis=-1)
    assert_allclose(result.norm_quantiles[:, 0].T, np.nanquantile(lengths, [0.1, 0.5, 0.9], axis=-1), rtol=1e-12)
    assert np.isnan(result.update_quantiles[0, 0]).all()
    assert_allclose(result.distance_quantiles[0, 0], 0, atol=0)
    assert_allclose(result.cosine_quantiles[0, 0], 1, rtol=1e-15)


def test_rotation_and_scale(rng: np.random.Generator) -> None:
    history = rng.normal(size=(5, 7, 6))
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    before, after = (movement(h, origin_of(h[0]), None) for h in (history, 3 * history @ rotation))
    # rounding of the rotation; the cosine of a neuron with itself is 1 up to rounding
    assert_allclose(after.norm, 3 * before.norm, rtol=1e-12)
    assert_allclose(after.distance, 3 * before.distance, rtol=1e-12)
    assert_allclose(after.cosine, before.cosine, rtol=1e-12, atol=1e-14)
    assert_allclose(after.update, before.update, rtol=1e-12)


def test_huge_and_tiny_float64_weights_do_not_overflow() -> None:
    rows = np.array([[3.0, 4.0], [4.0, 3.0]])
    history = np.stack([rows * np.array([[1e200], [1e-200]]), rows * np.array([[2e200], [1e-200]])])
    result = compute(MemoryRun({"fc": history}))
    assert_allclose(result.norm["fc"][0], [5e200, 5e-200], rtol=1e-14)
    assert_allclose(result.update["fc"][1], [1, 0], rtol=1e-14)
    assert_allclose(result.cosine["fc"], 1, rtol=1e-14)


def test_a_neuron_that_wakes_up_has_no_cosine_to_its_start() -> None:
    history = np.array([[[0.0, 0.0]], [[3.0, 4.0]], [[3.0, 4.0]]])
    result = compute(MemoryRun({"fc": history}))
    assert_array_equal(result.cosine["fc"], np.nan)
    assert_array_equal(result.distance["fc"][:, 0], [0, 5, 5])
    assert_array_equal(result.update["fc"][:, 0], [np.nan, np.nan, 0])
    assert_array_equal(result.still[:, 0], 0)


def test_wide_networks_keep_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_neuron_maps, "SHOWN_NUMBERS", 100)
    result = compute(MemoryRun({"fc": np.ones((40, 10, 2))}, steps=np.arange(40) * 5))
    assert result.norm["fc"].shape == (10, 10)
    assert_array_equal(result.shown[[0, -1]], [0, 195])
    assert result.norm_quantiles.shape == (40, 1, 3)


def test_two_groups_of_norms_are_found(rng: np.random.Generator) -> None:
    history = rng.normal(size=(3, 60, 40))
    history[2, 20:] *= 3
    history[2, 59] = 0
    history[1:, 58] = np.nan
    history[0] = 0
    result = compute(MemoryRun({"fc": history}))
    assert np.isnan([result.dip[0, 0], result.dip_probability[0, 0]]).all()
    assert result.dip_probability[1, 0] > 0.05
    assert result.dip_probability[2, 0] < 0.001
    lengths = np.linalg.norm(history[2], axis=-1)[:58]
    assert_allclose(result.dip[2, 0], dip(lengths), rtol=1e-12)  # dead and NaN rows have no say


@pytest.mark.parametrize("shape", [(300, 784), (10, 100), (64, 27), (16, 150)], ids=str)
@pytest.mark.parametrize("name", ["uniform", "normal"])
def test_freshly_drawn_norms_claim_no_second_peak(rng: np.random.Generator, name: str, shape: tuple[int, int]) -> None:
    seeds = 100 if shape[0] < 300 else 30
    draw = {"uniform": lambda: rng.uniform(-1, 1, size=shape), "normal": lambda: rng.normal(size=shape)}[name]
    history = np.stack([draw().astype(np.float32) for _ in range(seeds)])
    found = compute(MemoryRun({"fc": history})).dip_probability
    # nominal would be 5 and 1.5; norms crowd around their mean, which makes dips smaller than the null's
    assert (found < 0.05).sum() <= 0.05 * seeds
    assert (found < 0.01).sum() <= 1


def test_charts_carry_the_results(history: np.ndarray) -> None:
    result = compute(MemoryRun({"fc": history, "out": history[:, :2]}))
    lengths, distance, cosine, update, peaks, heat, small, table = charts(result)
    values = (result.norm_quantiles, result.distance_quantiles, result.cosine_quantiles, result.update_quantiles)
    for chart, quantiles in zip((lengths, distance, cosine, update), values, strict=True):
        assert isinstance(chart, Lines)
        assert_array_equal(chart.y["fc"], quantiles[:, 0, 1])
        assert_array_equal(chart.bands["out"], quantiles[:, 1, [0, 2]].T)
    assert isinstance(peaks, Lines)
    assert_array_equal(peaks.x, result.shown)
    assert_array_equal(peaks.y["out"], result.dip_probability[:, 1])
    assert isinstance(heat, HeatMap)
    assert heat.layer == "fc"
    assert heat.values.shape == (6, 9)
    assert heat.rows[-1] == 3  # the neuron that is NaN at the end
    assert_array_equal(heat.values, result.norm["fc"].T[list(heat.rows)])
    assert (np.diff(heat.values[:-1, -1]) <= 0).all()
    assert isinstance(small, HeatMap)
    assert small.title.startswith("Norm of all neurons")
    assert isinstance(table, Table)
    assert table.columns["never trained"] == [1, 0]
    assert table.columns["dead"] == [2, 1]
    assert table.columns["not finite"] == [1, 0]


def test_a_deep_network_does_not_fill_the_page(rng: np.random.Generator) -> None:
    layers = {f"layer{i}": rng.normal(size=(3, 400, 2)).astype(np.float32) for i in range(10)}
    result = compute(MemoryRun(layers))
    maps = [chart for chart in charts(result) if isinstance(chart, HeatMap)]
    assert {chart.values.shape for chart in maps} == {(256, 3)}
    assert maps[0].rows[0] == np.argmax(result.norm["layer0"][-1])
    assert maps[0].rows[-1] == np.argmin(result.norm["layer0"][-1])


def test_one_step_alone_claims_no_untrained_neuron(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": rng.normal(size=(1, 3, 2))}))
    assert np.isnan(charts(result)[-1].columns["never trained"]).all()


def test_analysis_is_complete() -> None:
    assert ANALYSIS.compute is compute
    assert "Neyshabur" in ANALYSIS.reading
