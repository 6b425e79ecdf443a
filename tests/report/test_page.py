"""The page as text: same bytes, only text from names, a policy that fits the script, the gist without scripts."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import json
import re
from typing import Any

import numpy as np
import pytest

from tests.report.made_up import LAYERS, STEPS, facts, sections
from wdyn.analyses._charts import Lines, Table
from wdyn.report.codec import packed_text, unpacked_text
from wdyn.report.page import SCRIPTS, STATIC_LAYERS, _part, as_json, render_page
from wdyn.report.sections import Section
from wdyn.report.sizes import page_index

HOSTILE = [
    "</script><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "\u202eevil\u2066",
    "n" * 5000,
    "{{ 7 * 7 }}",
    "\ud800 \u2028 \0",
]
SMALL = {"fc1": (12, 5), "fc2": (4, 12)}


class Elements(html.parser.HTMLParser):
    """Every start tag with its attributes, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.inside = True
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "script"


def page(made: list[Section] | None = None, **changes: Any) -> str:
    return render_page(facts(SMALL, **changes), sections(SMALL) if made is None else made, list(range(2001))).decode()


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert page() == page()


def test_lenet_stays_below_4_mb() -> None:
    assert len(render_page(facts(), sections(LAYERS), STEPS.tolist())) < 4e6


def test_nothing_in_it_names_another_place() -> None:
    text = page()
    for tag, attributes in Elements(text).tags:
        for name in ("src", "href", "action", "data"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), (tag, value)
    style = re.search(r"<style>(.*?)</style>", text, re.S)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_policy_allows_our_script_alone() -> None:
    elements = Elements(page())
    (policy,) = [a["content"] for tag, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy"]
    running = [
        text
        for (tag, a), text in zip([t for t in elements.tags if t[0] == "script"], elements.scripts, strict=True)
        if "type" not in a
    ]
    (script,) = running
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert f"script-src 'sha256-{digest}' blob:;" in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text(name: str) -> None:
    layers = {name: (3, 2)}
    made = [
        *sections(layers),
        Section(
            name,
            name,
            name,
            charts=(Lines(name, np.arange(3), {name: np.arange(3)}, name, name, reference={name: 1}, band_label=name),),
        ),
        Section("t", name, name, charts=(Table(name, {name: [name]}),)),
        Section("f", name, name, status="failed", reason=name),
    ]
    notes = [{"what": name, "reason": name}]
    changes = {"run": name, "model": name, "optimizer": name, "metadata": {name: name}, "command": name, "notes": notes}
    text = render_page(facts(layers, left_out=[{"name": name, "reason": name}], **changes), made, [0, 1, 2]).decode()
    elements = Elements(text)
    assert [tag for tag, _ in elements.tags if tag == "img"] == []
    assert len(elements.scripts) == 4
    assert not any(attribute.startswith("on") for _, attributes in elements.tags for attribute in attributes)
    assert page_index(text.encode())["layers"] == [name]


def test_json_in_a_script_element_has_no_markup() -> None:
    told = ["</script>", "<!--", "&amp;", "\u2028\u2029"]
    text = packed_text(as_json(told))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(unpacked_text(text)) == told


def test_sections_that_are_not_there_say_why_and_come_last() -> None:
    text = page()
    assert "No pruning mask was recorded." in text
    assert "ValueError: no luck" in text
    assert text.index('id="sizes"') < text.index('id="broken"') < text.index('id="masks"')


def test_a_chart_that_breaks_its_promise_fails_its_section_alone() -> None:
    bad = Lines("t", np.arange(3), {"a": np.arange(4)}, "x", "y")
    text = page([Section("bad", "Bad", "", charts=(bad,)), *sections(SMALL)])
    assert "&#39;a&#39; has shape (4,), but its axis has 3 places" in text
    assert 'id="norms"' in text


def test_a_chart_that_is_none_fails_its_section_alone() -> None:
    assert "str is no chart" in page([Section("bad", "Bad", "", charts=("chart",))])  # type: ignore[arg-type]


def test_one_slot_per_layer_chart_and_the_slider_over_all_shown_steps() -> None:
    index = page_index(page().encode())
    layered = [slot for slot in index["slots"] if slot["charts"][0]["layer"] is not None]
    assert [[chart["layer"] for chart in slot["charts"]] for slot in layered] == [["fc1", "fc2"]] * 3
    shown = [
        set(chart["steps"])
        for slot in index["slots"]
        if slot["kind"] in ("points", "matrix")
        for chart in slot["charts"]
    ]
    assert index["steps"] == sorted(set.union(*shown))


def test_without_pictures_the_slider_runs_over_recorded_steps() -> None:
    steps = page_index(page([]).encode())["steps"]
    assert len(steps) == 200
    assert (steps[0], steps[-1]) == (0, 2000)


def test_without_line_charts_the_chart_library_stays_out() -> None:
    assert len(page([])) < 300_000  # the library alone takes more than a million


def test_numbers_without_scripts() -> None:
    text = page()
    quiet = "".join(re.findall(r"<noscript>(.*?)</noscript>", text, re.S))
    assert "<td><bdi" in quiet
    assert "effective" in text.lower()
    assert len(quiet) < 120_000


def test_every_script_is_part_of_the_page() -> None:
    from wdyn.report.page import PARTS

    assert {path.stem for path in PARTS.glob("*.js")} == set(SCRIPTS)


def test_metadata_has_its_own_heading_and_a_closed_recording_is_no_news() -> None:
    text = page(notes=[{"what": "closed", "reason": "the recording was closed", "step": 9}])
    provenance = text[text.index("<h2>Provenance") :]
    assert provenance.index(">SGD<") < provenance.index("<h3>Metadata</h3>") < provenance.index(">digits<")
    assert "Notes of the recorder" not in provenance
    assert "<h3>Metadata</h3>" not in page(metadata={})


def test_more_of_a_picture_stands_right_below_the_pictures() -> None:
    made = sections(SMALL)
    umap = dataclasses.replace(
        made[0], charts=(*made[0].charts, Lines("t", np.arange(2), {"a": np.arange(2)}, "x", "y"))
    )
    text = page([umap, *made[1:]])
    assert text.index('id="picked"') < text.index("Neuron embedding: more") < text.index('id="metrics"')


def test_facts_and_left_out_parameters_are_listed() -> None:
    text = page()
    for words in (
        "a1b2c3d4",
        "wdyn analyze demo.h5",
        "one number per neuron is no row",
        "Not recorded at steps 10 to 12: disk full",
        "digits",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("condition", "words"),
    [("recording", "still being recorded"), ("interrupted", "without closing"), ("finished", "")],
)
def test_a_run_that_is_not_whole_is_said_to_be(condition: str, words: str) -> None:
    assert words in page([], condition=condition)


def test_of_many_layers_readers_without_scripts_get_the_first_tables_and_are_told() -> None:
    layers = {f"fc{i}": (3, 2) for i in range(STATIC_LAYERS + 5)}
    text = render_page(facts(layers), sections(layers), [0, 1]).decode()
    assert text.count("5 more layers need scripts.") == 3  # points, matrices and heat maps are of each layer
    assert "need scripts" not in page()


def test_no_two_scripts_define_a_function_of_one_name() -> None:
    """They share one scope, in which the later one would silently stand for both."""
    names = [
        name for script in SCRIPTS for name in re.findall(r"^(?:async )?function (\w+)", _part(f"{script}.js"), re.M)
    ]
    assert len(names) > 100
    assert sorted({name for name in names if names.count(name) > 1}) == []
