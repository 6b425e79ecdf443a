"""A search: exact counts, survivors back to the bit, the right weights, and a folder that survives anything."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from tests.tickets.lottery_kit import (
    adam,
    content,
    momentum,
    pack_here,
    resumable,
    slow_choice,
    small,
    training,
    with_norm,
)  # fmt: skip
from wdyn import Recorder, at, every, open_run
from wdyn.errors import DamagedError, MisuseError, NotFoundError, RunExistsError, RunFileError
from wdyn.tickets import find_ticket, open_search
from wdyn.tickets.optimizer_state import load_state, remembered, reminded, save_state

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("wdyn.record.packing.pack", pack_here)
    torch.manual_seed(0)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(784, 300), nn.Linear(300, 100), nn.Linear(100, 10)

    def forward(self, x):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


def as_bytes(state):
    return {name: values.tobytes() for name, values in state.items()}


def nearest(total: int, share: str, rounds: int) -> int:
    return int((total * Decimal(share) ** rounds).quantize(Decimal(1), ROUND_HALF_UP))


def test_lenet_keeps_the_ladder_for_twenty_rounds(tmp_path):
    search = find_ticket(
        LeNet, training(1, (784,)), folder=tmp_path, rounds=20, rate={"fc3": 0.1, "*": 0.2}, schedule=at([])
    )
    before = None
    for number, facts in enumerate(search.rounds):
        expected = {
            "fc1.weight": nearest(235_200, "0.8", number),
            "fc2.weight": nearest(30_000, "0.8", number),
            "fc3.weight": nearest(1_000, "0.9", number),
        }
        assert facts.kept == expected
        assert facts.density == sum(expected.values()) / 266_200
        with open_run(facts.file) as run:
            assert run.steps.tolist() == [0, 1]
            masks = run.masks(1)
            assert {name: mask.sum() for name, mask in masks.items()} == (expected if number else {})
            assert all((masks[name] <= before[name]).all() for name in masks if before)
            assert run.meta["metadata"]["ticket"]["kept"] == expected
        before = masks


@pytest.mark.parametrize("rewind_to", [0, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_survivors_biases_and_buffers_start_as_they_were(tmp_path, rewind_to, dtype):
    def make():
        return with_norm().to(dtype)

    search = find_ticket(
        make, resumable(shape=(1, 3, 3)), folder=tmp_path, rounds=2, rewind_to=rewind_to, schedule=at([])
    )
    with open_run(search.rounds[0].file) as dense:
        start = dense.state(rewind_to)
    assert {"1.running_mean", "1.running_var", "1.num_batches_tracked"} < start.keys()
    assert start["1.num_batches_tracked"] == rewind_to
    for facts in search.rounds[1:]:
        with open_run(facts.file) as run:
            assert {spec.dtype for spec in run.parameters.values()} == {str(dtype).split(".")[1], "int64"}
            assert run.steps[-1] == 8 - rewind_to
            for name, values in run.state(0, masked=False).items():
                assert values.tobytes() == start[name].tobytes(), name
            assert run.meta["metadata"]["ticket"]["start"]["step"] == rewind_to


@pytest.mark.parametrize("make", [adam, momentum])
def test_a_rewound_optimizer_goes_on_as_if_nothing_had_happened(tmp_path, make):
    for state in ("rewound", "fresh"):
        search = find_ticket(
            small, resumable(make=make), folder=tmp_path / state, rounds=1, rate=0.0, rewind_to=3,
            optimizer_state=state, schedule=every(1),
        )  # fmt: skip
        with open_run(search.rounds[0].file) as dense, open_run(search.rounds[1].file) as again:
            equal = [as_bytes(dense.state(step + 3)) == as_bytes(again.state(step)) for step in range(6)]
        assert equal == [True] + [state == "rewound"] * 5


def test_a_resumed_search_knows_what_the_optimizer_remembered(tmp_path):
    options = {"rewind_to": 3, "optimizer_state": "rewound"}
    find_ticket(small, resumable(), folder=tmp_path / "a", rounds=2, **options)
    find_ticket(small, resumable(), folder=tmp_path / "b", rounds=1, **options)
    find_ticket(small, resumable(), folder=tmp_path / "b", rounds=2, **options)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    data = bytearray((tmp_path / "b/round-00-optimizer.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "b/round-00-optimizer.npz").write_bytes(data)
    with pytest.raises(DamagedError, match=r"round-00-optimizer.npz"):
        find_ticket(small, resumable(), folder=tmp_path / "b", rounds=3, **options)


def test_what_an_optimizer_remembers_is_kept_exactly_and_is_zero_under_a_mask(tmp_path):
    from wdyn.tickets.masks import apply_masks

    model = nn.Sequential(nn.Linear(4, 3).bfloat16(), nn.Linear(3, 2))
    state = {
        "0.weight": {"step": torch.tensor(3.0), "exp_avg": torch.randn(3, 4).bfloat16(), "count": 7, "rate": 0.1},
        "1.bias": {"momentum_buffer": torch.randn(2), "empty": torch.zeros(0)},
    }
    save_state(tmp_path / "a.npz", state)
    loaded = load_state(tmp_path / "a.npz")
    assert loaded.keys() == state.keys()
    for name, entries in state.items():
        for key, value in entries.items():
            assert type(loaded[name][key]) is type(value)
            if isinstance(value, torch.Tensor):
                assert loaded[name][key].dtype == value.dtype
                assert torch.equal(loaded[name][key], value)
            else:
                assert loaded[name][key] == value
    mask = np.arange(12).reshape(3, 4) % 3 > 0
    apply_masks(model, {"0.weight": mask})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with reminded(model, loaded):
        optimizer.step()
    had = remembered(model, optimizer)
    assert_array_equal(had["0.weight"]["exp_avg"].float(), state["0.weight"]["exp_avg"].float() * torch.tensor(mask))
    assert had["0.weight"]["step"] == 3


def test_an_optimizer_whose_memory_cannot_be_kept_is_refused_at_the_step(tmp_path):
    def train(model, recorder):
        optimizer = torch.optim.LBFGS(model.parameters())

        def closure():
            optimizer.zero_grad()
            loss = model(torch.ones(2, 6)).square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)
        raise AssertionError("went on")

    with pytest.raises(MisuseError, match=r"LBFGS remembers .* optimizer_state='fresh'"):
        find_ticket(small, train, folder=tmp_path, rewind_to=1, optimizer_state="rewound")


@pytest.mark.parametrize(
    ("criterion", "scope", "one_shot"),
    [
        ("magnitude", "layer", False),
        ("magnitude", "global", True),
        ("magnitude_increase", "global", False),
        ("movement", "layer", True),
    ],
)
def test_the_lowest_weights_go(tmp_path, criterion, scope, one_shot):
    search = find_ticket(
        small, training(), folder=tmp_path, rounds=3, rate=0.3, criterion=criterion, scope=scope, one_shot=one_shot
    )
    names = ["0.weight", "2.weight", "4.weight"]
    sizes = [48, 40, 15]
    alive = {name: np.ones(size, bool) for name, size in zip(names, sizes, strict=True)}
    for number in (1, 2, 3):
        with open_run(search.rounds[0 if one_shot else number - 1].file) as giver:
            trained, start = (giver.state(step, names, masked=False) for step in (6, 0))
        score = {
            name: {
                "magnitude": abs(trained[name]),
                "magnitude_increase": abs(trained[name].astype("f8")) - abs(start[name].astype("f8")),
                "movement": abs(trained[name].astype("f8") - start[name]),
            }[criterion].ravel()
            for name in names
        }
        if scope == "layer":
            chosen = {
                n: slow_choice(score[n], alive[n], nearest(s, "0.7", number)) for n, s in zip(names, sizes, strict=True)
            }
        else:
            flat = slow_choice(
                np.concatenate([score[n] for n in names]),
                np.concatenate([alive[n] for n in names]),
                nearest(103, "0.7", number),
            )
            chosen = dict(zip(names, np.split(flat, [48, 88]), strict=True))
        with open_run(search.rounds[number].file) as run:
            for name in names:
                assert_array_equal(run.masks(0)[name].ravel(), chosen[name])
            assert run.meta["metadata"]["ticket"]["mask_from"] == search.rounds[0 if one_shot else number - 1].reference
        alive = alive if one_shot else chosen


@pytest.mark.parametrize(("norm", "order"), [("l1", 1), ("l2", 2)])
def test_whole_units_go_by_their_norm_and_outputs_stay(tmp_path, norm, order):
    def make():
        return nn.Sequential(
            nn.Conv2d(1, 6, 2), nn.ReLU(), nn.ConvTranspose2d(6, 5, 2), nn.Flatten(), nn.Linear(45, 4), nn.Linear(4, 3)
        )

    search = find_ticket(make, training(shape=(1, 3, 3)), folder=tmp_path, rounds=2, rate=0.3, structured=norm)
    assert list(search.rounds[0].total) == ["0.weight", "2.weight", "4.weight"]
    for number in (1, 2):
        with open_run(search.rounds[number].file) as run, open_run(search.rounds[number - 1].file) as before:
            trained, masks = before.state(6), run.masks(0)
            for name, axis, units in (("0.weight", 0, 6), ("2.weight", 1, 5), ("4.weight", 0, 4)):
                rows = np.moveaxis(masks[name], axis, 0).reshape(units, -1)
                assert (rows.all(1) == rows.any(1)).all()
                norms = [
                    np.linalg.norm(row.astype("f8"), order)
                    for row in np.moveaxis(trained[name], axis, 0).reshape(units, -1)
                ]
                assert_array_equal(
                    rows.all(1), slow_choice(np.array(norms), np.ones(units, bool), nearest(units, "0.7", number))
                )
                assert search.rounds[number].kept[name] == masks[name].sum()
    told = {"4": 0.5, "*": 0.3}  # a mapping decides for itself, in its order
    search = find_ticket(make, training(shape=(1, 3, 3)), folder=tmp_path / "m", rounds=1, rate=told, structured=norm)
    assert list(search.rounds[0].total) == ["0.weight", "2.weight", "4.weight", "5.weight"]
    assert search.rounds[1].kept["4.weight"] == 2 * 45


def test_early_stop_takes_the_weights_of_the_lowest_value_whatever_the_schedule(tmp_path):
    values = [5.0, 2.0, float("nan"), 1.0, 1.0, 3.0]  # logged after steps 1 to 6

    def train(model, recorder):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.2)
        for value in values:
            model(torch.randn(7, 6)).square().mean().backward()
            optimizer.step()
            recorder.log(val_loss=value, other=-value)

    search = find_ticket(small, train, folder=tmp_path, rounds=1, early_stop="val_loss", schedule=at([]))
    assert [facts.step for facts in search.rounds] == [4, 4]
    assert search.rounds[0].metrics == {"val_loss": 1.0, "other": -1.0}
    with open_run(search.rounds[0].file) as dense, open_run(search.rounds[1].file) as run:
        assert dense.steps.tolist() == [0, 1, 2, 4, 6]
        at_4, at_6 = (slow_choice(abs(dense.state(s)["0.weight"]), np.ones((8, 6), bool), 38) for s in (4, 6))
        assert_array_equal(run.masks(0)["0.weight"], at_4)
        assert (at_4 != at_6).any()
        assert run.meta["metadata"]["ticket"]["mask_from"]["step"] == 4


def test_the_last_step_is_there_even_if_train_closes_the_recorder(tmp_path):
    def train(model, recorder):
        with recorder:
            training(5)(model, recorder)

    assert find_ticket(small, train, folder=tmp_path, rounds=1, schedule=every(3)).rounds[1].step == 5


def test_all_rounds_have_the_program_of_the_first(tmp_path):
    search = find_ticket(small, training(), folder=tmp_path, rounds=1)
    x = torch.randn(4, 6)
    with open_run(search.rounds[0].file) as dense, open_run(search.rounds[1].file) as run:
        assert run.program == dense.program
        assert not run.notes or {note["what"] for note in run.notes} == {"closed"}
        state, model = run.state(run.steps[-1]), small()
        model.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
        assert torch.equal(run.replay(run.steps[-1])(x), model(x))


def test_random_numbers_depend_on_the_seed_alone_and_the_callers_go_on(tmp_path):
    def numbers():
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    def train(model, recorder):
        training()(model, recorder)
        recorder.log(a=numbers()[0], b=numbers()[1], c=numbers()[2])

    seen = []
    for folder, seed in (("a", 1), ("b", 2)):
        for generator in (torch.manual_seed, np.random.seed, random.seed):
            generator(seed)
        expected = numbers()
        for generator in (torch.manual_seed, np.random.seed, random.seed):
            generator(seed)
        find_ticket(small, train, folder=tmp_path / folder, rounds=1, seed=5)
        assert numbers() == expected
        seen.append(content(tmp_path / folder))
    assert seen[0] == seen[1]
    assert seen[0]["round-00.h5"]["metrics"]["a"] != seen[0]["round-01.h5"]["metrics"]["a"]
    with open_run(tmp_path / "a/round-00.h5") as run:
        torch.manual_seed(5)
        assert_array_equal(run.state(0)["0.weight"], small()[0].weight.detach().numpy())
    find_ticket(small, train, folder=tmp_path / "c", rounds=1, seed=6)
    assert content(tmp_path / "c")["round-00.h5"]["metrics"]["a"] != seen[0]["round-00.h5"]["metrics"]["a"]


def test_a_search_that_was_interrupted_goes_on_and_repeats_nothing(tmp_path):
    made = []

    def train(model, recorder):
        made.append(1)
        training()(model, recorder)
        if len(made) == 3:
            raise KeyboardInterrupt

    find_ticket(small, training(), folder=tmp_path / "whole", rounds=3)
    with pytest.raises(KeyboardInterrupt):
        find_ticket(small, train, folder=tmp_path / "cut", rounds=3)
    there = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cut").iterdir()}
    assert there.keys() == {"round-00.h5", "round-01.h5", "search.json"}
    told = []
    search = find_ticket(small, train, folder=tmp_path / "cut", rounds=3, progress=lambda *each: told.append(each))
    assert len(made) == 5
    assert told[0] == ("round 0 of 3", 0.0)
    assert told[-1] == ("round 3 of 3", 1.0)
    assert all((tmp_path / "cut" / name).stat().st_mtime_ns == at for name, at in there.items())
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert open_search(tmp_path / "cut") == search
    assert find_ticket(small, train, folder=tmp_path / "cut", rounds=3) == search
    assert len(made) == 5


SCRIPT = """
import os, random, signal, sys, time, torch
sys.path.insert(0, {root!r})
torch.set_num_threads(1)
from tests.tickets.lottery_kit import training, with_norm
from wdyn.tickets import find_ticket

def search(folder, kill_after=None):
    begin, pid = time.monotonic(), os.fork()
    if pid == 0:
        options = dict(rounds=2, rewind_to=5, optimizer_state="rewound")
        find_ticket(with_norm, training(30, (1, 3, 3)), folder=folder, **options)
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    assert kill_after is not None or status == 0
    return time.monotonic() - begin

random.seed(0)
took = search("whole")
for _ in range({kills}):
    search("killed", random.uniform(0, 1) * took / 2)
search("killed")
"""


@pytest.mark.slow
def test_a_search_killed_at_random_ends_as_an_undisturbed_one(tmp_path):
    script = SCRIPT.format(root=str(ROOT), kills=os.environ.get("WDYN_KILLS", "2"))
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    names = {folder: sorted(path.name for path in (tmp_path / folder).iterdir()) for folder in ("whole", "killed")}
    assert names["killed"] == names["whole"]
    states = [load_state(tmp_path / folder / "round-00-optimizer.npz") for folder in names]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][n][k], states[1][n][k]) for n in states[0] for k in states[0][n])


def test_what_a_dead_process_left_is_taken_away_and_nothing_else(tmp_path):
    left = tmp_path / ".unfinished" / "0123" / "round-00.h5.parts"
    left.mkdir(parents=True)
    (left / "seg-000000.wdj").write_bytes(b"half")
    (tmp_path / ".unfinished" / "lock").write_text(
        json.dumps({"pid": 2**22 + 1, "host": os.uname().nodename, "boot_id": None, "started": None})
    )
    (tmp_path / "notes.txt").write_text("mine")
    find_ticket(small, training(), folder=tmp_path, rounds=1)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "search.json", "round-00.h5", "round-01.h5"}


def test_two_searches_in_one_folder_are_refused(tmp_path):
    def train(model, recorder):
        with pytest.raises(RunExistsError, match=f"process {os.getpid()} on"):
            find_ticket(small, training(), folder=tmp_path)
        training()(model, recorder)

    find_ticket(small, train, folder=tmp_path, rounds=1)


OTHER = [
    ({"rate": 0.3}, r"begun with rate=0.2, not 0.3"),
    ({"rewind_to": 2}, "rewind_to=0, not 2"),
    ({"seed": 1}, "seed=0, not 1"),
    ({"early_stop": "val_loss"}, "early_stop=None, not 'val_loss'"),
    ({"schedule": every(2)}, r"schedule='log_spaced\(20\)', not 'every\(2\)'"),
    ({"metadata": {"dataset": "x"}}, "metadata="),
    ({"sample": (np.zeros((2, 6)), np.zeros(2))}, "sample=None, not"),
    ({"criterion": "random"}, "criterion='magnitude', not 'random'"),
    ({"exclude": "4"}, "exclude="),
]


def test_other_settings_in_the_same_folder_are_refused(tmp_path):
    find_ticket(small, training(1), folder=tmp_path, rounds=1)
    before = content(tmp_path)
    for changed, said in OTHER:
        with pytest.raises(MisuseError, match=said):
            find_ticket(small, training(1), folder=tmp_path, rounds=1, **changed)
    assert content(tmp_path) == before


def test_the_order_of_globs_counts(tmp_path):
    find_ticket(small, training(1), folder=tmp_path, rounds=1, rate={"4": 0.1, "*": 0.2})
    with pytest.raises(MisuseError, match="rate="):
        find_ticket(small, training(1), folder=tmp_path, rounds=1, rate={"*": 0.2, "4": 0.1})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rate": 1.0}, "rate"),
        ({"rate": {"fc9": 0.1}}, "'fc9'.* matches nothing"),
        ({"rate": {"0": 0.1, "2": 0.2}, "scope": "global"}, "one rate"),
        ({"exclude": "nothing"}, "matches nothing"),
        ({"exclude": ["0", "2", "4"]}, "leave no parameter"),
        ({"rounds": 0}, "rounds is a whole number from 1"),
        ({"rewind_to": -1}, "rewind_to"),
        ({"rewind_to": 1.5}, "rewind_to"),
        ({"criterion": "size"}, "criterion='size'"),
        ({"scope": "net"}, "scope='net'"),
        ({"structured": "l3"}, "structured='l3'"),
        ({"optimizer_state": "old"}, "optimizer_state='old'"),
        ({"metadata": {"ticket": 1}}, "'ticket'"),
        ({"schedule": 5}, "schedule"),
        ({"sample": (1, 2)}, "sample"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_made(tmp_path, wrong, said):
    with pytest.raises(MisuseError, match=said):
        find_ticket(small, training(1), folder=tmp_path / "s", **wrong)
    assert not (tmp_path / "s").exists()


def diverges(model, recorder):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.full((1, 6), torch.nan)).sum().backward()
    optimizer.step()


@pytest.mark.parametrize(
    ("train", "options", "error", "said"),
    [
        (lambda model, recorder: None, {}, MisuseError, "made no step"),
        (training(2), {"rewind_to": 5}, MisuseError, "rewind_to=5, but train.. made only 2 steps"),
        (training(2), {"early_stop": "loss"}, NotFoundError, "'loss' was not logged. train.. logged: val_loss"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*no optimizer updated")
def test_a_training_that_is_of_no_use_is_not_kept(tmp_path, train, options, error, said):
    with pytest.raises(error, match=said):
        find_ticket(small, train, folder=tmp_path, **options)
    assert {path.name for path in tmp_path.iterdir()} == {"search.json"}


def test_weights_that_are_not_numbers_are_not_ranked(tmp_path):
    with pytest.raises(MisuseError, match=r"48 scores are not numbers.* diverge"):
        find_ticket(small, diverges, folder=tmp_path)


def test_a_model_that_is_another_each_time_is_refused(tmp_path):
    made = iter([small, small, lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 5))])
    with pytest.raises(MisuseError, match=r"0.weight was recorded with shape \(8, 6\)"):
        find_ticket(lambda: next(made)(), training(), folder=tmp_path)
    with pytest.raises(MisuseError, match=r"gave a int, but a torch.nn.Module"):
        find_ticket(lambda: 5, training(), folder=tmp_path / "b")


def test_files_that_are_not_of_the_search_are_refused(tmp_path):
    with Recorder(small(), tmp_path / "other.h5") as recorder:
        recorder.step()
    find_ticket(small, training(), folder=tmp_path / "s", rounds=1)
    (tmp_path / "s/search.json").rename(tmp_path / "search.json")
    with pytest.raises(MisuseError, match=r"holds round-00.h5 but no search.json"):
        find_ticket(small, training(), folder=tmp_path / "s")
    (tmp_path / "search.json").rename(tmp_path / "s/search.json")
    (tmp_path / "s/round-00.h5").unlink()
    with pytest.raises(RunFileError, match=r"round-01.h5: was made from another round-00.h5"):
        find_ticket(small, training(), folder=tmp_path / "s", rounds=1)
    (tmp_path / "other.h5").rename(tmp_path / "s/round-02.h5")
    (tmp_path / "s/round-01.h5").unlink()
    with pytest.raises(RunFileError, match=r"round-02.h5: was not made by a search"):
        find_ticket(small, training(), folder=tmp_path / "s", rounds=2)
    with pytest.raises(RunFileError, match="no search"):
        open_search(tmp_path / "nowhere")
