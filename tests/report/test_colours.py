"""The colours of groups and lines stay apart for readers who see fewer colours, in both themes."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

import wdyn.report.page as page
from wdyn.analyses._draw import COLOURS

# Machado, Oliveira & Fernandes, A physiologically-based model for simulation of color vision deficiency (2009)
NO_RED_CONES = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
NO_GREEN_CONES = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
SEEN = {
    "all colours": np.eye(3),
    "no red cones": np.array(NO_RED_CONES),
    "no green cones": np.array(NO_GREEN_CONES),
}
APART = 15.0  # CIE76; about 2.3 is just noticeable between patches side by side
TOKENS = re.findall(r"--c\d: light-dark\((#\w{6}), (#\w{6})\)", (page.PARTS / "style.css").read_text())


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of an sRGB colour as it is seen."""
    code = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    linear = np.clip(seen @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = to_xyz @ linear / np.array([0.9505, 1.0, 1.089])
    fx, fy, fz = (np.cbrt(v) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def closest(colours: list[str], seen: str) -> float:
    places = [lab(colour, SEEN[seen]) for colour in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(places, 2))


def test_white_and_black_are_a_hundred_apart() -> None:
    np.testing.assert_allclose(closest(["#000000", "#ffffff"], "no green cones"), 100, atol=0.1)  # rounded matrices


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("theme", ["light", "dark", "figures"])
def test_colours_stay_apart(seen: str, theme: str) -> None:
    assert len(TOKENS) == 8
    colours = {"light": [t[0] for t in TOKENS], "dark": [t[1] for t in TOKENS], "figures": list(COLOURS)}[theme]
    assert closest(colours, seen) >= APART
