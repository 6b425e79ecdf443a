"""Values → a small PNG as a data URI, with zlib alone."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Scale = Literal["sequential", "diverging", "kinds"]

SHADES = 31  # as many as the eye tells apart; more would be noise to deflate
SHEET = 5_000  # pixels of a sheet of images
STOPS: dict[Scale, tuple[str, ...]] = {  # those of page/colour.js and, for kinds, of page/style.css
    "sequential": ("440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"),
    "diverging": ("1f4e9c", "4f8fce", "a9cfea", "f7f7f5", "f6bfa0", "d9644c", "9c1127"),
    "kinds": ("0073c8", "e68700", "006d47", "954a83", "37a5d1", "b83f0d", "71a159", "39025f"),
}


def pixels(values: Array, low: float, high: float, *, scale: Scale) -> str:
    """A data URI of a picture with a pixel for each value; where there is none, the page shines through.

    Args:
        values: (R, C), at least one; NaN is no value.
        low: value of the first colour.
        high: value of the last one.
        scale: which colours; `kinds` are whole numbers from `low` on.
    """
    shades = len(STOPS[scale]) if scale == "kinds" else SHADES
    finite = np.isfinite(values)
    share = np.where(finite, values - low, 0.0) / (high - low or 1.0)
    codes = np.where(finite, (share.clip(0, 1) * (shades - 1)).round(), shades).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(_png(codes, _palette(STOPS[scale], shades))).decode("ascii")


def sheet(images: Array, low: float, high: float) -> str:
    """The first images side by side in rows, as `pixels`.

    Args:
        images: (N, H, W), at least one.
        low: value of the first colour.
        high: value of the last one.
    """
    _, height, width = images.shape
    every = max(1, int(np.ceil(np.sqrt(height * width / SHEET))))
    images = images[:, ::every, ::every]
    _, height, width = images.shape
    count = max(1, min(len(images), SHEET // ((height + 1) * (width + 1))))
    across = min(count, max(1, round(np.sqrt(2 * count * height / width))))
    tiles = np.full((-(-count // across) * across, height + 1, width + 1), np.nan)
    tiles[:count, :-1, :-1] = images[:count]
    rows = tiles.reshape(-1, across, height + 1, width + 1).swapaxes(1, 2).reshape(-1, across * (width + 1))
    return pixels(rows[:-1, :-1], low, high, scale="diverging")


def _palette(stops: tuple[str, ...], shades: int) -> Array:
    """(shades, 3) uint8."""
    colours = np.array([list(bytes.fromhex(stop)) for stop in stops], dtype=np.float64)
    at = np.linspace(0, len(stops) - 1, shades)
    return (
        np.stack([np.interp(at, np.arange(len(stops)), channel) for channel in colours.T], axis=1).round().astype("u1")
    )


def _png(codes: Array, palette: Array) -> bytes:
    """Indexed colours; the code behind the last colour is transparent."""
    height, width = codes.shape
    rows = np.concatenate([np.zeros((height, 1), dtype=np.uint8), codes], axis=1)  # 0: a row as it is
    return b"\x89PNG\r\n\x1a\n" + b"".join((
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        _chunk(b"PLTE", palette.tobytes() + b"\0\0\0"),
        _chunk(b"tRNS", b"\xff" * len(palette) + b"\0"),
        _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
        _chunk(b"IEND", b""),
    ))  # fmt: skip


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
