"""Drawings are read back: what matplotlib holds is what the chart says."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from numpy.testing import assert_array_equal

from wdyn.analyses._charts import (
    Bars,
    Bridge,
    CurvesThroughTime,
    Edges,
    GraphThroughTime,
    HeatMap,
    Lifelines,
    Lines,
    MatrixThroughTime,
    PointsThroughTime,
    Table,
)
from wdyn.analyses._draw import NO_GROUP, cell_text, draw, log_positions
from wdyn.analyses._drawn_text import plain, wrapped

STEPS = np.array([0, 1, 10, 100])


def test_lines_hold_the_values_the_band_and_the_reference() -> None:
    values = np.array([1.0, np.nan, 3.0, 4.0])
    chart = Lines(
        "t", STEPS, {"fc1": values}, "step", "y", bands={"fc1": (values - 1, values + 1)}, reference={"floor": 0.5}
    )
    ax = draw(chart)
    line, floor = ax.lines
    assert_array_equal(line.get_xdata(), STEPS)
    assert_array_equal(line.get_ydata(), values)
    assert_array_equal(floor.get_ydata(), [0.5] * 4)
    assert len(ax.collections) == 1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["fc1", "floor", "expected by chance"]


def test_a_log_axis_keeps_step_0_left_of_the_first_step() -> None:
    assert_array_equal(log_positions(STEPS), [0.5, 1, 10, 100])
    assert_array_equal(log_positions(np.array([0])), [1])


def test_bars_are_as_high_as_the_values() -> None:
    ax = draw(Bars("t", ["a", "b"], {"one": np.array([1.0, 2.0]), "two": np.array([3.0, 4.0])}, "x", "y"))
    assert [patch.get_height() for patch in ax.patches] == [1, 2, 3, 4]


def test_a_heat_map_hides_what_is_not_finite_and_centres_on_zero() -> None:
    ax = draw(
        HeatMap("t", STEPS[:2], np.array([[1.0, np.nan], [-3.0, 2.0]]), [0, 1], "step", "neuron", "v", diverging=True)
    )
    image = ax.images[0].get_array()
    assert image is not None
    assert_array_equal(np.ma.getmaskarray(image), [[False, True], [False, False]])
    assert ax.images[0].get_clim() == (-3, 3)


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.full((2, 2), np.nan)])
def test_a_heat_map_of_nothing_is_still_drawn(values: np.ndarray) -> None:
    draw(HeatMap("t", STEPS[:2], values, [0, 1], "step", "neuron", "v")).figure.canvas.draw()


def test_a_matrix_shows_the_step_asked_for() -> None:
    values = np.stack([np.eye(2), np.ones((2, 2))])
    chart = MatrixThroughTime("cosine", STEPS[:2], values, [[0], [1]], -1, 1, "cosine", "fc1")
    assert_array_equal(draw(chart, at=0).images[0].get_array(), np.eye(2))
    assert draw(chart).get_title() == "cosine: fc1, step 1"


def test_points_stand_where_the_chart_says_in_their_groups_colour() -> None:
    xy = np.arange(12, dtype=float).reshape(2, 3, 2)
    chart = PointsThroughTime("t", STEPS[:2], xy, np.arange(3), np.array([-1, 0, 1]), "cluster", "c", "fc1")
    ax = draw(chart, at=0)
    trails, points = ax.collections
    assert_array_equal([path.vertices for path in trails.get_paths()], np.swapaxes(xy[:1], 0, 1))
    assert_array_equal(points.get_offsets(), xy[0])
    assert to_hex(points.get_facecolor()[0]) == NO_GROUP.lower()


def test_points_sized_by_norm_survive_dead_neurons() -> None:
    xy, size = np.full((2, 2, 2), np.nan), np.array([[1.0, np.nan], [0.0, np.nan]])
    chart = PointsThroughTime("t", STEPS[:2], xy, np.arange(2), np.zeros(2, int), "cluster", "c", "fc1", size=size)
    assert_array_equal(draw(chart, at=0).collections[1].get_sizes(), [24, 4])


def graph(*edges: Edges, radius: np.ndarray) -> GraphThroughTime:
    xy, groups = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]), np.array([-1, 0, 1])
    return GraphThroughTime(
        "graph", STEPS[: len(edges)], np.arange(3), radius, edges, 0.5, 0.4, xy, groups, "run", "caption", "fc1"
    )


def test_a_graph_draws_its_edges_weakest_first_and_live_nodes_as_large_as_their_norm() -> None:
    edges = Edges(np.array([0, 0]), np.array([1, 2]), np.array([1.0, 0.7], dtype=np.float32))
    ax = draw(graph(edges, edges, radius=np.array([[1.0, 2.0, 4.0], [1.0, 2.0, np.nan]])), at=0)
    lines, nodes = ax.collections
    assert_array_equal([path.vertices for path in lines.get_paths()], [[[0, 0], [0, 2]], [[0, 0], [1, 0]]])
    assert_array_equal(np.round(lines.get_colors()[:, 3], 2), [0.35, 0.65])
    assert_array_equal(nodes.get_offsets(), [[0, 0], [1, 0], [0, 2]])
    assert_array_equal(nodes.get_sizes(), [3**2, 4.5**2, 7.5**2])
    last = draw(graph(edges, edges, radius=np.array([[1.0, 2.0, 4.0], [1.0, 2.0, np.nan]])))
    assert len(last.collections[1].get_offsets()) == 2
    assert last.get_title() == "graph: fc1, step 1"


@pytest.mark.parametrize("radius", [[0.0, 0.0, 0.0], [np.nan, 0.0, 1.0]])
def test_a_graph_of_nothing_is_still_drawn(radius: list[float]) -> None:
    none = Edges(np.empty(0, dtype=int), np.empty(0, dtype=int), np.empty(0, dtype=np.float32))
    draw(graph(none, radius=np.array([radius]))).figure.canvas.draw()


def test_a_table_says_what_the_columns_say() -> None:
    ax = draw(Table("t", {"layer": ["a$b"], "z": [1.23456]}))
    text = [cell.get_text().get_text() for cell in ax.tables[0].get_celld().values()]
    assert text == [r"a\$b", "1.235", "layer", "z"]
    assert cell_text(np.float32(2.0)) == "2"


def test_an_empty_table_is_drawn_empty() -> None:
    draw(Table("t", {"layer": []})).figure.canvas.draw()


def test_named_columns_of_a_heat_map_are_on_its_axis() -> None:
    names = ["a", "b", "$c$"]
    ax = draw(HeatMap("t", np.arange(3), np.eye(3), names, "run", "run", "v", columns=names))
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", r"\$c\$"]
    assert ax.get_xlabel() == "run"


def test_of_many_lines_the_legend_names_some_and_says_how_many_are_between() -> None:
    chart = Lines("t", STEPS, {f"layer.{i}": np.arange(4.0) for i in range(50)}, "x", "y", reference={"floor": 0})
    legend = draw(chart).get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [*(f"layer.{i}" for i in (0, 10, 20, 29, 39, 49)), "and 44 between, shaded in order", "floor"]


def test_long_names_keep_their_ends_and_no_name_is_mathematics() -> None:
    name = "encoder." + "n" * 5000 + ".$w$"
    ax = draw(Bars("t", [name] * 9, {name: np.arange(9.0)}, "x", "y"))
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == [r"encoder.n…nnnnnn.\$w\$"] * 9
    assert wrapped("a" * 51 + "$b$", 52).split("\n") == ["a" * 51 + r"\$", r"b\$"]
    assert plain("\u202ea\u5c64\n") == r"\u202ea\u5c64 "


def test_colours_of_a_map_can_be_measured_from_the_level_of_each_column_and_cells_name_the_values() -> None:
    values, base = np.array([[0.95, 0.5], [np.nan, 0.6]]), np.array([0.95, 0.6])
    ax = draw(
        HeatMap("t", np.arange(2), values, ["a", "b"], "on", "from", "accuracy", columns=["a", "b"], base=base,
                base_label="its own")
    )  # fmt: skip
    image = ax.images[0].get_array()
    assert image is not None
    np.testing.assert_allclose(image.filled(np.nan), [[0, -0.1], [np.nan, 0]])
    np.testing.assert_allclose(ax.images[0].get_clim(), (-0.1, 0.1))
    assert [text.get_text() for text in ax.texts] == ["0.95", "0.5", "0.6"]
    assert ax.figure.axes[1].get_ylabel() == "accuracy minus its own"


def test_bands_of_groups_are_as_wide_as_they_have_neurons() -> None:
    sizes = np.array([[3, 2], [5, 0]])
    chart = Lifelines("t", np.array([0, 9]), np.array([4, 7]), sizes, [Bridge(1, 1, 0, 2, 0.5)], "caption", "fc1")
    ax = draw(chart)
    bands = [each.get_paths()[0].get_extents() for each in ax.collections]
    first, second, bridge = (each for each in bands if each.width > 0)
    np.testing.assert_allclose([first.height, second.height], [5, 2], rtol=1e-12)  # rounding alone
    assert second.y0 > first.y1
    assert bridge.y0 < first.y1 < second.y0 < bridge.y1
    assert [text.get_text() for text in ax.texts] == ["4", "7"]


def test_curves_are_those_of_some_steps_and_chance_at_the_last() -> None:
    values, expected = np.arange(12.0).reshape(4, 3), np.full((4, 3), 0.5)
    expected[3] = [np.nan, 1, 2]
    chart = CurvesThroughTime("t", STEPS, np.array([1, 2, 5]), values, expected, "random", "rank", "value", "fc1")
    *curves, dashed = draw(chart).lines
    assert_array_equal([line.get_ydata() for line in curves], values)
    assert_array_equal(dashed.get_ydata(), expected[3])
    *_, last, dashed = draw(chart, at=1).lines
    assert_array_equal(last.get_ydata(), values[1])
    assert_array_equal(dashed.get_ydata(), expected[1])
    assert last.get_label() == "step 1"


def test_kinds_have_colours_of_their_own_and_no_scale() -> None:
    chart = HeatMap(
        "t", np.arange(2), np.array([[0.0, 8.0], [np.nan, 2.0]]), [0, 1], "step", "n", "g", categorical=True
    )
    ax = draw(chart)
    (image,) = ax.images
    assert image.get_array().filled(-1).tolist() == [[0, 1], [-1, 2]]  # the first colour comes again
    assert len(ax.figure.axes) == 1
