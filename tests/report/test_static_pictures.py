"""Still pictures for readers without scripts: well-formed, small, of the chart's own numbers, names only as text."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.report.test_page import HOSTILE
from wdyn.analyses._charts import (
    Bars,
    Bridge,
    Chart,
    CurvesThroughTime,
    Edges,
    GraphThroughTime,
    HeatMap,
    ImagesThroughTime,
    Lifelines,
    Lines,
    MatrixThroughTime,
    PointsThroughTime,
    Table,
)
from wdyn.report.page import PARTS
from wdyn.report.static_pictures import first_picture, static_picture
from wdyn.report.static_pixels import STOPS

WORDS = ("step", "value")


def of_every_kind(name: str, rng: np.random.Generator, size: int = 300) -> list[Chart]:
    """As large as they get."""
    steps, xy = np.arange(60), rng.normal(size=(60, size, 2))
    pairs = Edges(rng.integers(0, size, 2000), rng.integers(0, size, 2000), rng.random(2000).astype(np.float32))
    groups = np.arange(size) % 20 - 1
    graph = GraphThroughTime(
        name, steps, np.arange(size), np.ones((60, size)), [pairs] * 60, 0.5, 0.1, xy[0], groups, name, name, name
    )
    values = {f"{name[:40]}{k}": rng.normal(size=5000) for k in range(50)}
    return [
        Lines(name, np.arange(5000), values, name, name, x_scale="log", y_scale="log", reference={name: 1.0}),
        Bars(name, [name] * 40, {f"{name}{k}": rng.normal(size=40) for k in range(6)}, name, name),
        HeatMap(name, steps, rng.normal(size=(size, 60)), [name] * size, name, name, name, diverging=True),
        MatrixThroughTime(
            name, steps[:1], rng.normal(size=(1, 256, 256)), [[k] for k in range(256)], -1, 1, name, name
        ),
        PointsThroughTime(name, steps, xy, np.arange(size), groups, name, name, name),
        graph,
        CurvesThroughTime(name, steps, np.arange(300), xy[..., 0], xy[..., 1], name, name, name, name),
        Lifelines(name, steps, np.arange(16), rng.integers(1, 9, (60, 16)), [Bridge(1, 0, 1, 2, 0.5)], name, name),
        ImagesThroughTime(
            name, steps[:1], rng.normal(size=(1, size, 1, 28, 28)), np.arange(size), np.zeros((size, 1), int), 1, 1.0,
            name, name, name,
        ),
    ]  # fmt: skip


def test_no_kind_of_chart_is_forgotten(rng: np.random.Generator) -> None:
    assert {type(chart) for chart in of_every_kind("a", rng)} == set(get_args(Chart)) - {Table}


@pytest.mark.parametrize("name", HOSTILE)
def test_every_kind_is_small_and_well_formed_and_names_are_text(rng: np.random.Generator, name: str) -> None:
    for chart in of_every_kind(name, rng):
        svg = static_picture(chart)
        assert 300 < len(svg.encode()) <= 10_000, type(chart)
        tags = {each.tag for each in ElementTree.fromstring(svg).iter()}
        assert tags <= {"svg", "title", "path", "rect", "text", "image"}
        assert svg == static_picture(chart)
        assert "\u202e" not in svg
        assert "NaN" not in svg.replace(name, "")


def test_lines_are_drawn_where_their_values_are() -> None:
    x, y = np.array([0.0, 1.0, 4.0]), np.array([0.0, 10.0, np.nan])
    svg = static_picture(Lines("t", x, {"a": y, "b": np.array([10.0, 0.0, 0.0])}, *WORDS))
    first, second = re.findall(r'd="(M[^"]*)" style="fill:none;stroke:var\(--c', svg)
    points = [tuple(map(float, point)) for point in re.findall(r"[ML]([\d.]+) ([\d.]+)", first)]
    assert points == [(60, 222), (161, 36)]  # a quarter of the way, and then a gap
    assert re.findall(r"[ML]([\d.]+) ([\d.]+)", second)[-1] == ("464", "222")
    assert {"0", "4", "10"} <= {each.text for each in ElementTree.fromstring(svg).iter("text")}


def test_a_line_with_a_value_now_and_then_is_drawn() -> None:
    y = np.where(np.arange(1000) % 100 == 7, 1.0, np.nan)
    svg = static_picture(Lines("t", np.arange(1000), {"a": y}, *WORDS)).split("--line")[1]
    (line,) = re.findall(r'd="(M[^"]*)" style="fill:none;stroke:var', svg)
    assert line.count("L") == 9


def test_bars_grow_from_zero() -> None:
    svg = static_picture(Bars("t", ["a", "b"], {"s": np.array([1.0, -1.0])}, *WORDS))
    up, down = (tuple(map(float, bar)) for bar in re.findall(r'y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', svg))
    assert up[0] + up[1] == down[0]
    assert up[1] == down[1]


def test_a_heat_map_has_a_pixel_for_each_value_and_none_for_what_is_missing() -> None:
    values = np.array([[0.0, 1.0, np.nan], [1.0, 0.5, 0.0]])
    codes, palette, alpha = read_png(static_picture(HeatMap("t", np.arange(3), values, [0, 1], *WORDS, "norm")))
    assert codes.tolist() == [[0, 30, 31], [30, 15, 0]]
    assert palette[[0, 30]].tolist() == [[0x44, 0x01, 0x54], [0xFD, 0xE7, 0x25]]
    assert alpha == [255] * 31 + [0]


def test_kinds_have_colours_of_their_own() -> None:
    chart = HeatMap("t", np.arange(2), np.array([[0.0, 9.0]]), [0], *WORDS, "group", categorical=True)
    codes, palette, _ = read_png(static_picture(chart))
    assert codes.tolist() == [[0, 1]]
    assert palette[1].tolist() == [0xE6, 0x87, 0x00]


def test_the_colours_are_those_of_the_page() -> None:
    script, style = ((PARTS / name).read_text(encoding="utf-8") for name in ("colour.js", "style.css"))
    for name, known in (("sequential", STOPS["sequential"]), ("divergingLight", STOPS["diverging"])):
        (stops,) = re.findall(rf"{name}: \[(.*?)\]", script)
        assert tuple(re.findall(r"#(\w{6})", stops)) == known
    assert tuple(re.findall(r"--c\d: light-dark\(#(\w{6})", style)) == STOPS["kinds"]


def test_what_cannot_be_drawn_gives_way_to_what_can() -> None:
    nothing = Lines("t", np.arange(2), {"a": np.full(2, np.nan)}, *WORDS)
    bars = Bars("t", ["a"], {"s": np.ones(1)}, *WORDS)
    assert first_picture([Table("t", {"a": [1]}), nothing, bars]) == (2, static_picture(bars))
    assert first_picture([nothing]) == (-1, "")


@pytest.mark.parametrize("size", [0, 1])
def test_nothing_and_one_of_everything(rng: np.random.Generator, size: int) -> None:
    empty = np.zeros(size)
    charts: list[Any] = [
        Lines("t", empty, {"a": empty}, *WORDS, y_scale="log"),
        Lines("t", empty, {}, *WORDS),
        Bars("t", ["a"] * size, {"s": empty}, *WORDS),
        HeatMap("t", empty, np.zeros((size, size)), [0] * size, *WORDS, "norm"),
        PointsThroughTime("t", np.arange(size), np.zeros((size, size, 2)), empty, np.zeros(size, int), "g", "", "a"),
        Lifelines("t", np.arange(size), np.arange(size), np.ones((size, size), int), [], "", "a"),
    ]
    for chart in charts:
        svg = static_picture(chart)
        assert not svg or ElementTree.fromstring(svg).tag == "svg"
        assert "nan" not in svg


def read_png(svg: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Codes, palette and opacity, by the chunks of the PNG specification."""
    found = re.search(r"base64,([^\"]+)", svg)
    assert found is not None
    data, at, chunks = base64.b64decode(found[1]), 8, {}
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, width + 1)
    return rows[:, 1:], np.frombuffer(chunks[b"PLTE"], dtype=np.uint8).reshape(-1, 3), list(chunks[b"tRNS"])
