from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from tests.reference import frame_potential as reference
from wdyn.analyses import _neurons
from wdyn.analyses import frame_potential as module
from wdyn.analyses._charts import Lines, Table
from wdyn.analyses.frame_potential import ANALYSIS, alignment, charts, compute, frame_potential
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


@pytest.mark.parametrize("compared", [512, 2], ids=["all pairs", "sampled pairs"])
@pytest.mark.parametrize("shape", SHAPES)
def test_alignment_agrees_with_the_double_sums(
    rng: np.random.Generator, shape: tuple[int, int], compared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMPARED", compared)
    block = rng.normal(size=(3, *shape)).astype(np.float32)
    found = alignment(block)
    for i, rows in enumerate(block.tolist()):
        assert_allclose(found.potential[i], reference.frame_potential(rows), rtol=1e-12)
        assert_allclose(found.unnormalised_potential[i], reference.unnormalised_potential(rows), rtol=1e-12)
        sampled = shape[0] > max(shape[1], compared)
        compared_rows = [rows[0], rows[-1]] if sampled else rows
        assert_allclose(found.mean_cosine[i], reference.mean_cosine(compared_rows), rtol=1e-12)


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
    assert_allclose(alignment(vectors[None]).potential, expected, rtol=1e-12)


def test_orthonormal_rows_have_no_cosine_at_all() -> None:
    assert_array_equal(alignment(np.eye(5)[None]).mean_cosine, 0)
    assert_array_equal(alignment(np.eye(5)[None]).potential, 5)


@settings(deadline=None, max_examples=60)
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
    at_once, as_they_were = alignment(changed[None]), alignment(vectors[None])
    assert_allclose(at_once.potential, before, rtol=1e-12)
    # a single pair may be nearly orthogonal, where rounding is relative to 1
    assert_allclose(at_once.mean_cosine, as_they_were.mean_cosine, rtol=1e-12, atol=1e-15)


def test_unnormalised_grows_with_the_fourth_power(rng: np.random.Generator) -> None:
    block = rng.normal(size=(1, 6, 4))
    assert_allclose(
        alignment(block * 3).unnormalised_potential, 81 * alignment(block).unnormalised_potential, rtol=1e-12
    )


def test_a_row_without_direction_is_refused() -> None:
    with pytest.raises(MisuseError, match="first: row 1"):
        frame_potential(np.array([[1.0, 2.0], [0.0, 0.0]]))


@pytest.mark.parametrize("compared", [512, 1], ids=["all pairs", "sampled pairs"])
def test_rows_without_direction_are_left_out_and_counted(
    rng: np.random.Generator, compared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMPARED", compared)
    block = rng.normal(size=(2, 8, 4)).astype(np.float32)
    block[0, 2] = 0
    block[0, 5, 1], block[0, 7, 0] = np.nan, -np.inf
    found = alignment(block)
    kept = np.delete(block[0], [2, 5, 7], axis=0)
    assert_allclose(found.potential[0], reference.frame_potential(kept.tolist()), rtol=1e-12)
    assert_allclose(found.unnormalised_potential[0], reference.unnormalised_potential(kept.tolist()), rtol=1e-12)
    assert_array_equal([found.live, found.dead, found.non_finite], [[5, 8], [1, 0], [2, 0]])


def test_float32_extremes_stay_exact() -> None:
    block = np.array([[[3e38, 0, 0], [0, 1e-45, 0], [1e-45, 1e-45, 0]]], dtype=np.float32)
    assert_allclose(alignment(block).potential, 3 + 4 * 0.5, rtol=1e-12)


# ---- a whole run


@pytest.fixture
def run(rng: np.random.Generator) -> MemoryRun:
    fc1, out = rng.normal(size=(7, 12, 5)), rng.normal(size=(7, 4, 12))
    fc1[3] = fc1[3, :1]  # all on one line
    fc1[4, :10] = 0
    out[5] = 0
    out[6] = simplex(4) @ np.eye(4, 12)
    return MemoryRun({"fc1": fc1.astype(np.float32), "out": out.astype(np.float32)}, steps=np.arange(7) * 10, block=3)


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


def test_a_layer_without_live_rows_is_nan_and_counted(run: MemoryRun) -> None:
    result = compute(run)
    assert result.dead[5, 1] == 4
    for name in ("potential", "normalised", "over_floor", "z", "tail_probability", "effective_directions", "floor"):
        assert np.isnan(getattr(result, name)[5, 1]), name


def test_the_last_layer_has_a_collapse_line(run: MemoryRun) -> None:
    result = compute(run)
    assert_allclose(result.collapse, [np.nan, 1 / 3], rtol=1e-15)
    assert_allclose(result.normalised[6, 1], 1 / 3, rtol=1e-6)  # the simplex was stored in float32
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
    overview, fc1, out, z, effective, cosine, table = charts(result)
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
    assert out.reference["simplex of all rows (neural collapse)"] == pytest.approx(1 / 3)
    for chart, values in ((z, result.z), (effective, result.effective_directions), (cosine, result.mean_cosine)):
        assert isinstance(chart, Lines)
        assert chart.y_scale == "linear"
        assert_array_equal(chart.y["fc1"], values[:, 0])
    assert isinstance(table, Table)
    assert list(zip(table.columns["layer"], table.columns["step"], strict=True)) == [
        ("fc1", 0), ("out", 0), ("fc1", 60), ("out", 60),
    ]  # fmt: skip
    assert_array_equal(table.columns["z"], [*result.z[0], *result.z[-1]])


def test_one_step_alone_is_one_row_per_layer(rng: np.random.Generator) -> None:
    table = charts(compute(MemoryRun({"fc": rng.normal(size=(1, 3, 2))})))[-1]
    assert isinstance(table, Table)
    assert table.columns["step"] == [0]
    assert table.columns["live neurons"] == [3]


def test_log_bands_stay_positive() -> None:
    # two neurons: two standard deviations below the mean would lie below zero if the potential did not include itself
    result = compute(MemoryRun({"layer": np.random.default_rng(0).normal(size=(2, 2, 9))}))
    assert charts(result)[0].bands["layer"][0].min() > 0


def test_analysis_is_complete() -> None:
    assert ANALYSIS.compute is compute
    assert "Benedetto" in ANALYSIS.reading
    assert not ANALYSIS.needs
