"""Tickets on other data: what they bring, what starts fresh, and the matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from tests.tickets.lottery_kit import content, small, training
from wdyn import open_run
from wdyn.errors import MisuseError, RunFileError
from wdyn.intervals import welch_interval
from wdyn.tickets import Site, find_ticket, run_controls, transfer, transfer_matrix

pytestmark = pytest.mark.usefixtures("packed_here")


def more_classes():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 4))


def test_a_ticket_brings_masks_and_starts_where_they_fit(tmp_path):
    search = find_ticket(small, training(), folder=tmp_path / "a", rounds=2, rewind_to=2, metadata={"dataset": "A"})
    ticket = search.rounds[2]
    found = transfer(
        ticket.file, more_classes, training(), folder=tmp_path / "deep/b", seeds=2, metadata={"dataset": "B"}
    )
    assert found.fresh == ("4.weight", "4.bias")
    assert [run.file.name for run in found.runs] == [f"round-02-transferred-seed{n}.h5" for n in (1, 2)]
    with open_run(ticket.file) as run:
        masks, start = run.masks(0), run.state(0, masked=False)
        given = run.meta["metadata"]["ticket"]["mask_from"]
    outputs = []
    for facts in found.runs:
        assert facts.kept == {name: ticket.kept[name] for name in ("0.weight", "2.weight")}
        with open_run(facts.file) as run:
            assert {name: mask.sum() for name, mask in run.masks(0).items()} == facts.kept
            for name in ("0.weight", "2.weight"):
                assert_array_equal(run.masks(6)[name], masks[name])
            values = run.state(0, masked=False)
            for name in ("0.weight", "0.bias", "2.weight", "2.bias"):
                assert values[name].tobytes() == start[name].tobytes()
            outputs.append(values["4.weight"])
            torch.manual_seed(facts.seed)
            assert_array_equal(values["4.weight"], more_classes()[4].weight.detach().numpy())
            assert run.meta["metadata"]["dataset"] == "B"
            said = run.meta["metadata"]["ticket"]
            assert said["kind"] == "transferred"
            assert said["found_on"] == {
                "dataset": "A", "file": "../../a/round-02.h5", "run_id": ticket.run_id, "fresh": ["4.weight", "4.bias"]
            }  # fmt: skip
            assert said["start"] == {"file": "../../a/round-02.h5", "step": 0, "run_id": ticket.run_id}
            assert said["mask_from"] == {**given, "file": "../../a/round-01.h5"}
            assert (facts.file.parent / said["mask_from"]["file"]).resolve() == search.rounds[1].file
            assert run.program is not None
    assert (outputs[0] != outputs[1]).any()
    before = content(tmp_path / "deep/b")
    again = transfer(
        ticket.file, more_classes, None.__eq__, folder=tmp_path / "deep/b", seeds=2, metadata={"dataset": "B"}
    )
    assert again.runs[0] == found.runs[0]
    assert content(tmp_path / "deep/b") == before
    other = find_ticket(small, training(), folder=tmp_path / "c", rounds=2)
    with pytest.raises(MisuseError, match=r"is of another ticket \(../../a/round-02.h5\)"):
        transfer(other.rounds[2].file, more_classes, training(), folder=tmp_path / "deep/b")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metadata": {"dataset": "C"}}, "metadata={'dataset': 'B'}, not {'dataset': 'C'}"),
        ({"seed": 1}, "seed="),
        ({"make_model": small}, "total="),
    ],
)
def test_transfers_of_another_kind_are_not_taken_for_what_is_asked(tmp_path, changed, said):
    ticket = find_ticket(small, training(), folder=tmp_path / "a", rounds=1).rounds[1].file
    asked = {"make_model": more_classes, "train": training(), "folder": tmp_path / "b", "seeds": 1}
    transfer(ticket, **asked, metadata={"dataset": "B"})
    with pytest.raises(MisuseError, match=said):
        transfer(ticket, **{**asked, "metadata": {"dataset": "B"}, **changed})


def test_a_control_is_no_ticket_and_one_carried_twice_was_found_where_it_first_was(tmp_path):
    search = find_ticket(small, training(), folder=tmp_path / "a", rounds=1, metadata={"dataset": "A"})
    (control,) = run_controls(search, small, training(), kinds=["random_mask"], seeds=1).runs
    with pytest.raises(MisuseError, match=r"seed1.h5: is a control \(random_mask\)"):
        transfer(control.file, small, training(), folder=tmp_path / "b", seeds=1)
    file = search.rounds[1].file
    for name in "BC":
        (run,) = transfer(file, small, training(), folder=tmp_path / name, seeds=1, metadata={"dataset": name}).runs
        file = run.file
    with open_run(file) as run:
        assert run.meta["metadata"]["ticket"]["found_on"]["dataset"] == "A"


def test_what_cannot_be_carried_is_said(tmp_path):
    search = find_ticket(small, training(1), folder=tmp_path / "a", rounds=1)
    with pytest.raises(MisuseError, match=r"no mask of it fits .* 0.weight \(8, 6\).* has 0.weight \(9, 6\)"):
        transfer(search.rounds[1].file, lambda: nn.Sequential(nn.Linear(6, 9)), training(1), folder=tmp_path / "b")
    with pytest.raises(MisuseError, match="It masks nothing"):
        transfer(search.rounds[0].file, small, training(1), folder=tmp_path / "b")
    with pytest.raises(MisuseError, match="seeds=0"):
        transfer(search.rounds[1].file, small, training(1), folder=tmp_path / "b", seeds=0)
    with pytest.raises(RunFileError, match="no such run"):
        transfer(tmp_path / "none.h5", small, training(1), folder=tmp_path / "b")


def test_the_matrix_has_every_ticket_on_every_data_set_beside_the_controls(tmp_path):
    made = []

    def site(name, make):
        def train(model, recorder):
            made.append(name)
            training(2)(model, recorder)

        search = find_ticket(make, train, folder=tmp_path / name, rounds=2, metadata={"dataset": name})
        return Site(search, make, train)

    sites = {"A": site("A", small), "B": site("B", more_classes)}
    made.clear()
    found = transfer_matrix(sites, folder=tmp_path / "moved", kinds=("reinitialised", "dense"), seeds=2)
    assert made.count("A") == made.count("B") == 8  # own ticket, two controls and one transfer, twice each
    assert found.round == 2
    assert found.runs.keys() == {(row, name) for row in ("A", "B", "reinitialised", "dense") for name in "AB"}
    assert {run.kind for run in found.runs["A", "A"]} == {"ticket"}
    assert {run.kind for run in found.runs["A", "B"]} == {"transferred"}
    assert {run.file.parent for run in found.runs["A", "B"]} == {tmp_path / "moved/A-on-B"}
    assert {run.file.parent for run in found.runs["dense", "B"]} == {tmp_path / "B"}
    cells = found.cells("val_loss")
    own, other = ([run.metrics["val_loss"] for run in found.runs[row, "B"]] for row in "BA")
    assert cells["A", "B"].values == tuple(other)
    assert cells["A", "B"].mean.value == np.mean(other)
    assert cells["A", "B"].lead == welch_interval(own, other)
    assert cells["B", "B"].lead is None
    again = transfer_matrix(sites, folder=tmp_path / "moved", kinds=("reinitialised", "dense"), seeds=2)
    assert again == found
    assert len(made) == 16
    with pytest.raises(MisuseError, match=r"no metric 'loss'. Logged were: val_loss"):
        found.cells("loss")
    with pytest.raises(MisuseError, match="two or more"):
        transfer_matrix({"A": sites["A"]}, folder=tmp_path / "moved")
    with pytest.raises(MisuseError, match="a round that all have"):
        transfer_matrix(sites, folder=tmp_path / "moved", round=3)
