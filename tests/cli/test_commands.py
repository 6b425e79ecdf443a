"""The manners of the command: exit status, one sentence on errors, data to stdout and all else to stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.make_run import make_run, write_journal
from wdyn_cli.main import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_file(folder: Path, rng: np.random.Generator) -> Path:
    steps = {s: {"fc1.weight": rng.normal(size=(4, 3)).astype("f4"), "fc1.bias": np.zeros(4, "f4")} for s in range(6)}
    loss, left_out = dict.fromkeys(steps, 1.0), [("fc1.bias", "one value per unit")]
    return make_run(folder / "a.h5", steps, metrics={"loss": loss}, left_out=left_out)


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_info_says_what_the_file_holds(run_file: Path) -> None:
    text = call("info", run_file).stdout
    for part in ("a.h5  finished", "fc1  4 neurons of 3 inputs", "fc1.bias: one value per unit", "6 recorded, 0 to 5"):
        assert part in text


def test_info_for_programs(run_file: Path) -> None:
    facts = json.loads(call("info", run_file, "--json").stdout)
    assert facts["layers"] == {"fc1": [4, 3]}
    assert facts["raw_bytes"] == 6 * (12 + 4) * 4
    assert facts["steps"] == {"recorded": 6, "first": 0, "last": 5}


def test_verify_passes_a_sound_file(run_file: Path) -> None:
    done = call("verify", run_file)
    assert done.exit_code == 0
    assert json.loads(call("verify", run_file, "--json").stdout)["damaged"] == []


def test_verify_names_what_is_damaged(run_file: Path) -> None:
    with h5py.File(run_file) as file:
        at = file["weights/fc1.weight"].id.get_chunk_info(0).byte_offset
    data = bytearray(run_file.read_bytes())
    data[at + 8] ^= 0xFF
    run_file.write_bytes(data)
    done = call("verify", run_file)
    assert done.exit_code == 1
    assert "weights/fc1.weight, steps 0 to 5" in done.stdout


def test_analyze_prints_the_page_and_nothing_else_to_stdout(run_file: Path) -> None:
    done = call("analyze", run_file, "--quick")
    assert done.exit_code == 0, done.output
    assert done.stdout == "reports/a.html\n"
    assert Path("reports/a.html").stat().st_size > 10_000


def test_analyze_writes_json(run_file: Path) -> None:
    done = call("analyze", run_file, "--report", "json", "--only", "frame_potential", "-o", "deep/er/a.json")
    assert done.exit_code == 0, done.output
    assert list(json.loads(Path("deep/er/a.json").read_text())["analyses"]) == ["frame_potential"]


def test_figures_writes_every_chart_in_every_format_and_always_the_same_bytes(run_file: Path) -> None:
    words = ("figures", run_file, "-f", "pdf,svg,png", "--only", "metrics", "--only", "similarity")
    first = call(*words)
    assert first.exit_code == 0, first.output
    paths = [Path(line) for line in first.stdout.splitlines()]
    kept = {path: path.read_bytes() for path in paths}
    assert {path.suffix for path in paths} == {".pdf", ".svg", ".png", ".csv"}
    assert call(*words, "-o", "again").exit_code == 0
    assert {Path("again", path.name).read_bytes() for path in paths} == set(kept.values())


def test_figures_are_as_wide_as_asked(run_file: Path) -> None:
    for columns, inches in ((1, 3.5), (2, 7.2)):
        done = call("figures", run_file, "--columns", columns, "--only", "similarity", "-f", "svg", "-o", str(columns))
        assert done.exit_code == 0, done.output
        drawn = [path.read_text() for path in Path(str(columns)).glob("*.svg")]
        assert drawn
        assert all(f'width="{72 * inches:g}pt"' in text for text in drawn)
        assert not any("<text" in text for text in drawn)  # letters are outlines, so no font is missing anywhere


def test_the_size_of_a_page_and_the_place_of_its_tables_are_said_on_stderr(run_file: Path) -> None:
    done = call("analyze", run_file, "--only", "metrics", "--tables")
    assert done.stdout == "reports/a.html\n"
    assert "reports/a.html: 2." in done.stderr
    assert "MB; largest: chart library" in done.stderr
    assert "tables: reports/a-tables" in done.stderr
    assert Path("reports/a-tables/metrics.csv").read_text().startswith("run,step,layer,neuron,index,metric,value\n")
    assert "--tables" not in done.stderr
    again = call("analyze", run_file, "--only", "metrics")
    assert "reports/a-tables: tables of an earlier report; --tables makes them anew" in again.stderr
    Path("reports/a-tables/.written-by-wdyn").unlink()  # somebody else's folder of that name
    assert "tables" not in call("analyze", run_file, "--only", "metrics").stderr


def test_analyze_writes_pdf(run_file: Path) -> None:
    done = call("analyze", run_file, "--report", "pdf", "--only", "frame_potential")
    assert (done.exit_code, done.stdout) == (0, "reports/a.pdf\n")
    assert Path("reports/a.pdf").read_bytes().startswith(b"%PDF-")


def test_steps_are_chosen_by_their_number(run_file: Path) -> None:
    call("analyze", run_file, "--report", "json", "--only", "frame_potential", "--steps", "1:5:2", "-o", "a.json")
    assert json.loads(Path("a.json").read_text())["provenance"]["steps_analysed"] == 2


@pytest.mark.parametrize(("which", "count"), [("every:2", 3), ("log:4", 4), (":4", 4), ("2:", 4), ("log:2", 2)])
def test_steps_can_be_chosen_in_several_ways(run_file: Path, which: str, count: int) -> None:
    call("analyze", run_file, "--report", "json", "--only", "frame_potential", "--steps", which, "-o", "a.json")
    assert json.loads(Path("a.json").read_text())["provenance"]["steps_analysed"] == count


@pytest.mark.slow
def test_several_processes_write_the_same_figures(run_file: Path) -> None:
    words = ("figures", run_file, "--only", "frame_potential", "--only", "norms", "-f", "svg")
    figures = {}
    for jobs in (1, 2):
        said = call(*words, "--jobs", jobs, "-o", f"jobs-{jobs}").stdout.splitlines()
        figures[jobs] = {Path(line).name: Path(line).read_bytes() for line in said}
    assert figures[1] == figures[2]


def no_such(folder: Path) -> list[object]:
    return [folder / "none.h5"]


def not_hdf5(folder: Path) -> list[object]:
    (folder / "text.h5").write_text("these are words")
    return [folder / "text.h5"]


def empty_file(folder: Path) -> list[object]:
    (folder / "empty.h5").write_bytes(b"")
    return [folder / "empty.h5"]


def somebody_elses(folder: Path) -> list[object]:
    with h5py.File(folder / "other.h5", "w") as file:
        file["data"] = np.arange(3)
    return [folder / "other.h5"]


def truncated(folder: Path) -> list[object]:
    path = make_run(folder / "cut.h5", {s: {"w.weight": np.ones((4, 4), "f4")} for s in range(9)})
    path.write_bytes(path.read_bytes()[:-100])
    return [path]


def no_step(folder: Path) -> list[object]:
    return [write_journal(folder / "nothing.h5", {}, layers=[])]


def no_layer(folder: Path) -> list[object]:
    return [make_run(folder / "b.h5", {0: {"fc1.weight": np.eye(3, dtype="f4")}}), "--layers", "fc3"]


def no_analysis(folder: Path) -> list[object]:
    return [make_run(folder / "c.h5", {0: {"fc1.weight": np.eye(3, dtype="f4")}}), "--only", "nonsense"]


def a_folder(folder: Path) -> list[object]:
    return [folder]


def no_steps_left(folder: Path) -> list[object]:
    return [make_run(folder / "d.h5", {0: {"fc1.weight": np.eye(3, dtype="f4")}}), "--steps", "5:9"]


BAD = [
    no_such,
    not_hdf5,
    empty_file,
    somebody_elses,
    truncated,
    no_step,
    no_layer,
    no_analysis,
    a_folder,
    no_steps_left,
]


@pytest.mark.parametrize("bad", BAD)
def test_bad_input_is_one_sentence_status_1_and_nothing_written(bad, folder: Path) -> None:
    words = bad(folder)
    before = sorted(folder.rglob("*"))
    done = call("analyze", *words)
    assert done.exit_code == 1
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    assert len(line) > 20
    assert sorted(folder.rglob("*")) == before


def test_a_truncated_file_says_how_much_is_there(folder: Path) -> None:
    (path,) = truncated(folder)
    size = Path(str(path)).stat().st_size
    assert f"cut short, {size:,} of {size + 100:,} bytes" in call("info", path).stderr


def test_info_shows_names_and_notes_as_they_are_in_one_line_each(folder: Path) -> None:
    path = make_run(
        folder / "a.h5", {0: {"fc1.weight": np.eye(3, dtype="f4")}}, metadata={"a\u202eb": "c\nd", "long": "x" * 5000},
        notes=[(3, {"what": "gap", "reason": "disk full", "steps": [1, 2]}), (3, {"what": "closed", "reason": "-"})],
    )  # fmt: skip
    lines = call("info", path).stdout.splitlines()
    assert "metadata  a\\u202eb = c\\nd" in lines
    assert "note      Not recorded at steps 1 to 2: disk full" in lines
    assert max(map(len, lines)) < 320


@pytest.mark.parametrize("words", [("info", ""), ("analyze", "")])
def test_an_empty_path_is_wrong_usage(words: tuple[str, str]) -> None:
    assert call(*words).exit_code == 2


def test_a_newer_format_says_how_to_upgrade(folder: Path) -> None:
    path = make_run(folder / "a.h5", {0: {"fc1.weight": np.eye(3, dtype="f4")}})
    with h5py.File(path, "r+") as file:
        meta = json.loads(file["meta"][()].tobytes())
        del file["meta"]
        file["meta"] = np.frombuffer(json.dumps(meta | {"format": 3}).encode(), np.uint8)
    done = call("info", path)
    assert done.exit_code == 1
    assert "format 3" in done.stderr
    assert "pip install -U wdyn" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("info",),
        ("analyze", "a.h5", "--report", "xls"),
        ("analyze", "a.h5", "--jobs", "0"),
        *(
            ("analyze", "a.h5", "--steps", bad)
            for bad in ("x", "5", "::0", "every:", "every:0", "log:1", "log:x", "::-1")
        ),
    ],
)
def test_wrong_usage_is_status_2(words: tuple[str, ...]) -> None:
    assert call(*words).exit_code == 2


def test_an_interrupt_is_status_130(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wdyn.store.reader.open_run", interrupted)
    assert call("info", run_file).exit_code == 130


def test_debug_passes_the_traceback(folder: Path) -> None:
    done = call("--debug", "info", folder / "none.h5")
    assert isinstance(done.exception, OSError)


@pytest.mark.skipif(os.geteuid() != 0 and not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_a_full_disk_is_told_in_one_sentence(run_file: Path) -> None:
    done = call("analyze", run_file, "--quick", "-o", "/dev/full/a.html")
    assert done.exit_code == 1
    assert len(done.stderr.strip().splitlines()) == 1


def test_info_loads_none_of_the_heavy_packages(run_file: Path) -> None:
    code = (
        "import sys\nfrom wdyn_cli.main import main\n"
        f"try: main(['info', {str(run_file)!r}])\nexcept SystemExit: pass\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'umap', 'sklearn', 'matplotlib', 'plotly'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
