"""The numbers beside a report: every measured number once, in long form."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.report.test_build import run_file  # noqa: F401, a fixture
from wdyn.analyses._spec import Result, measured
from wdyn.errors import OutputError
from wdyn.report.analysing import analysed
from wdyn.report.build import build_report
from wdyn.report.csv_tables import MANIFEST, csv_bytes, tables_folder, write_tables
from wdyn.report.sections import Section


@dataclass(frozen=True)
class Found(Result):
    value: np.ndarray = measured("step", "layer")


def section(name: str = "one", layer: str = 'fc"1,\n') -> Section:
    return Section(name, "One", "", result=Found("a", np.array([0, 5]), (layer,), np.array([[1.5], [np.nan]])))


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_each_number_is_a_row_and_any_name_survives(tmp_path: Path) -> None:
    (path,) = write_tables(tmp_path / "page.html", [section(), Section("two", "Two", "", status="failed")], keep=[])
    assert path == tmp_path / "page-tables" / "one.csv"
    assert rows(path) == [
        ["run", "step", "layer", "neuron", "index", "metric", "value"],
        ["a", "0", 'fc"1,\n', "", "", "value", "1.5"],
        ["a", "5", 'fc"1,\n', "", "", "value", "nan"],
    ]


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", "\ta"])
def test_no_name_is_a_formula_of_a_spreadsheet(tmp_path: Path, name: str) -> None:
    (path,) = write_tables(tmp_path / "page.html", [section(layer=name)], keep=[])
    assert [row[2] for row in rows(path)[1:]] == [f"'{name}"] * 2
    assert csv_bytes([["a", -1.5]]) == b"a,-1.5\n"  # a negative number is none


def test_a_result_that_breaks_its_promise_costs_its_own_table_only(tmp_path: Path) -> None:
    broken = Section("broken", "Broken", "", result=object())
    with pytest.warns(RuntimeWarning, match="Broken gives no table"):
        written = write_tables(tmp_path / "page.html", [broken, section()], keep=[])
    assert [path.name for path in written] == ["one.csv"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "page-tables").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write here"):
        write_tables(tmp_path / "page.html", [section()], keep=[])


def test_made_again_the_tables_are_those_of_the_new_report_and_no_file_of_others_is_touched(tmp_path: Path) -> None:
    page, folder = tmp_path / "page.html", tmp_path / "page-tables"
    write_tables(page, [section(name) for name in ("one", "two", "three")], keep=[])
    own = {folder / "mine.csv": "mine", folder / "two.csv.bak": "mine", folder / "three.csv": "changed"}
    for path, text in own.items():
        path.write_text(text)
    with pytest.warns(UserWarning, match=r"three\.csv: not of this report, but changed"):
        write_tables(page, [section("one", layer="a")], keep=[])
    assert {path.name for path in folder.glob("[!.]*")} == {"one.csv", *(path.name for path in own)}
    assert {path: path.read_text() for path in own} == own
    write_tables(page, [Section("one", "One", "", status="failed")], keep=[])
    assert {path.name for path in folder.glob("[!.]*")} == {path.name for path in own}


def test_a_manifest_names_nothing_outside_its_folder(tmp_path: Path) -> None:
    outside = tmp_path / "run.csv"
    outside.write_bytes(b"")
    write_tables(tmp_path / "page.html", [section()], keep=[])
    nothing = hashlib.sha256(b"").hexdigest()
    (tmp_path / "page-tables" / MANIFEST).write_text(f"{nothing}  ../run.csv\n{nothing}  {outside}\nnonsense\n")
    write_tables(tmp_path / "page.html", [section()], keep=[])
    assert outside.exists()


def test_a_manifest_that_cannot_be_followed_is_told(tmp_path: Path) -> None:
    write_tables(tmp_path / "page.html", [section()], keep=[])
    (tmp_path / "page-tables" / MANIFEST).write_text(f"0  {'n' * 5000}\n")
    with pytest.raises(OutputError, match=r"page-tables: tables of an earlier report .* Remove the folder"):
        write_tables(tmp_path / "page.html", [section()], keep=[])


def test_without_a_result_no_folder_is_made(tmp_path: Path) -> None:
    assert write_tables(tmp_path / "page.html", [Section("one", "One", "", status="failed")], keep=[]) == []
    assert list(tmp_path.iterdir()) == []


def test_a_report_has_its_tables_when_asked(run_file: Path, tmp_path: Path) -> None:  # noqa: F811
    out, only = tmp_path / "page.json", ["norms", "frame_potential"]
    build_report(run_file, kind="json", only=only, out=out)
    assert not tables_folder(out).exists()
    build_report(run_file, kind="json", only=only, out=out, tables=True)
    assert sorted(path.stem for path in tables_folder(out).glob("*.csv")) == sorted(only)
    with analysed(run_file, only=["norms"]) as found:
        values = [row[-1] for row in rows(tables_folder(out) / "norms.csv")[1:]]
        frame = found.sections[0].result.to_dataframe()
    np.testing.assert_array_equal(np.array(values, dtype=float), frame["value"].to_numpy())
