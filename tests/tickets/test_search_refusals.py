"""What a search cannot do is said before anything is lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.tickets.lottery_kit import (
    content,
    small,
    training,
)  # fmt: skip
from wdyn import Recorder, every
from wdyn.errors import MisuseError, NotFoundError, RunFileError
from wdyn.tickets import find_ticket, open_search, run_controls

pytestmark = pytest.mark.usefixtures("packed_here")


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
    with pytest.raises(MisuseError, match=r"0\.weight, mask of round 1: 48 scores are not numbers.* diverge"):
        find_ticket(small, diverges, folder=tmp_path)


def test_a_model_that_is_another_each_time_is_refused(tmp_path):
    made = iter([small, small, lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 5))])
    with pytest.raises(MisuseError, match=r"0.weight was recorded with shape \(8, 6\)"):
        find_ticket(lambda: next(made)(), training(), folder=tmp_path)
    with pytest.raises(MisuseError, match=r"gave a int, but a torch.nn.Module"):
        find_ticket(lambda: 5, training(), folder=tmp_path / "b")


def other_width():
    return nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 3))


def test_rounds_of_another_network_are_not_taken_for_its_own(tmp_path):
    search = find_ticket(small, training(), folder=tmp_path, rounds=1)
    said = r"round-00.h5: 0.weight was recorded with shape \(8, 6\), but make_model"
    for rounds in (1, 2):
        with pytest.raises(MisuseError, match=said):
            find_ticket(other_width, training(), folder=tmp_path, rounds=rounds)
    with pytest.raises(MisuseError, match=said):
        run_controls(search, other_width, training(), kinds=["shuffled"])


def test_a_weight_that_pruning_cannot_hook_is_refused_before_anything_is_trained(tmp_path):
    def normed():
        return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 5)), nn.Linear(5, 3))

    with pytest.raises(MisuseError, match=r"parametrize, which pruning cannot hook\. Exclude it"):
        find_ticket(normed, training(), folder=tmp_path / "s", rounds=1)
    assert not (tmp_path / "s").exists()
    find_ticket(normed, training(), folder=tmp_path / "s", rounds=1, exclude="0")


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


def test_a_layer_of_which_nothing_is_left_is_told(tmp_path):
    with pytest.warns(RuntimeWarning, match=r"round 1 keeps nothing of 4\.weight"):
        find_ticket(small, training(1), folder=tmp_path, rounds=1, rate={"4": 0.99, "*": 0.2})


def test_numbers_of_numpy_are_numbers(tmp_path):
    whole = np.int64(1)
    search = find_ticket(small, training(2), folder=tmp_path, rounds=whole, rewind_to=whole, seed=whole)
    assert [each.round for each in search.rounds] == [0, 1]
    find_ticket(small, training(2), folder=tmp_path, rounds=1, rewind_to=1, seed=1)
