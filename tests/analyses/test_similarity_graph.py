from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.analyses.memory_run import MemoryRun
from tests.reference import graph as reference
from wdyn.analyses._charts import GraphThroughTime, Lines, Table
from wdyn.analyses._graph import cosine_at
from wdyn.analyses._graph_layer import FEWEST_EDGES, MOST_EDGES, MOST_EDGES_IN_ALL, edges_per_step
from wdyn.analyses._spec import measured_fields
from wdyn.analyses.similarity_graph import ANALYSIS, SimilarityGraph, charts, compute


def graph_of(result: SimilarityGraph) -> GraphThroughTime:
    return next(chart for chart in charts(result) if isinstance(chart, GraphThroughTime))


def test_sigma_and_edges_agree_with_the_definition(rng: np.random.Generator) -> None:
    history = rng.normal(size=(3, 8, 5))
    result = compute(MemoryRun({"fc": history}))
    sigma = reference.sigma(history.tolist())
    assert_allclose(result.sigma, sigma, rtol=1e-13)  # both sum in float64
    assert_allclose(result.lowest_cosine, 1 - 2 * sigma, rtol=1e-12)
    chart = graph_of(result)
    assert chart.sigma == result.sigma[0]
    for rows, edges in zip(history.tolist(), chart.edges, strict=True):
        expected = {pair: reference.weight(d, sigma) for pair, d in reference.distances(rows).items() if d <= sigma}
        found = dict(zip(zip(edges.i.tolist(), edges.j.tolist(), strict=True), edges.weight.tolist(), strict=True))
        assert found.keys() == expected.keys()
        for pair, weight in expected.items():
            assert_allclose(found[pair], weight, rtol=1e-6)  # kept as float32


def test_radius_is_the_norm(rng: np.random.Generator) -> None:
    history = rng.normal(size=(2, 4, 5))
    history[1, 2] = 0
    chart = graph_of(compute(MemoryRun({"fc": history})))
    assert_allclose(chart.radius, np.sqrt((history**2).sum(axis=-1)), rtol=1e-14)


def test_kept_edges_connect_what_all_edges_connect_at_any_cutoff(rng: np.random.Generator) -> None:
    rows = np.repeat(rng.normal(size=(12, 30)), 8, axis=0) + 0.6 * rng.normal(size=(96, 30))
    result = compute(MemoryRun({"fc": rows[None]}))
    chart, nodes = graph_of(result), list(range(96))
    (edges,) = chart.edges
    distance = reference.distances(rows.tolist())
    assert len(edges.i) < sum(d <= chart.sigma for d in distance.values())  # some were dropped
    for cutoff in (0.4, 0.6, 0.8, 0.95):
        kept = edges.weight >= cutoff
        drawn = reference.components(nodes, list(zip(edges.i[kept].tolist(), edges.j[kept].tolist(), strict=True)))
        close = [pair for pair, d in distance.items() if 1 - 2 * d >= cosine_at(cutoff, chart.sigma)]
        assert sorted(map(sorted, drawn)) == sorted(map(sorted, reference.components(nodes, close)))


def bundles(rng: np.random.Generator) -> np.ndarray:
    """(2, 24, 40): random, then 6 + 4 neurons alike, the four of them long."""
    end = rng.normal(size=(24, 40))
    end[:6] = end[0] + 0.2 * rng.normal(size=(6, 40))
    end[6:10] = 3 * (end[6] + 0.2 * rng.normal(size=(4, 40)))
    return np.stack([rng.normal(size=(24, 40)), end])


def test_bundles_are_joined_and_stand_out(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": bundles(rng)}))
    assert_array_equal(result.joined[:, 0], [0, 10])
    assert_array_equal(result.largest_joined[:, 0], [0, 6])
    assert_array_equal(result.component["fc"], [0] * 6 + [1] * 4 + [-1] * 14)
    inside = (result.components["fc"] >= result.components_low["fc"]) & (
        result.components["fc"] <= result.components_high["fc"]
    )
    assert inside[0].all()
    assert not inside[1].all()
    assert result.distance_low[0, 0] < result.mean_distance[0, 0] < result.distance_high[0, 0]
    assert result.mean_distance[1, 0] < result.distance_low[1, 0]
    # the longest neuron of all is one of the four: 4 of 24 by chance
    assert_allclose(result.larger_norm_by_chance["fc"][6:10], 4 / 24, rtol=1e-12)
    table = next(c for c in charts(result) if isinstance(c, Table))
    assert table.columns["neurons"] == [6, 4]
    norms = np.linalg.norm(bundles(np.random.default_rng(0))[1], axis=1)
    assert_allclose(table.columns["largest norm"], [norms[:6].max(), norms[6:10].max()], rtol=1e-12)


def test_findings_claim_edges_where_there_are_some(rng: np.random.Generator) -> None:
    first, last = ANALYSIS.findings(compute(MemoryRun({"fc": bundles(rng)})))
    assert (first.significant, last.significant) == (False, True)
    assert last.text == "fc: 10 neurons joined by edges that chance does not give"


def test_no_signal_at_step_0_over_100_seeds() -> None:
    joined = curves = distances = norms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        weights = {
            "kaiming": rng.uniform(-1, 1, size=(1, 12, 30)) / np.sqrt(30),
            "normal": rng.normal(size=(1, 16, 27)),
            "glorot": rng.normal(size=(1, 10, 100)) / np.sqrt(55),
        }
        result = compute(MemoryRun(weights), seed=seed)
        joined += int((result.joined > 0).sum())
        distances += int(
            ((result.mean_distance < result.distance_low) | (result.mean_distance > result.distance_high)).sum()
        )
        for layer in result.layers:
            outside = [
                (values[layer] < low[layer]) | (values[layer] > high[layer])
                for values, low, high in (
                    (result.components, result.components_low, result.components_high),
                    (result.largest, result.largest_low, result.largest_high),
                )
            ]
            curves += bool(np.any(outside))
            norms += bool((result.larger_norm_by_chance[layer] <= 0.05).any())
    # of 300 layers 3, 3 and 15 are expected; more than 9, 10 and 27 have probabilities below 0.3 %
    assert joined <= 9
    assert curves <= 10
    assert distances <= 27
    assert norms <= 2  # needs a component first


def test_dead_and_non_finite_rows_have_no_edge(rng: np.random.Generator) -> None:
    history = rng.normal(size=(2, 6, 4))
    history[1, 2], history[1, 4, 1] = 0, np.nan
    result = compute(MemoryRun({"fc": history}))
    assert_array_equal(result.live[:, 0], [6, 4])
    edges = graph_of(result).edges[1]
    assert not {2, 4} & {*edges.i.tolist(), *edges.j.tolist()}
    assert_array_equal(graph_of(result).xy[[2, 4]], np.zeros((2, 2)))
    assert np.isfinite(result.components_low["fc"]).all()  # a band for 6 and one for 4 nodes
    assert_array_equal(result.components["fc"][1, -1], 4)


def test_all_dead_one_neuron_and_duplicates() -> None:
    dead = compute(MemoryRun({"fc": np.zeros((2, 3, 4))}))
    assert np.isnan(dead.sigma[0])
    assert graph_of(dead).caption == "No two neurons are live at any step shown."
    one = compute(MemoryRun({"fc": np.ones((2, 1, 4))}))
    assert [len(edges.i) for edges in graph_of(one).edges] == [0, 0]
    same = compute(MemoryRun({"fc": np.ones((2, 5, 4))}))
    assert_allclose(same.sigma, 0, atol=1e-15)
    assert_array_equal(graph_of(same).edges[0].weight, np.ones(10))
    assert_array_equal(same.joined, [[5], [5]])
    signs = compute(MemoryRun({"fc": np.array([[[1.0], [2.0], [-1.0]]])}))
    assert np.isnan(signs.claim_cosine).all()  # one input: no claim possible
    assert not signs.joined.any()
    for result in (dead, one, same, signs):
        assert charts(result)


def test_large_layers_show_512_nodes(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": rng.normal(size=(1, 600, 4))}))
    assert len(result.neurons["fc"]) == result.live[0, 0] == 512
    assert len(graph_of(result).edges[0].i) <= MOST_EDGES + 511


@pytest.mark.parametrize(("layers", "steps"), [(1, 1), (3, 60), (60, 60), (700, 60), (0, 0)])
def test_edges_stay_within_their_budget(layers: int, steps: int) -> None:
    most = edges_per_step(layers, steps)
    assert FEWEST_EDGES <= most <= MOST_EDGES
    assert most == FEWEST_EDGES or most * layers * steps <= MOST_EDGES_IN_ALL


def test_at_most_sixty_steps_blocks_do_not_matter_and_seeds_give_the_same(rng: np.random.Generator) -> None:
    history, told = {"a": rng.normal(size=(70, 5, 4)), "b": rng.normal(size=(70, 3, 4))}, []
    one = compute(MemoryRun(history, block=1), progress=told.append)
    other = compute(MemoryRun(history, block=9))
    assert len(one.shown) == 60
    assert told == [0.5, 1.0]
    for (name, _, value), (_, _, second) in zip(measured_fields(one), measured_fields(other), strict=True):
        for layer in one.layers if isinstance(value, dict) else [None]:
            assert_array_equal(value[layer] if layer else value, second[layer] if layer else second, name)


def test_invariant_under_scale_and_rotation(rng: np.random.Generator) -> None:
    history, turn = bundles(rng), np.linalg.qr(rng.normal(size=(40, 40)))[0]
    one, other = (compute(MemoryRun({"fc": each})) for each in (history, 7 * history @ turn))
    assert_allclose(one.sigma, other.sigma, rtol=1e-12)
    assert_array_equal(one.components["fc"], other.components["fc"])
    assert_array_equal(one.component["fc"], other.component["fc"])


def test_charts_draw_the_result(rng: np.random.Generator) -> None:
    result = compute(MemoryRun({"fc": bundles(rng)}))
    lines = [chart for chart in ANALYSIS.charts(result) if isinstance(chart, Lines)]
    assert_array_equal(lines[0].y["step 1"], result.components["fc"][-1])
    assert_array_equal(lines[1].bands["step 1"][1], result.largest_high["fc"][-1])
    assert_array_equal(lines[2].y["fc"], result.joined[:, 0])


def test_a_run_without_layers() -> None:
    run = MemoryRun({"fc": np.ones((2, 3, 4))}).select(layers="none")
    run.steps = np.arange(2)
    assert compute(run).joined.shape == (2, 0)
    assert charts(compute(run))
