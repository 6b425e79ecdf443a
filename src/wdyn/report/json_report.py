"""`--report json`: every measured number, for programs. docs/JSON.md is the contract."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from wdyn.analyses._spec import measured_fields
from wdyn.report.plain import plain
from wdyn.report.sections import Section

SCHEMA = "wdyn-report"
SCHEMA_VERSION = 1
# what is no number but says what numbers are about, as far as a result has it
LABELS = ("runs", "pairs", "notes", "mismatches", "verdicts", "trained", "comparisons", "cells")


def render_json(facts: Mapping[str, Any], sections: Sequence[Section]) -> bytes:
    """The report as UTF-8 JSON with sorted keys.

    Args:
        facts: `provenance(...)`.
        sections: one per analysis.

    Returns:
        One line that ends in a newline. Numbers that are not finite are null.
    """
    report = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "provenance": plain(facts),
        "analyses": {section.name: _analysis(section) for section in sections},
    }
    return json.dumps(report, sort_keys=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _analysis(section: Section) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    if section.result is not None:
        try:
            numbers = _numbers(section.result)
        except Exception as error:  # a plugin's result that breaks its promise costs its own section only
            section = section.failed(error)
    head = {"title": section.title, "reading": section.reading, "status": section.status, "reason": section.reason}
    findings = [plain(dataclasses.asdict(finding)) for finding in section.findings]
    return head | {"findings": findings, "axes": {}, "values": {}} | numbers


def _numbers(result: Any) -> dict[str, Any]:
    axes = {"step": plain(result.steps), "layer": plain(result.layers)}
    if hasattr(result, "shown"):
        axes["shown"] = plain(result.shown)
    units = {field.name: field.metadata.get("unit", "") for field in dataclasses.fields(result)}
    values = {
        name: {"axes": list(along), "unit": units[name], "data": plain(value)}
        for name, along, value in measured_fields(result)
    }
    labels = {name: plain(getattr(result, name)) for name in LABELS if hasattr(result, name)}
    return {"axes": axes, "values": values} | ({"labels": labels} if labels else {})
