"""Runs, results and pages show themselves in a notebook, and names in them are only ever text."""

from __future__ import annotations

import html
import io
import re
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

import wdyn
from tests.make_run import make_run
from wdyn.analyses._spec import Result
from wdyn.errors import WdynError
from wdyn.report.build import build_report
from wdyn.report.notebook import Page


@pytest.fixture(scope="module")
def run_file(tmp_path_factory):
    rng = np.random.default_rng(0)
    arrays = {step: {"fc1.weight": rng.normal(size=(6, 4)).astype("f4")} for step in range(3)}
    folder = tmp_path_factory.mktemp("run")
    return make_run(folder / "a.h5", arrays, metadata={"<script>alert(1)</script>": "</table>&"})


def test_a_run_says_what_wdyn_info_says(run_file):
    with wdyn.open_run(run_file) as run:
        assert repr(run) == "<Run a.h5: 3 steps (0 to 2), 1 layers>"
        text = run._repr_html_()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; = &lt;/table&gt;&amp;" in text
    labels = re.findall(r"<th[^>]*>([^<]*)</th>", text)
    assert labels[:5] == ["run", "recorded", "model", "steps", "size"]


def test_a_selection_without_steps_is_no_error(run_file):
    with wdyn.open_run(run_file) as run:
        assert "3 steps" in repr(run)
        chosen = run.select(steps=[1])
        assert repr(chosen) == "<Run a.h5: 1 steps (1 to 1), 1 layers>"


def test_a_result_is_the_picture_of_its_first_chart(run_file):
    with wdyn.open_run(run_file) as run:
        result = wdyn.load_analysis("frame_potential").compute(run)
    picture = result._repr_png_()
    assert matplotlib.image.imread(io.BytesIO(picture)).shape[:2] == (440, 660)
    assert picture == result._repr_png_()


def test_a_result_without_a_chart_has_no_picture(monkeypatch):
    monkeypatch.setattr(Result, "charts", lambda self: [])
    assert Result("a", np.arange(2), ())._repr_png_() is None


def test_the_page_in_a_cell_is_the_page_of_the_command(run_file, tmp_path):
    built = build_report(run_file, only=["frame_potential", "norms"], out=tmp_path / "a.html").read_text()
    with wdyn.open_run(run_file) as run:
        page = wdyn.report(run, only=["frame_potential", "norms"])
    assert page.html == built
    framed = re.fullmatch(
        r'<iframe srcdoc="([^"]*)" sandbox="allow-scripts allow-downloads" .*></iframe>', page._repr_html_()
    )
    assert html.unescape(framed[1]) == built
    assert page.save(tmp_path / "b.html").read_text() == built
    assert repr(page) == f"<wdyn page of {len(built) / 1e6:.1f} MB: display it in a notebook, or .save('page.html')>"


def test_several_runs_are_compared(run_file, tmp_path):
    other = tmp_path / "b.h5"
    other.write_bytes(run_file.read_bytes())
    page = wdyn.report(run_file, other, only=["frame_potential_between"])
    assert isinstance(page, Page)
    assert "2 runs compared" in page.html


def test_what_is_wrong_is_said_as_ever(tmp_path):
    with pytest.raises(WdynError, match="no such run"):
        wdyn.report(tmp_path / "gone.h5")


def test_the_call_and_the_package_are_one_name():
    code = (
        "import wdyn, sys; assert callable(wdyn.report); print('jinja2' in sys.modules); import wdyn.report.build;"
        "assert callable(wdyn.report); from wdyn import report; assert report is sys.modules['wdyn.report']"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "False"  # the name alone loads nothing heavy
