from __future__ import annotations

import numpy as np
import pytest

from wdyn.report.thin import thin_columns, thin_lines


def test_short_lines_stay_whole() -> None:
    assert thin_lines([np.zeros(7)], 10).tolist() == list(range(7))
    assert thin_lines([]).tolist() == []


@pytest.mark.parametrize("count", [1, 3, 40])
def test_no_peak_is_lost(rng: np.random.Generator, count: int) -> None:
    series = [rng.normal(size=20_000) for _ in range(count)]
    for k, values in enumerate(series):
        values[1_000 + 37 * k], values[15_000 - 41 * k] = 100, -100
        values[5_000:5_100] = np.nan
    at = thin_lines(series, 1_500)
    assert at[0] == 0
    assert at[-1] == 19_999
    assert len(at) <= 1_500
    assert (np.diff(at) > 0).all()
    for k in range(count):
        assert {1_000 + 37 * k, 15_000 - 41 * k} <= set(at.tolist())


def test_all_missing_is_no_error() -> None:
    assert thin_lines([np.full(100, np.nan)], 10)[-1] == 99


@pytest.mark.parametrize(
    ("rows", "columns", "expected"), [(10, 5, 5), (10, 5_000, 240), (1_000, 5_000, 100), (50_000, 900, 24)]
)
def test_columns_of_a_heat_map(rows: int, columns: int, expected: int) -> None:
    at = thin_columns(rows, columns)
    assert len(at) == expected
    assert (at[0], at[-1]) == (0, columns - 1)


def test_no_columns() -> None:
    assert thin_columns(3, 0).tolist() == []
