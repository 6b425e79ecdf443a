"""Loading UMAP takes seconds in each process, so these tests share it and use few, small layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import wdyn
from tests.analyses.memory_run import MemoryRun
from tests.make_run import make_run
from wdyn.analyses._charts import Lines, PointsThroughTime
from wdyn.analyses._paths import gather
from wdyn.analyses._umap_library import library
from wdyn.analyses.umap import ANALYSIS, Mode, charts, compute, layout
from wdyn.errors import MisuseError

MODES: tuple[Mode, ...] = ("aligned", "joint")


def clumps(rng: np.random.Generator, steps: int = 6) -> np.ndarray:
    """(S, 36, 20): random at first, then in three clumps of twelve; two equal rows, one row that dies."""
    start = rng.normal(size=(36, 20))
    end = np.repeat(3 * rng.normal(size=(3, 20)), 12, axis=0) + rng.normal(size=(36, 20))
    pull = np.linspace(0, 1, steps)[:, None, None]
    history = (1 - pull) * start + pull * end
    history[:, 7], history[3:, 20] = history[:, 6], 0
    return history.astype(np.float32)


@pytest.mark.parametrize(
    "history",
    [
        np.ones((1, 1, 1)), np.ones((20, 1, 3)), np.ones((4, 30, 1)), np.ones((3, 30, 4)), np.zeros((2, 3, 4)),
        np.full((2, 3, 4), np.nan), np.arange(1.0, 9).reshape(1, 2, 4), np.array([[[1.0]], [[-1.0]]]),
        np.random.default_rng(0).normal(size=(9, 3, 4)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", MODES)
def test_too_little_for_a_graph_falls_back_to_components_and_says_so(history: np.ndarray, mode: Mode) -> None:
    result = compute(MemoryRun({"fc": history}), mode=mode)
    assert result.method == {"fc": "pca"}
    assert result.xy["fc"].shape == (*history.shape[:2], 2)
    assert "Too few distinct neurons for UMAP" in charts(result)[0].caption


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_clumps_are_apart_at_the_end_and_the_picture_can_be_trusted(rng: np.random.Generator, mode: Mode) -> None:
    result = compute(MemoryRun({"fc": clumps(rng)}), mode=mode)
    assert result.method == {"fc": "umap"}
    end = result.xy["fc"][-1]
    centre = np.array([np.nanmean(end[at : at + 12], axis=0) for at in (0, 12, 24)])
    own = np.linalg.norm(end - np.repeat(centre, 12, axis=0), axis=1)
    apart = min(np.linalg.norm(centre[a] - centre[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert np.nanmax(own) < apart
    assert result.trustworthiness[-1, 0] > 0.8
    assert_allclose(result.shuffled[-1, 0], 0.5, atol=0.15)
    assert_array_equal(np.argwhere(np.isnan(result.xy["fc"][..., 0])), [[3, 20], [4, 20], [5, 20]])
    assert_array_equal(result.lost[:, 0], [0, 0, 0, 1, 1, 1])
    assert_array_equal(result.xy["fc"][:, 6], result.xy["fc"][:, 7])


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_same_seed_same_picture_whatever_the_order_of_neurons(rng: np.random.Generator, mode: Mode) -> None:
    history, shuffle = clumps(rng), rng.permutation(36)
    one, again, moved = (
        compute(MemoryRun({"fc": h}), seed=5, mode=mode) for h in (history, history, history[:, shuffle])
    )
    assert_allclose(one.motion_shuffled, moved.motion_shuffled, rtol=1e-12)  # other orders of addition
    assert one.xy["fc"].tobytes() == again.xy["fc"].tobytes()
    assert_array_equal(one.xy["fc"][:, shuffle], moved.xy["fc"])
    assert not np.array_equal(
        one.xy["fc"], compute(MemoryRun({"fc": history}), seed=6, mode=mode).xy["fc"], equal_nan=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_lonely_points_and_sudden_lives_are_placed(rng: np.random.Generator, mode: Mode) -> None:
    history = rng.normal(size=(8, 12, 3))
    history[:3, 1:], history[6] = 0, 0  # one neuron only, at first, and none at one step
    result = compute(MemoryRun({"fc": history}), mode=mode)
    assert result.method == {"fc": "umap"}
    assert_array_equal(np.isfinite(result.xy["fc"]).all(axis=2), history.any(axis=2))
    assert len(np.unique(result.xy["fc"][3], axis=0)) == 12


@pytest.mark.slow
def test_global_random_state_is_left_alone(rng: np.random.Generator) -> None:
    paths = gather(MemoryRun({"fc": clumps(rng)}), "fc")
    np.random.seed(11)  # noqa: NPY002  the legacy state is what must not move
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(11)  # noqa: NPY002
    for mode in MODES:
        layout(paths, seed=0, mode=mode)
    assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


@pytest.mark.slow
def test_charts_draw_the_result_and_state_the_settings(rng: np.random.Generator) -> None:
    told: list[float] = []
    result = compute(MemoryRun({"a": clumps(rng, 3), "b": np.ones((3, 2, 2))}), seed=4, progress=told.append)
    points, _, quality = charts(result)
    assert isinstance(points, PointsThroughTime)
    assert isinstance(quality, Lines)
    assert points.xy is result.xy["a"]
    assert_array_equal(quality.y["a"], result.trustworthiness[:, 0])
    for fact in (
        "up to 10 nearest",
        "weight 0.7",
        "min_dist 0.1",
        "200 epochs",
        "seed 4",
        "36 of 36 neurons, 3 of 3 steps",
        "Trustworthiness",
        f"a neuron moves {np.nanmean(result.motion[:, 0]):.2f} of the picture's spread, "
        f"and {np.nanmean(result.motion_shuffled[:, 0]):.2f} with",
    ):
        assert fact in points.caption
    assert told[-1] == 1.0
    assert 0.5 in told
    assert (np.diff(told) >= 0).all()
    assert ANALYSIS.when == "full"


@pytest.mark.slow
def test_paths_are_calmer_than_steps_in_random_order() -> None:
    """Over several networks: UMAP rounds differently on each processor, and one picture goes either way at times."""
    ratios = []
    for number in range(6):
        result = compute(MemoryRun({"fc": clumps(np.random.default_rng(number), 20)}))
        ratios.append(np.nanmean(result.motion_shuffled) / np.nanmean(result.motion))
    # twelve networks gave 0.8 to 2.3, 1.6 on average; a control that shuffles nothing gives 1
    assert np.exp(np.mean(np.log(ratios))) > 1.2


@pytest.mark.slow
def test_the_joint_picture_says_so(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": clumps(rng, 3)}), mode="joint")
    assert "all steps together" in charts(result)[0].caption
    with pytest.raises(MisuseError, match="There are: aligned, joint"):
        compute(MemoryRun({"fc": clumps(rng, 3)}), mode="apart")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_second_time_needs_no_layout(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WDYN_CACHE", str(tmp_path / "cache"))
    steps = {step: {"fc.weight": now, "out.weight": now[:2]} for step, now in enumerate(clumps(rng, 4))}
    with wdyn.open_run(make_run(tmp_path / "a.h5", steps)) as run:
        first = compute(run, seed=1)
        monkeypatch.setattr("wdyn.analyses.umap.gather", None)
        for again in (compute(run, seed=1), compute(run.select(layers="fc"), seed=1)):
            assert_array_equal(again.xy["fc"], first.xy["fc"])
            assert again.method["fc"] == "umap"
            assert_array_equal(again.motion_shuffled[:, 0], first.motion_shuffled[:, 0])
        with pytest.raises(TypeError):
            compute(run, seed=2)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_what_was_compiled_is_kept_for_the_next_process(rng: np.random.Generator, mode: Mode) -> None:
    layout(gather(MemoryRun({"fc": clumps(rng, 3)}), "fc"), seed=0, mode=mode)
    compiled = [each for each in vars(library()).values() if getattr(each, "signatures", None)]
    own = [each for each in compiled if each.__module__.startswith("umap")]
    assert {"smooth_knn_dist", "compute_membership_strengths"} <= {each.__name__ for each in own}
    for each in own:
        assert len(each.signatures) == 1  # kept under one name: two processes may write it at the same time
        assert list(Path(each.stats.cache_path).glob(f"*.{each.__name__}-*.nbc"))


@pytest.mark.slow
def test_where_nothing_can_be_kept_it_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(type(library().smooth_knn_dist), "enable_caching", refuse)
    assert library.__wrapped__() is library()
