from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from tests.reference import frame_potential as reference
from wdyn.analyses import _alignment, _neuron_maps, _neurons
from wdyn.analyses import frame_potential as module
from wdyn.analyses._charts import HeatMap, Lines, Table
from wdyn.analyses._leave_one_out import removal_curves, shares
from wdyn.analyses.frame_potential import ANALYSIS, charts, compute, frame_potential
from wdyn.errors import MisuseError

SHAPES = [(1, 1), (1, 4), (4, 1), (3, 5), (5, 3), (40, 7)]


def simplex(classes: int) -> np.ndarray:
    return np.eye(classes) - 1 / classes


def polygon(corners: int) -> np.ndarray:
    angles = np.arange(corners) * 2 * np.pi / corners
    return np.c_[np.cos(angles), np.sin(angles)]


# ---- kernels against the definition and against closed forms


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_agrees_with_the_double_sum(rng: np.random.Generator, shape: tuple[int, int], dtype: type) -> None:
    vectors = rng.normal(size=shape).astype(dtype)
    # both sum in float64; only the order of addition differs
    assert_allclose(frame_potential(vectors), reference.frame_potential(vectors.tolist()), rtol=1e-12)


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        (polygon(3), 4.5),
        (polygon(7), 24.5),
        (np.eye(6)[:, ::-1] * 3, 6),
        (simplex(10), 100 / 9),
        (simplex(2), 4),
        (np.repeat(np.eye(4), 5, axis=0), 20**2 / 4),
        (np.repeat(np.eye(4), 5, axis=0) * np.resize([1, -1], (20, 1)), 20**2 / 4),  # blind to sign
        (np.ones((9, 4)), 81),
        ([[-7.0]], 1),
    ],
    ids=["120 degrees", "7-gon", "orthonormal", "simplex", "two classes", "clusters", "bundles", "one line", "one"],
)
def test_closed_forms(vectors: np.ndarray, expected: float) -> None:
    vectors = np.asarray(vectors, dtype=np.float64)
    assert_allclose(frame_potential(vectors), expected, rtol=1e-12)


@settings(max_examples=60)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_only_directions_up_to_sign_and_order_count(count: int, inputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, inputs))
    before = frame_potential(vectors)
    rotation = np.linalg.qr(rng.normal(size=(inputs, inputs)))[0]
    scale = np.exp(rng.normal(size=(count, 1)) * 20) * rng.choice([-1, 1], size=(count, 1))
    changed = (vectors * scale)[rng.permutation(count)] @ rotation
    # rounding in the rotation is of order 1e-16 per entry
    assert_allclose(frame_potential(changed), before, rtol=1e-12)
    assert max(count, count**2 / inputs) * (1 - 1e-12) <= before <= count**2 * (1 + 1e-12)


def test_a_row_without_direction_is_refused() -> None:
    with pytest.raises(MisuseError, match="first: row 1"):
        frame_potential(np.array([[1.0, 2.0], [0.0, 0.0]]))


# ---- a whole run


@pytest.fixture
def run(rng: np.random.Generator) -> MemoryRun:
    fc1, out = rng.normal(size=(7, 12, 5)), rng.normal(size=(7, 4, 12))
    fc1[3] = fc1[3, :1]  # all on one line
    fc1[4, :10] = 0
    out[5] = 0
    out[6] = simplex(4) @ np.eye(4, 12)
    return MemoryRun(
        {"fc1": fc1, "out": out}, steps=np.arange(7) * 10, block=3, biases={"out": 0.1 * rng.normal(size=(7, 4))}
    )


def test_every_number_of_a_run(run: MemoryRun) -> None:
    result = compute(run)
    for i, step in enumerate(run.steps):
        for j, layer in enumerate(run.layers):
            rows = reference.live(run.neurons(layer, step).tolist())
            n, d = len(rows), run.layers[layer].columns
            assert result.live[i, j] == n
            if n == 0:
                continue
            potential = reference.frame_potential(rows)
            assert_allclose(result.potential[i, j], potential, rtol=1e-12)
            assert_allclose(result.normalised[i, j], potential / n**2, rtol=1e-12)
            assert_allclose(result.over_floor[i, j], potential / max(n, n**2 / d), rtol=1e-12)
            assert_allclose(result.effective_directions[i, j], n**2 / potential, rtol=1e-12)
            mean, deviation = n + n * (n - 1) / d, np.sqrt(4 * n * (n - 1) * (d - 1) / (d**2 * (d + 2)))
            # the mean is subtracted, which costs digits where the potential lies near it
            assert_allclose(result.z[i, j], (potential - mean) / deviation, rtol=1e-9, atol=1e-12)
            assert_allclose(result.null_mean[i, j] * n**2, mean, rtol=1e-12)
            assert_allclose(result.null_deviation[i, j] * n**2, deviation, rtol=1e-12)
            assert_allclose(result.floor[i, j] * n**2, max(n, n**2 / d), rtol=1e-12)
    assert result.normalised[3, 0] == pytest.approx(1, rel=1e-12)
    assert result.tail_probability[3, 0] < 1e-6
    assert_array_equal(result.dead[:, 0], [0, 0, 0, 0, 10, 0, 0])


def test_shares_and_removals_of_a_run(run: MemoryRun) -> None:
    result = compute(run)
    assert_array_equal(result.shown, run.steps)
    for layer in run.layers:
        for i, step in enumerate(run.steps):
            vectors = run.neurons(layer, step)
            live = vectors.any(axis=1)
            assert_array_equal(np.isnan(result.share[layer][i]), ~live)
            for neuron in np.flatnonzero(live):
                others = live & (np.arange(len(live)) != neuron)
                potential = (reference.frame_potential(vectors[rows].tolist()) for rows in (live, others))
                # a difference of two sums of up to 144
                assert_allclose(
                    result.share[layer][i, neuron], next(potential) - next(potential), rtol=1e-12, atol=1e-12
                )
    for end, step in (("at_start", 0), ("at_end", 60)):
        for curve, values in zip(module.CURVES, removal_curves(run.neurons("fc1", step)), strict=True):
            assert_array_equal(getattr(result, f"{curve}_{end}")["fc1"], values)
    first = result.largest_first_at_start["fc1"][0]
    assert_allclose(first, result.over_floor[0, 0], rtol=1e-12)


def test_the_bias_is_one_more_input(run: MemoryRun) -> None:
    result, without = compute(run, bias=True), compute(run)
    assert_array_equal(result.potential[:, 0], without.potential[:, 0])  # that layer has none
    for i, (_, block) in enumerate(MemoryRun.blocks(run.select(steps=slice(5)), "out", bias=True)):
        for k, rows in enumerate(block):
            assert_allclose(result.potential[3 * i + k, 1], reference.frame_potential(rows.tolist()), rtol=1e-12)
    assert_allclose(result.null_mean[0, 1] * 16, 4 + 12 / 13, rtol=1e-12)
    assert result.live[5, 1] == 4  # all weights are zero at that step, and the biases are not
    assert_array_equal(result.normalised[5, 1], 1)


def test_wide_networks_keep_single_neurons_at_fewer_steps(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_neuron_maps, "SHOWN_NUMBERS", 40)
    monkeypatch.setattr(_alignment, "COMPARED", 2)
    history = rng.normal(size=(30, 10, 3))
    result = compute(MemoryRun({"fc": history}, block=7))
    assert result.share["fc"].shape == (4, 10)
    for at, found in zip(result.shown, result.share["fc"], strict=True):
        assert_allclose(found, shares(history[at]), rtol=1e-12)
    assert_array_equal(result.compared, [2])


def test_a_layer_without_live_rows_is_nan_and_counted(run: MemoryRun) -> None:
    result = compute(run)
    assert result.dead[5, 1] == 4
    for name in ("potential", "normalised", "over_floor", "z", "tail_probability", "effective_directions", "floor"):
        assert np.isnan(getattr(result, name)[5, 1]), name


def test_the_last_layer_has_a_collapse_line(run: MemoryRun) -> None:
    result = compute(run)
    assert_allclose(result.collapse, [np.nan, 1 / 3], rtol=1e-15)
    assert_allclose(result.normalised[6, 1], 1 / 3, rtol=1e-12)
    assert_allclose(compute(run.select(layers="out")).collapse, [1 / 3], rtol=1e-15)
    assert np.isnan(compute(run.select(layers="fc1")).collapse).all()  # the model's last layer is not among them
    narrow = MemoryRun({"out": np.ones((1, 5, 3))})
    assert np.isnan(compute(narrow).collapse[0])  # a simplex of 5 needs 4 dimensions


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 1)])
def test_where_chance_has_no_spread_there_is_no_z(shape: tuple[int, int]) -> None:
    result = compute(MemoryRun({"only": np.ones((2, *shape))}))
    assert np.isnan(result.z).all()
    assert np.isnan(result.tail_probability).all()
    assert_array_equal(result.normalised, 1)
    assert_array_equal(result.null_deviation, 0)


@pytest.mark.parametrize("work", [1, 100, 2**19])
@pytest.mark.parametrize("block", [1, 4, 7])
def test_blocks_and_pieces_do_not_matter(
    run: MemoryRun, work: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_neurons, "WORK_NUMBERS", work)
    histories = {name: np.concatenate([part for _, part in run.blocks(name)]) for name in run.layers}
    other = compute(MemoryRun(histories, steps=run.steps, block=block))
    assert_allclose(other.potential, compute(run).potential, rtol=1e-14)


def test_progress_ends_at_one(run: MemoryRun) -> None:
    told: list[float] = []
    compute(run, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


# ---- chance


def kaiming_uniform(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    bound = 1 / np.sqrt(columns)  # torch's default for Linear and convolutions
    return rng.uniform(-bound, bound, size=(rows, columns)).astype(np.float32)


@pytest.mark.parametrize(
    ("rows", "columns"), [(300, 784), (100, 300), (10, 100), (6, 25), (16, 150), (64, 27)], ids=lambda n: str(n)
)
def test_no_signal_at_initialisation(rng: np.random.Generator, rows: int, columns: int) -> None:
    seeds = 100 if rows < 300 else 40
    histories = np.stack([kaiming_uniform(rng, rows, columns) for _ in range(seeds)])
    result = compute(MemoryRun({"layer": histories}, block=20))
    assert (np.abs(result.z) < 3).mean() >= 0.97
    assert abs(result.z.mean()) < 4 / np.sqrt(seeds)
    # a share of 5 % is expected; more than 13 of 100 has a chance below 0.001, more than 8 of 40 below 0.0005
    assert (result.tail_probability < 0.05).sum() <= (13 if seeds == 100 else 8)
    assert (np.abs(result.z) > 2).sum() <= (13 if seeds == 100 else 8)


@pytest.mark.parametrize("name", ["xavier_uniform_", "xavier_normal_", "kaiming_normal_", "orthogonal_"])
def test_torch_initialisations_claim_no_alignment(name: str) -> None:
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    draw = getattr(torch.nn.init, name)
    history = np.stack([draw(torch.empty(40, 60), generator=generator).numpy() for _ in range(50)])
    z = compute(MemoryRun({"layer": history})).z
    if name == "orthogonal_":
        assert (z < -10).all()  # better spread than chance: it sits on the floor
    else:
        assert (np.abs(z) < 3).mean() >= 0.96
        assert abs(z.mean()) < 4 / np.sqrt(50)


def test_three_equal_neurons_among_twenty_are_found(rng: np.random.Generator) -> None:
    vectors = rng.normal(size=(20, 50))
    vectors[1], vectors[2] = vectors[0], -vectors[0]
    assert compute(MemoryRun({"layer": vectors[None]})).tail_probability[0, 0] < 0.001


# ---- charts


def test_charts_carry_the_results(run: MemoryRun) -> None:
    result = compute(run)
    overview, fc1, out, z, effective, table, heat, removal, _, out_removal = charts(result)
    assert isinstance(overview, Lines)
    assert overview.y_scale == "log"
    assert_array_equal(overview.y["out"], result.normalised[:, 1])
    low, high = overview.bands["fc1"]
    assert_allclose((low + high) / 2, result.null_mean[:, 0], rtol=1e-14)
    assert_allclose((high - low) / 4, result.null_deviation[:, 0], rtol=1e-12)
    assert isinstance(fc1, Lines)
    assert fc1.layer == "fc1"
    assert list(fc1.reference) == ["floor"]
    assert isinstance(out, Lines)
    assert out.reference["neural collapse, if this layer is the classifier"] == pytest.approx(1 / 3)
    for chart, values in ((z, result.z), (effective, result.effective_directions)):
        assert isinstance(chart, Lines)
        assert chart.y_scale == "linear"
        assert_array_equal(chart.y["fc1"], values[:, 0])
    assert isinstance(table, Table)
    assert list(zip(table.columns["layer"], table.columns["step"], strict=True)) == [
        ("fc1", 0), ("out", 0), ("fc1", 60), ("out", 60),
    ]  # fmt: skip
    assert_array_equal(table.columns["z"], [*result.z[0], *result.z[-1]])
    fewest, most = effective.bands["fc1"]
    assert_allclose([1 / most, 1 / fewest], [low, high], rtol=1e-14)
    assert isinstance(heat, HeatMap)
    assert heat.diverging
    order = list(heat.rows)
    mean, deviation = 1 + 2 * 11 / 5, np.sqrt(11 * 4 * 2 * 4 / (25 * 7))  # 2 cos² has variance 4 Var Beta(1/2, 2)
    assert_allclose(heat.values[:, 0], (result.share["fc1"][0, order] - mean) / deviation, rtol=1e-9)
    assert np.isnan(heat.values[:, 4]).sum() == 10
    assert isinstance(removal, Lines)
    assert list(removal.y) == [f"{way} first, step {step}" for way in ("largest", "smallest") for step in (0, 60)]
    assert_array_equal(removal.y["smallest first, step 60"], result.smallest_first_at_end["fc1"])
    assert_array_equal(removal.reference["random order, step 0"], result.random_order_at_start["fc1"])
    assert isinstance(out_removal, Lines)
    assert out_removal.layer == "out"


def test_one_step_alone_is_one_row_per_layer(rng: np.random.Generator) -> None:
    table = next(c for c in charts(compute(MemoryRun({"fc": rng.normal(size=(1, 3, 2))}))) if isinstance(c, Table))
    assert table.columns["step"] == [0]
    assert table.columns["live neurons"] == [3]


def test_removals_after_neurons_died_are_padded(rng: np.random.Generator) -> None:
    history = rng.normal(size=(2, 6, 3))
    history[1, :4] = 0
    removal = charts(compute(MemoryRun({"fc": history})))[-1]
    assert isinstance(removal, Lines)
    assert_array_equal(np.isnan(removal.y["largest first, step 1"]), [False] * 2 + [True] * 4)
    history[:] = 0
    assert len(charts(compute(MemoryRun({"fc": history})))[-1].x) == 0


def test_log_bands_stay_positive() -> None:
    # two neurons: two standard deviations below the mean would lie below zero if the potential did not include itself
    result = compute(MemoryRun({"layer": np.random.default_rng(0).normal(size=(2, 2, 9))}))
    assert charts(result)[0].bands["layer"][0].min() > 0


def test_analysis_is_complete() -> None:
    assert ANALYSIS.compute is compute
    assert "Benedetto" in ANALYSIS.reading
    assert ANALYSIS.needs == {"layers"}
