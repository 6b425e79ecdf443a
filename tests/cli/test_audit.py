"""`wdyn audit`: the table, its JSON and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import wdyn
from tests.tickets.make_ticket import STEPS, copy_with, make_ticket
from wdyn_cli.main import main


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_ticket(tmp_path_factory.mktemp("tickets"))


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, words)])


def test_an_honest_ticket_passes(files: list[Path]) -> None:
    done = call(files[1])
    assert done.exit_code == 0, done.output
    assert done.stdout.count("held ") == 7
    assert json.loads(call(files[1], "--json").stdout)["good"]


def test_a_broken_promise_is_an_outcome_that_is_explained(files: list[Path], tmp_path: Path) -> None:
    with wdyn.open_run(files[1]) as run:
        masks = run.masks(0)
    lost = masks | {"0.weight": masks["0.weight"] | True}
    lie = copy_with(files[1], tmp_path / "lie.h5", masks={0: masks, 4: lost})
    done = call(lie)
    assert done.exit_code == 1
    assert "broken       mask    0.weight, step 4: the mask is lost" in done.stdout
    assert "Error" not in done.output
    assert json.loads(call(lie, "--json").stdout)["promises"]["mask"]["violations"][0]["step"] == 4


def test_what_the_file_does_not_say_can_be_given(files: list[Path], tmp_path: Path) -> None:
    ticket = dict.fromkeys(("kind", "round", "rates", "start", "mask_from", "total", "kept"))
    mute = copy_with(files[1], tmp_path / "mute.h5", ticket=ticket)
    assert call(mute).stdout.count("not checked  ") == 4
    given = (
        "--start",
        f"{files[0]}:0",
        "--parent",
        f"{files[0]}:{STEPS}",
        "--rate",
        "3=0.3",
        "--rate",
        "0.3",
        "--round",
        1,
    )
    done = call(mute, *given)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("not checked  ") == 1
    assert call(mute, "--rate", "0.2", "--round", 1).exit_code == 1


@pytest.mark.parametrize("words", [("--start", "a.h5"), ("--parent", ":3"), ("--rate", "0=all"), ("--round", "-1")])
def test_wrong_usage(files: list[Path], words: tuple[str, str]) -> None:
    assert call(files[1], *words).exit_code == 2


def test_a_damaged_file_is_explained(files: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "a.h5"
    broken.write_bytes(files[1].read_bytes()[:2000])
    done = call(broken)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert "a.h5" in done.output
