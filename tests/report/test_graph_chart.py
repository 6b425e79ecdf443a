"""A graph through time on its way into the page: every edge at every cutoff, in few bytes."""

from __future__ import annotations

import gzip
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.report.graphs import made_graph
from wdyn.analyses._charts import Edges, GraphThroughTime
from wdyn.analyses._graph import LOWEST_CUTOFF, cosine_at
from wdyn.report.chart_data import chart_data
from wdyn.report.codec import Blocks
from wdyn.report.edge_data import TOP, edge_cosines, edge_histories
from wdyn.report.static_tables import static_table


def small(*edges: Edges, sigma: float = 0.5, lowest: float = 0.4, nodes: int = 3) -> GraphThroughTime:
    return GraphThroughTime(
        "Similarity graph", np.arange(len(edges)) * 9, np.arange(nodes), np.ones((len(edges), nodes)), list(edges),
        sigma, lowest, np.zeros((nodes, 2)), np.zeros(nodes, dtype=int), "component", "caption", "fc1",
    )  # fmt: skip


def edges(*each: tuple[int, int, float]) -> Edges:
    i, j, weight = zip(*each, strict=True) if each else ((), (), ())
    return Edges(np.array(i, dtype=int), np.array(j, dtype=int), np.array(weight, dtype=np.float32))


def test_edges_are_codes_of_their_cosine_and_none_is_zero() -> None:
    found = edge_histories(small(edges((0, 1, 0.4), (2, 1, 1.0)), edges((0, 1, 0.7))))
    assert_array_equal(found.pairs, [1, 5])  # 0 * 3 + 1 and 1 * 3 + 2
    assert found.codes[:, 0].tolist() == [1, 1 + TOP]
    assert found.codes[1, 1] == 0
    assert found.knots == [(0, pytest.approx(cosine_at(0.4, 0.5), abs=1e-7)), (TOP, 1.0)]


@pytest.mark.parametrize("chance", [None, 0.01, 0.5, 0.97])
@pytest.mark.parametrize("sigma", [0.05, 0.5, 0.9])
def test_every_cutoff_place_keeps_exactly_the_edges_that_reach_its_cosine(
    rng: np.random.Generator, sigma: float, chance: float | None
) -> None:
    i, j = np.triu_indices(40, 1)
    weight = rng.uniform(LOWEST_CUTOFF, 1.0, len(i)).astype(np.float32)
    chart = small(Edges(i, j, weight), sigma=sigma, lowest=LOWEST_CUTOFF, nodes=40)
    lowest = float(edge_cosines(np.array([LOWEST_CUTOFF]), sigma)[0])
    limit = None if chance is None else lowest + chance * (1.0 - lowest)  # a share of the way
    found = edge_histories(replace(chart, chance=None if limit is None else np.array([limit])))
    assert limit is None or limit in [cosine for _, cosine in found.knots]
    assert_array_equal(found.pairs, i * 40 + j)
    for place in range(TOP + 1):
        # 1e-9: an edge on the very place may fall to either side of it
        reached = found.cutoffs[place]
        cosine = edge_cosines(weight, sigma)
        sure = np.abs(cosine - reached) > 1e-9
        assert_array_equal((found.codes[:, 0] > place)[sure], (cosine >= reached)[sure])


def test_equal_neurons_no_edges_and_no_steps() -> None:
    same = edge_histories(small(edges((0, 1, 1.0), (1, 2, 1.0)), sigma=0.0))
    assert same.codes.tolist() == [[1 + TOP], [1 + TOP]]
    assert same.knots == [(0, 1.0), (TOP, 1.0)]
    for none in (small(edges(), sigma=np.nan), small(nodes=0), small(edges(), nodes=0)):
        assert edge_histories(none).codes.shape == (0, len(none.steps))


def test_sets_of_edges_and_radii_must_fit_the_steps() -> None:
    chart = small(edges())
    with pytest.raises(ValueError, match="2 sets of edges for 1 steps"):
        edge_histories(GraphThroughTime(**chart.__dict__ | {"edges": [edges(), edges()]}))
    with pytest.raises(ValueError, match="do not fit radius"):
        chart_data(GraphThroughTime(**chart.__dict__ | {"radius": np.ones((2, 3))}), Blocks())


def test_what_has_no_length_is_dead_and_json_knows_no_nan() -> None:
    chart = small(edges(), sigma=np.nan)
    data = chart_data(GraphThroughTime(**chart.__dict__ | {"radius": np.array([[np.nan, 0.0, 2.0]])}), Blocks())
    assert (data["kind"], data["layer"], data["sigma"], data["largest"]) == ("graph", "fc1", None, 2.0)


def test_a_graph_takes_few_bytes() -> None:
    """Endpoints and weights as they are would be 20 bytes an edge."""
    chart = made_graph(100, inputs=784, steps=30)
    count = sum(len(each.weight) for each in chart.edges)
    found = edge_histories(chart)
    packed = len(gzip.compress(found.changes.tobytes(), 6)) + 4 * len(found.pairs)
    assert count > 30_000
    assert packed < 1.2 * count


def test_without_scripts_there_are_numbers_of_edges() -> None:
    assert static_table(small(edges(), edges((0, 1, 0.5)))).rows == (("0", "0"), ("9", "1"))
