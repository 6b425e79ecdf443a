"""`--report json` against its contract in docs/JSON.md."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from tests.report.made_up import facts
from wdyn.analyses._spec import Finding, Result, measured
from wdyn.report.json_report import render_json
from wdyn.report.plain import plain
from wdyn.report.sections import Section


@dataclass(frozen=True)
class Found(Result):
    shown: np.ndarray
    ratio: np.ndarray = measured("step", "layer", unit="rad")
    norm: dict[str, np.ndarray] = measured("layer", "shown", "neuron")
    total: float = measured()
    helper: str = "not measured"


FOUND = Found(
    "demo",
    np.array([0, 10]),
    ("fc1", "fc2"),
    np.array([10]),
    np.array([[1.5, np.nan], [np.inf, 0.1]], dtype=np.float32),
    {"fc1": np.ones((1, 3)), "fc2": np.zeros((1, 2))},
    -np.inf,
)


def test_every_measured_number_with_its_axes_and_unit() -> None:
    report = json.loads(render_json(facts(), [Section("a", "Title", "Read.", result=FOUND)]))
    assert (report["schema"], report["schema_version"]) == ("wdyn-report", 1)
    assert report["provenance"]["checksum"] == "a1b2c3d4"
    assert report["analyses"]["a"] == {
        "title": "Title",
        "reading": "Read.",
        "status": "ok",
        "reason": "",
        "findings": [],
        "axes": {"step": [0, 10], "layer": ["fc1", "fc2"], "shown": [10]},
        "values": {
            "ratio": {"axes": ["step", "layer"], "unit": "rad", "data": [[1.5, None], [None, 0.1]]},
            "norm": {"axes": ["layer", "shown", "neuron"], "unit": "", "data": {"fc1": [[1, 1, 1]], "fc2": [[0, 0]]}},
            "total": {"axes": [], "unit": "", "data": None},
        },
    }


def test_findings_with_what_they_are_held_against() -> None:
    finding = Finding("fc1", 10, "fc1: neurons align", True, 0.01)
    report = json.loads(render_json(facts(), [Section("a", "A", "", findings=(finding,), result=FOUND)]))
    assert report["analyses"]["a"]["findings"] == [
        {"layer": "fc1", "step": 10, "text": "fc1: neurons align", "significant": True, "level": 0.01, "z": None}
    ]


def test_strict_json_with_sorted_keys_and_always_the_same_bytes() -> None:
    sections = [Section("b", "B", "", result=FOUND), Section("a", "A", "", status="skipped", reason="No.")]
    text = render_json(facts(), sections)
    assert text == render_json(facts(), sections[::-1])
    assert text.endswith(b"}\n")
    assert b"NaN" not in text
    assert b"Infinity" not in text
    json.loads(text, object_pairs_hook=lambda pairs: (assert_sorted([key for key, _ in pairs]), dict(pairs))[1])


def assert_sorted(keys: list[str]) -> None:
    assert keys == sorted(keys)


def test_skipped_and_failed_analyses_are_listed() -> None:
    sections = [
        Section("a", "A", "", status="skipped", reason="No."),
        Section("b", "B", "", status="failed", reason="E: x"),
    ]
    analyses = json.loads(render_json(facts(), sections))["analyses"]
    assert {name: (a["status"], a["reason"], a["values"]) for name, a in analyses.items()} == {
        "a": ("skipped", "No.", {}),
        "b": ("failed", "E: x", {}),
    }


def test_a_result_that_breaks_its_promise_fails_alone() -> None:
    analyses = json.loads(render_json(facts(), [Section("a", "A", "", result=3), Section("b", "B", "", result=FOUND)]))[
        "analyses"
    ]
    assert (analyses["a"]["status"], analyses["b"]["status"]) == ("failed", "ok")
    assert analyses["a"]["reason"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.1), 0.1),
        (np.float64(0.1), 0.1),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (float("nan"), None),
        ({1: (np.inf, "a")}, {"1": [None, "a"]}),
        (np.array(["x"]), ["x"]),
        ({"s": b"raw"}, {"s": "b'raw'"}),
        (np.empty((2, 0)), [[], []]),
    ],
)
def test_plain_values(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_a_float32_is_named_exactly(rng: np.random.Generator) -> None:
    values = rng.normal(size=500).astype(np.float32) * np.float32(10.0) ** rng.integers(-30, 30, size=500).astype(
        np.float32
    )
    np.testing.assert_array_equal(np.array(plain(values), dtype=np.float32), values)
