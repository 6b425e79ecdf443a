from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.make_run import layer
from tests.reference import neuron_rows as reference
from wdyn.store.layers import Layer, needed, put_rows, rows_of

SHAPES = {
    "linear": ((4, 3), layer("a", (4, 3))),
    "one neuron": ((1, 1), layer("a", (1, 1))),
    "convolution": ((4, 3, 2, 5), layer("a", (4, 3, 2, 5))),
    "a part of a packed matrix": ((12, 5), layer("a", (4, 5), start=4)),
    "transposed convolution": ((6, 4, 2, 3), layer("a", (4, 36), axis=1)),
    "transposed, groups": ((6, 2, 2, 3), layer("a", (6, 12), axis=1, groups=3)),
    "transposed, depthwise": ((3, 1, 2), layer("a", (3, 2), axis=1, groups=3)),
}


@pytest.mark.parametrize(("shape", "where"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_go_back_to_where_they_came_from(
    rng: np.random.Generator, shape: tuple[int, ...], where: Layer, dtype: type
) -> None:
    before, other = rng.normal(size=(2, *shape)).astype(dtype)
    kept = before.copy()
    rows = rows_of(other[None][:, needed(where)], where)[0]
    changed = put_rows(rows, where, before)
    assert_array_equal(rows_of(changed[None][:, needed(where)], where)[0], rows)
    assert_array_equal(put_rows(rows_of(before[None][:, needed(where)], where)[0], where, changed), before)
    assert_array_equal(before, kept)
    assert changed.dtype == dtype
    assert changed.shape == shape
    elsewhere = np.ones(shape, dtype=bool)
    elsewhere[needed(where)] = False
    assert_array_equal(changed[elsewhere], before[elsewhere])
    assert (changed != before).sum() == rows.size


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_each_weight_of_a_transposed_convolution_reaches_its_channel(rng: np.random.Generator, groups: int) -> None:
    weight = rng.normal(size=(6, 4, 3, 2))
    rows = reference.transposed_convolution(weight, groups)
    where = layer("a", rows.shape, axis=1, groups=groups)
    assert_array_equal(put_rows(rows, where, np.zeros_like(weight)), weight)
