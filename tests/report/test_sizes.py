"""What takes the room of a page: parts add up, a larger section is larger, and LeNet-300-100 stays within 4 MB."""

from __future__ import annotations

import numpy as np
import pytest

from tests.report.made_up import STEPS, facts, sections
from wdyn.analyses._charts import HeatMap, Lines
from wdyn.report.page import render_page
from wdyn.report.sections import Section
from wdyn.report.sizes import LIBRARY, PAGE, page_sizes, size_words

DEEP = [f"features.stage{i // 10}.block{i % 10}.linear" for i in range(50)]


def _of_each_layer() -> Section:
    x, rows = np.arange(200), list(range(20))
    lines = [Lines("Directions", x, {"live": x % 7, "all": x % 5}, "step", "directions", layer=name) for name in DEEP]
    heats = [HeatMap("Norms", x, np.outer(rows, x), rows, "step", "neuron", "norm", layer=name) for name in DEEP]
    return Section("deep", "Deep", "", charts=(*lines, *heats))


@pytest.fixture(scope="module")
def lenet() -> bytes:
    return render_page(facts(), sections(), STEPS.tolist())


def test_parts_add_up_to_the_page(lenet: bytes) -> None:
    sizes = page_sizes(lenet)
    assert sizes.total() == len(lenet)
    assert set(sizes) == {LIBRARY, PAGE, "umap", "similarity", "metrics", "frame_potential", "norms", "sizes"}
    assert min(sizes.values()) > 0


def test_lenet_with_60_shown_steps_stays_within_4_megabytes(lenet: bytes) -> None:
    assert len(lenet) <= 4e6


def test_numbers_count_as_they_are_compressed(rng: np.random.Generator) -> None:
    heat = HeatMap("t", np.arange(50), rng.normal(size=(200, 50)), list(range(200)), "step", "neuron", "v")
    line = Lines("t", np.arange(3), {"a": np.arange(3.0)}, "x", "y")
    page = render_page(
        facts(), [Section("big", "", "", charts=(heat,)), Section("tiny", "", "", charts=(line,))], [0, 1]
    )
    sizes = page_sizes(page)
    noise = 4 / 3 * 2 * 200 * 50  # two random bytes a number, in base64
    assert noise < sizes["big"] < 1.3 * noise  # with its still picture
    assert sizes["tiny"] < 3000
    assert size_words(page).endswith(f"{PAGE} {sizes[PAGE] / 1e6:.1f} MB, big {sizes['big'] / 1e3:.0f} kB")


def test_fifty_layers_cost_little_besides_their_numbers() -> None:
    page = render_page(facts(dict.fromkeys(DEEP, (20, 20))), [_of_each_layer()], [0, 1, 2])
    sizes = page_sizes(page)
    assert sizes["deep"] <= 20e3  # labels, captions and axes repeat, and three layers are enough without scripts
    assert len(page) - sizes[LIBRARY] <= 250e3


def test_a_page_without_charts_has_no_library() -> None:
    sizes = page_sizes(render_page(facts(), [], [0, 1]))
    assert set(+sizes) == {PAGE}
