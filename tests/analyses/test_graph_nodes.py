from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses import similarity_graph, similarity_graph_between
from wdyn.analyses._charts import GraphThroughTime, Lines
from wdyn.analyses._graph_chance import norm_by_chance
from wdyn.analyses._graph_nodes import graph_nodes, largest, said


@pytest.mark.parametrize(
    ("norms", "at_most", "expected"),
    [
        ([1, 3, 2], 2, [1, 2]),
        ([2, 2, 5, 2], 2, [0, 2]),
        ([0, np.nan, 1, np.inf], 3, [0, 2, 3]),
        ([np.nan, 0, 0], 2, [0, 1]),
        ([4, 5], 9, [0, 1]),
        ([], 1, []),
    ],
    ids=["by norm", "ties by number", "dead ones last", "all dead", "all of them", "nobody"],
)
def test_largest_by_hand(norms: list[float], at_most: int, expected: list[int]) -> None:
    assert_array_equal(largest(np.array(norms, dtype=float), at_most), expected)


def growing(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(2, N, 20) rows whose lengths at the end are a shuffled 1 to N, and were in the opposite order at the start."""
    rank = rng.permutation(rows)
    unit = rng.normal(size=(2, rows, 20))
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    return unit * np.stack([rows - rank, 1 + rank])[..., None], rank


def test_a_large_layer_is_shown_by_what_is_longest_at_the_end(rng: np.random.Generator) -> None:
    history, rank = growing(rng, 600)
    run = MemoryRun({"fc": history, "small": history[:, :5]})
    result = similarity_graph.compute(run)
    assert_array_equal(result.neurons["fc"], np.flatnonzero(rank >= 600 - 512))
    assert_array_equal(result.neurons["small"], np.arange(5))
    assert_array_equal(result.graphs["fc"].norms[-1].round(), 1 + rank[result.neurons["fc"]])
    graph = next(chart for chart in similarity_graph.charts(result) if isinstance(chart, GraphThroughTime))
    assert graph.caption.endswith(said(512, 600, 1))
    assert "The 512 of largest norm at step 1 of 600 neurons" in graph.caption
    told = [(finding.layer, finding.step) for finding in similarity_graph.findings(result)]
    assert told == [("small", 0), ("fc", 1), ("small", 1)]  # the choice looks ahead from step 0


def test_each_run_is_shown_by_its_own_longest(rng: np.random.Generator) -> None:
    (a, first), (b, second) = growing(rng, 300), growing(rng, 300)
    result = similarity_graph_between.compute([MemoryRun({"fc": 1000 * a}), MemoryRun({"fc": b})])
    assert_array_equal(result.neurons["fc"], np.r_[np.flatnonzero(first >= 44), np.flatnonzero(second >= 44)])
    assert_array_equal(result.owners["fc"], np.repeat([0, 1], 256))
    assert np.isnan(result.distance_low[0, 0])
    assert [finding.step for finding in similarity_graph_between.findings(result)] == [1]
    assert result.distance_low[1, 0] < result.mean_distance[1, 0] < result.distance_high[1, 0]


def test_bands_hold_where_the_choice_did_not_look_ahead(rng: np.random.Generator) -> None:
    """Random directions at both steps, of which those nearest to one direction at the first grow long."""
    start = rng.normal(size=(1500, 20))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    end = rng.normal(size=(1500, 20))
    end *= np.exp(3 * start[:, :1]) / np.linalg.norm(end, axis=1, keepdims=True)
    result = similarity_graph.compute(MemoryRun({"fc": np.stack([start, end])}))
    assert result.mean_distance[0, 0] < 0.49  # random directions were never so near
    assert np.isnan(result.distance_low[0, 0])
    assert np.isnan(result.components_low["fc"][0]).all()
    assert abs(result.mean_distance[1, 0] - 0.5) < 2 * (0.5 - result.distance_low[1, 0])  # the band is two deviations
    for field in ("components", "largest"):
        values, low, high = (getattr(result, f"{field}{end}")["fc"][1] for end in ("", "_low", "_high"))
        assert (low <= values).all()
        assert (values <= high).all()
    curves = [c for c in similarity_graph.charts(result) if isinstance(c, Lines) and c.layer == "fc"]
    assert [list(chart.bands) for chart in curves] == [["step 1"]] * 2


def test_a_step_is_read_only_where_a_choice_is_made(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked = MemoryRun({"fc": rng.normal(size=(2, 6, 3))}), []
    monkeypatch.setattr(run, "neurons", lambda *which: asked.append(which) or np.ones((6, 3)))
    assert_array_equal(graph_nodes(run, "fc", 1, at_most=6), np.arange(6))
    assert asked == []
    assert_array_equal(graph_nodes(run, "fc", 1, at_most=5), np.arange(5))
    assert asked == [("fc", 1)]


def test_norms_of_a_blind_group_are_no_larger_than_chance_gives_among_the_neurons_kept(
    rng: np.random.Generator,
) -> None:
    chances = []
    for _ in range(1000):
        norms, group = rng.lognormal(size=200), rng.permutation(200) < 4
        kept = largest(norms, 100)
        if group[kept].any():
            chances.append(norm_by_chance(norms[kept], group[kept]))
    larger, smaller = (np.array(chances) <= 0.05).sum(axis=0)
    assert max(larger, smaller) <= 72  # 50 expected at most; more than 72 has probability 0.1 %
    assert larger > 10
