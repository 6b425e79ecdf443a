"""The blocks of a page come back bit by bit, by a decoder written here from their description."""

from __future__ import annotations

import base64
import gzip
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some
from numpy.testing import assert_allclose, assert_array_equal

from wdyn.report.codec import TYPES, Blocks, extent, packed_text, quantise, real


def decode(text: str, ref: dict[str, Any]) -> np.ndarray:
    """One byte and one number at a time."""
    store = gzip.decompress(base64.b64decode(text))
    width, count = np.dtype(ref["type"]).itemsize, math.prod(ref["shape"])
    raw = bytearray(count * width)
    for i in range(count):
        for b in range(width):
            raw[i * width + b] = store[ref["at"] + b * count + i]
    values = np.frombuffer(bytes(raw), np.dtype(ref["type"]).newbyteorder("<"))
    if ref["delta"]:
        bits, row = 8 * width, count // ref["shape"][0] if count else 0
        whole: list[int] = []
        for i, code in enumerate(int(v) % 2**bits for v in values):
            step = code // 2 if code % 2 == 0 else -(code + 1) // 2
            whole.append((step + (whole[i - row] if i >= row else 0)) % 2**bits)
        values = np.array(whole, dtype=np.uint64).astype(f"u{width}").view(ref["type"])
    return values.reshape(ref["shape"])


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_comes_back(rng: np.random.Generator, dtype: str) -> None:
    values = (rng.normal(size=(4, 3, 5)) * 100).astype(np.int16).astype(dtype)
    blocks = Blocks()
    blocks.add(np.arange(7, dtype=np.uint8))
    ref = blocks.add(values)
    assert_array_equal(decode(blocks.to_text(), ref), values)


@given(some.arrays(np.uint16, some.array_shapes(max_dims=3, max_side=5)))
def test_differences_wrap_around_and_come_back(values: np.ndarray) -> None:
    blocks = Blocks()
    ref = blocks.add(values, delta=True)
    assert_array_equal(decode(blocks.to_text(), ref), values)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32"])
def test_the_ends_of_each_integer_type_come_back_from_differences(dtype: str) -> None:
    ends = np.iinfo(dtype)
    values = np.array([[ends.min], [ends.max], [ends.min], [0], [ends.max]], dtype=dtype)
    blocks = Blocks()
    ref = blocks.add(values, delta=True)
    assert_array_equal(decode(blocks.to_text(), ref), values)


def test_an_empty_array_and_an_unknown_type() -> None:
    blocks = Blocks()
    ref = blocks.add(np.empty((0, 4), dtype=np.uint8), delta=True)
    assert decode(blocks.to_text(), ref).shape == (0, 4)
    with pytest.raises(TypeError, match="int64"):
        blocks.add(np.arange(3))


def test_equal_bytes_give_equal_text() -> None:
    assert packed_text(b"abc") == packed_text(b"abc")
    assert base64.b64decode(packed_text(b"abc"))[4:8] == bytes(4)  # the time field of a gzip header


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(values=st.lists(st.floats(-3, 7), min_size=1, max_size=20))
def test_a_code_is_at_most_half_a_code_off(dtype: type, values: list[float]) -> None:
    top = np.iinfo(dtype).max - 1
    codes = quantise(np.array(values), -3.0, 7.0, dtype)
    # half a code, and rounding of the arithmetic itself
    assert_allclose(-3.0 + codes.astype(float) * 10 / top, values, atol=10 / top / 2 + 1e-12, rtol=0)


def test_zero_is_exact_on_a_cosine_scale_and_what_is_not_finite_has_its_own_code() -> None:
    codes = quantise(np.array([-1.0, 0.0, 1.0, np.nan, np.inf, 5.0]), -1.0, 1.0, np.uint8)
    assert codes.tolist() == [0, 127, 254, 255, 255, 254]


def test_a_scale_without_extent() -> None:
    assert quantise(np.array([2.0, np.nan]), 2.0, 2.0, np.uint8).tolist() == [0, 255]
    assert extent(np.array([np.nan, np.inf])) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0.5, np.nan, np.inf], "float32"),
        ([2**24], "float32"),
        ([2**24 + 1], "float64"),
        ([1e-60], "float64"),
        ([1e60], "float64"),
        ([], "float32"),
    ],
)
def test_numbers_are_narrowed_only_where_nothing_is_lost(values: list[float], dtype: str) -> None:
    assert real(values).dtype == dtype


def test_equal_arrays_are_stored_once(rng: np.random.Generator) -> None:
    values, blocks = rng.normal(size=1000), Blocks()
    first, size = blocks.add(values), len(blocks.to_text())
    assert blocks.add(values.copy()) == first
    assert len(blocks.to_text()) == size
    assert blocks.add(values.reshape(10, 100))["shape"] == [10, 100]
