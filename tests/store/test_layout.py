import math
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdyn.store import layout

NASTY = st.text(st.characters() | st.sampled_from("%/.\x00\x1f\x7f\ud800\udcff"), max_size=30)


@given(NASTY)
def test_any_name_survives_escaping(name):
    assert layout.unescape(layout.escape(name)) == name


@given(NASTY)
def test_an_escaped_name_is_never_a_path_and_always_utf8(name):
    link = layout.escape(name)
    assert link
    assert "/" not in link
    assert not link.startswith(".")
    assert not re.search(r"[\x00-\x1f\x7f]", link)
    link.encode()


@given(NASTY, NASTY)
def test_two_names_never_share_a_link(first, second):
    assert (layout.escape(first) == layout.escape(second)) == (first == second)


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("fc1.weight", "fc1.weight"), ("größe.重み", "größe.重み"), ("a/b", "a%2Fb"), ("..", "%2E."), (".", "%2E"),
        ("50%", "50%25"), ("a\nb", "a%0Ab"), ("", "%"), ("\udcff", "%uDCFF"),
    ],
)  # fmt: skip
def test_names_are_escaped_as_format_md_says(name, link):
    assert layout.escape(name) == link


@pytest.mark.parametrize("link", ["a/b", ".x", "%41", "%2f", "a%", "%%", "%uDC", "\x01"])
def test_a_link_that_wdyn_never_writes_is_refused(link):
    with pytest.raises(ValueError, match="not a name that wdyn would write"):
        layout.unescape(link)


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((2000, 300, 784), (32, 1, 784)),  # a row is 784 values: two would be more than 1,024
        ((2000, 100, 300), (32, 3, 300)),  # three rows of 300 fit, in 34 chunks
        ((2000, 10, 100), (32, 10, 100)),
        ((2000, 300), (32, 300)),
        ((2000, 4096), (32, 1024)),
        ((2000, 1025), (32, 513)),  # split evenly, not 1024 + 1
        ((2000, 64, 3, 3, 3), (32, 32, 3, 3, 3)),  # 37 filters fit; 64 are split evenly
        ((2000,), (32,)),
        ((5, 7), (5, 7)),
        ((2, 512, 512, 3, 3), (2, 3, 512, 3, 3)),  # few steps, more values of each: as few chunks as of many steps
        ((20, 300, 784), (20, 2, 784)),
        ((2000, 0, 3), None),
    ],
)
def test_chunks_are_long_in_time_and_short_in_space(shape, chunks):
    assert layout.chunk_shape(shape, 4) == chunks


def test_a_block_of_a_huge_parameter_stays_bounded():
    shape = (1000, 25_000, 4096)  # 400 MB a step
    chunks = layout.chunk_shape(shape, 4)
    assert chunks[0] == 1
    assert math.prod(chunks) <= 1024 * 32
    middle = layout.chunk_shape((1000, 512, 512, 3, 3), 4)  # 9.4 MB a step
    assert middle[0] * 512 * 512 * 9 * 4 <= layout.BLOCK_BYTES < 2 * middle[0] * 512 * 512 * 9 * 4


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.data())
def test_the_grid_covers_every_value_once(shape, data):
    chunks = [data.draw(st.integers(1, n)) for n in shape]
    cells = [
        tuple(range(at, min(at + step, n)) for at, step, n in zip(offset, chunks, shape, strict=True))
        for offset in layout.grid(shape, chunks)
    ]
    assert len(cells) == layout.chunk_count(shape, chunks)
    assert sum(math.prod(map(len, cell)) for cell in cells) == math.prod(shape)
    assert len({tuple(r.start for r in cell) for cell in cells}) == len(cells)


def test_the_alphabet_of_python_names_needs_no_escape():
    name = "layers.0." + string.ascii_letters + "_-" + string.digits
    assert layout.escape(name) == name
