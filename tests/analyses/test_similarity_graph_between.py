from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from tests.reference import graph as reference
from wdyn.analyses._charts import GraphThroughTime, Lines, Table
from wdyn.analyses.similarity_graph_between import charts, compute, mixed_components
from wdyn.errors import MisuseError


def run(name: str, history: np.ndarray, steps: list[int] | None = None, layer: str = "fc") -> MemoryRun:
    made = MemoryRun({layer: history}, None if steps is None else np.array(steps))
    made.name = name
    return made


def test_sigma_and_distances_between_runs_agree_with_the_definition(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(3, 5, 6)), rng.normal(size=(3, 4, 6))
    result = compute([run("a", a), run("b", b)])
    stacked = np.concatenate([a, b], axis=1).tolist()
    assert_allclose(result.sigma, reference.sigma(stacked), rtol=1e-13)  # both sum in float64
    for t, rows in enumerate(stacked):
        across = [d for (i, j), d in reference.distances(rows).items() if i < 5 <= j]
        assert_allclose(result.mean_distance[t, 0], np.mean(across), rtol=1e-13)
    assert_array_equal(result.neurons["fc"], [0, 1, 2, 3, 4, 0, 1, 2, 3])
    assert_array_equal(result.owners["fc"], [0] * 5 + [1] * 4)


def test_neurons_that_two_runs_share_are_found_and_those_of_one_run_are_not_mixed(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 10, 40)), rng.normal(size=(2, 10, 40))
    b[1, 3] = -2 * a[1, 7]  # opposite: no edge
    b[1, 4:6] = 5 * a[1, 2]
    a[1, 8:10] = a[1, 8]
    result = compute([run("a", a), run("b", b)])
    assert_array_equal(result.mixed[:, 0], [0, 1])
    assert_array_equal(result.in_mixed[:, 0], [0, 3])
    assert_array_equal(result.joined[:, 0], [0, 5])


@pytest.mark.parametrize(
    ("members", "owners", "expected"),
    [([0, 0, 1, 1, -1, -1], [0, 1, 0, 0, 0, 1], [0]), ([-1, -1], [0, 1], []), ([1, 1, 0, 0], [0, 1, 1, 0], [0, 1])],
)
def test_mixed_components_by_hand(members: list[int], owners: list[int], expected: list[int]) -> None:
    assert_array_equal(mixed_components(np.array(members), np.array(owners)), expected)


def test_only_common_steps_and_layers_count(rng: np.random.Generator) -> None:
    a = run("a", rng.normal(size=(4, 3, 5)), [0, 1, 2, 8])
    b = run("b", rng.normal(size=(3, 3, 5)), [0, 2, 9])
    assert_array_equal(compute([a, b]).shown, [0, 2])
    with pytest.raises(MisuseError, match="needs at least 2 runs, not 1"):
        compute([a])
    with pytest.raises(MisuseError, match="no layer has the same name"):
        compute([a, run("b", rng.normal(size=(3, 3, 5)), layer="other")])
    with pytest.raises(MisuseError, match="no step was recorded in all"):
        compute([a, run("b", rng.normal(size=(1, 3, 5)), [7])])


def test_no_signal_between_independent_starts_over_100_seeds() -> None:
    mixed = outside = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        result = compute([run(name, rng.normal(size=(1, 12, 20))) for name in "ab"])
        mixed += int(result.mixed.sum())
        outside += int(
            ((result.mean_distance < result.distance_low) | (result.mean_distance > result.distance_high)).sum()
        )
    assert mixed <= 4  # at most 1 expected, since only about half of all close pairs are of two runs
    assert outside <= 12  # 5 expected; more than 12 has probability 0.2 %


def test_charts_are_coloured_by_run_and_name_them(rng: np.random.Generator) -> None:
    result = compute([run(name, rng.normal(size=(2, 300, 3))) for name in ("first", "second")])
    graph, joined, _, table = charts(result)
    assert isinstance(graph, GraphThroughTime)
    assert isinstance(joined, Lines)
    assert isinstance(table, Table)
    assert_array_equal(graph.groups, [0] * 256 + [1] * 256)
    assert "Runs: 0 is first, 1 is second. The 512 of largest norm in their runs at step 1 of 600" in graph.caption
    assert_array_equal(joined.y["fc"], result.in_mixed[:, 0])
    assert table.columns["layer"] == ["fc"]


def test_dead_rows_of_one_run(rng: np.random.Generator) -> None:
    result = compute([run("a", np.zeros((1, 3, 5))), run("b", rng.normal(size=(1, 3, 5)))])
    assert_array_equal(result.live, [[3]])
    assert np.isnan(result.mean_distance).all()
    assert charts(result)
