"""A graph through time in a page that has no view for it: a table, not a failure."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Edges, GraphThroughTime
from wdyn.report.chart_data import chart_data
from wdyn.report.codec import Blocks
from wdyn.report.static_tables import static_table


def test_a_graph_becomes_a_table_of_its_edges() -> None:
    none = Edges(np.empty(0, dtype=int), np.empty(0, dtype=int), np.empty(0, dtype=np.float32))
    one = Edges(np.array([0]), np.array([1]), np.array([0.5], dtype=np.float32))
    chart = GraphThroughTime(
        "Similarity graph", np.array([0, 9]), np.arange(2), np.ones((2, 2)), [none, one], 0.5, 0.4, np.zeros((2, 2)),
        np.zeros(2, dtype=int), "run", "caption", "fc1",
    )  # fmt: skip
    data = chart_data(chart, Blocks())
    assert (data["kind"], data["layer"]) == ("table", "fc1")
    assert [column["values"] for column in data["columns"]] == [[0, 9], [0, 1], [0.0, 0.5]]
    assert static_table(chart).rows == (("0", "0"), ("9", "1"))
