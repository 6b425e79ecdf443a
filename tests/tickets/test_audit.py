"""Honest tickets keep every promise; a ticket with one lie in it breaks that promise alone."""

import itertools
import json

import h5py
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import wdyn
from tests.make_run import make_run
from tests.tickets.make_ticket import STEPS, adam, convolutional, copy_with, make_ticket
from wdyn import Recorder
from wdyn.errors import MisuseError, NotFoundError, RunFileError
from wdyn.tickets._audit_mask import zeros_of
from wdyn.tickets.audit import PROMISES, audit

HONEST = {
    "two rounds, momentum and weight decay": {"rounds": 2},
    "units and Adam": {"model": convolutional, "structured": "l1", "optimizer": adam, "criterion": "movement"},
    "all layers together, rewound to step 2": {"scope": "global", "rewind_to": 2, "criterion": "magnitude_increase"},
}


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """Name to the files of its rounds."""
    made = {}
    for name, how in HONEST.items():
        made[name] = make_ticket(tmp_path_factory.mktemp("tickets"), **how)
    return made


@pytest.fixture
def ticket(honest, tmp_path):
    """A folder of its own with the dense run and a function that copies the ticket into it."""
    dense, first = honest["two rounds, momentum and weight decay"][:2]
    (tmp_path / dense.name).write_bytes(dense.read_bytes())
    number = itertools.count()
    return lambda **change: copy_with(first, tmp_path / f"lie-{next(number)}.h5", **change)


def statuses(found):
    return {promise.name: promise.status for promise in found.promises}


def only_broken(found, name):
    """The violation, where this promise alone is broken."""
    broken = [promise.name for promise in found.promises if promise.status == "broken"]
    assert broken == [name], str(found)
    assert not found.good
    return found[name].violations[0]


@pytest.mark.parametrize("name", HONEST)
def test_honest_tickets_keep_every_promise(honest, name):
    dense, *rounds = honest[name]
    assert set(statuses(audit(dense)).values()) == {"not checked"}
    for each in rounds:
        found = audit(each)
        assert statuses(found) == dict.fromkeys(PROMISES, "held"), str(found)
        assert found.good


def test_a_copy_is_as_honest_as_the_original(ticket):
    assert audit(ticket()).good


# the six lies


def test_a_weight_that_woke_up(ticket):
    def wake(step, name, values):
        pruned = ~masks[name] if name in masks else np.zeros(values.shape, bool)
        found = np.where(pruned, 0, values).astype(values.dtype)
        if name == "3.weight" and step >= 4:
            found[tuple(np.argwhere(pruned)[2])] = 1e-30
        return found

    masks = _masks(ticket())
    lie = audit(ticket(masks={}, arrays=wake))
    broken = only_broken(lie, "zeros")
    assert (broken.parameter, broken.step, broken.count) == ("3.weight", 4, 1)
    assert broken.first == tuple(np.argwhere(~masks["3.weight"])[2])
    assert statuses(lie)["mask"] == "not checked"


def test_a_weight_that_a_mask_lets_back_in(ticket):
    masks = _masks(ticket())
    other = {name: mask.copy() for name, mask in masks.items()}
    place = tuple(np.argwhere(~other["0.weight"])[0])
    other["0.weight"][place] = True
    broken = only_broken(audit(ticket(masks={0: masks, 3: other})), "mask")
    assert (broken.parameter, broken.step, broken.count, broken.first) == ("0.weight", 3, 1, place)
    assert "1 weight came back" in broken.text


def test_a_wrong_rewind(honest, ticket):
    with wdyn.open_run(honest["two rounds, momentum and weight decay"][0]) as dense:
        later = dense.state(1)
    lie = audit(
        ticket(arrays=lambda step, name, values: later[name] if step == 0 and "running" not in name else values)
    )
    masks = _masks(lie.path)
    broken = {each.parameter: each for each in lie["start"].violations}
    only_broken(lie, "start")
    assert {name for name in broken if broken[name].step == 0} >= {
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "3.weight",
    }
    assert broken["3.weight"].count == masks["3.weight"].sum()  # each survivor moved in the first update
    assert not any("running" in name for name in broken)


@pytest.mark.parametrize("name", ["0.bias", "1.weight", "1.running_var", "1.num_batches_tracked"])
def test_everything_that_is_recorded_is_rewound(ticket, name):
    def shifted(step, each, values):
        return values + np.ones((), values.dtype) if (step, each) == (0, name) else values

    broken = only_broken(audit(ticket(arrays=shifted)), "start")
    assert broken.parameter == name
    assert broken.first == (None if name.endswith("tracked") else (0,))


def test_one_weight_too_many_pruned(ticket):
    masks = _masks(ticket())
    with wdyn.open_run(ticket()) as run, wdyn.open_run(run.path.with_name("round-00.h5")) as dense:
        last = np.abs(dense.state(STEPS)["0.weight"])
    masks["0.weight"][np.unravel_index(np.where(masks["0.weight"], last, np.inf).argmin(), last.shape)] = False
    kept = {name: int(mask.sum()) for name, mask in masks.items()}
    lie = audit(ticket(masks={0: masks}, ticket={"kept": kept}))
    broken = only_broken(lie, "counts")
    assert (broken.parameter, broken.step, broken.count) == ("0.weight", 0, 1)
    assert "1 weight too many pruned: 37 are left, not 38" in broken.text  # 54 * 0.7 = 37.8
    assert statuses(audit(ticket(masks={0: masks})))["kept"] == "broken"  # the ladder's number was kept


def test_a_mask_that_is_lost_while_training(ticket):
    masks = _masks(ticket())
    gone = {name: np.ones_like(mask) for name, mask in masks.items()}
    lie = audit(ticket(masks={0: masks, 5: masks | {"3.weight": gone["3.weight"]}}))
    broken = only_broken(lie, "mask")
    assert (broken.parameter, broken.step, broken.count) == ("3.weight", 5, (~masks["3.weight"]).sum())
    assert "the mask is lost" in broken.text


def test_a_mask_that_comes_only_later(ticket):
    masks = _masks(ticket())
    broken = only_broken(audit(ticket(masks={2: masks})), "mask")
    assert broken.step == 0
    assert "pruned from step 2 on were not masked before" in broken.text


def test_momentum_that_moves_a_pruned_weight(tmp_path):
    """The habit of zeroing weights and their gradients by hand, under an optimizer that remembers."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def update(mask=None):
        optimizer.zero_grad()
        model(torch.randn(8, 6)).square().mean().backward()
        if mask is not None:
            model[0].weight.grad.mul_(mask)
        optimizer.step()

    update()
    mask = torch.rand(9, 6) < 0.5
    with torch.no_grad():
        model[0].weight.mul_(mask)
    with Recorder(model, tmp_path / "a.h5", program=False):
        for _ in range(3):
            update(mask)
    broken = only_broken(audit(tmp_path / "a.h5"), "zeros")
    assert (broken.parameter, broken.step) == ("0.weight", 1)
    assert broken.count == int((~mask).sum())
    assert broken.first == tuple(np.argwhere(~mask.numpy())[0])


@pytest.mark.parametrize("says", [{}, {"kind": None, "total": None, "kept": None}])
def test_a_dense_network_that_is_called_a_ticket(ticket, says):
    lie = audit(ticket(masks={}, ticket=says))
    broken = only_broken(lie, "sparse")
    assert (broken.parameter, broken.step, broken.count) == ("0.weight", 0, 54)
    assert set(statuses(lie).values()) == {"broken", "not checked"}


# more lies


def test_other_weights_than_the_criterion_names(ticket):
    masks = _masks(ticket())
    mask = masks["3.weight"]
    masks["3.weight"] = np.roll(mask.ravel(), 1).reshape(mask.shape)
    broken = only_broken(audit(ticket(masks={0: masks})), "choice")
    assert broken.parameter == "3.weight"
    assert broken.count == (masks["3.weight"] & ~mask).sum()
    assert broken.first == tuple(np.argwhere(masks["3.weight"] & ~mask)[0])


def test_what_an_earlier_round_pruned_does_not_come_back(honest, tmp_path):
    dense, first, second = honest["two rounds, momentum and weight decay"]
    for each in (dense, first):
        (tmp_path / each.name).write_bytes(each.read_bytes())
    masks, before = _masks(second), _masks(first)["0.weight"]
    back = tuple(np.argwhere(~before)[1])
    masks["0.weight"][back], masks["0.weight"][tuple(np.argwhere(masks["0.weight"])[0])] = True, False
    broken = only_broken(audit(copy_with(second, tmp_path / "lie.h5", masks={0: masks})), "choice")
    assert (broken.parameter, broken.count, broken.first) == ("0.weight", 1, back)
    assert "came back" in broken.text


def test_units_go_whole_and_are_counted_exactly(honest, tmp_path):
    dense, first = honest["units and Adam"]
    (tmp_path / dense.name).write_bytes(dense.read_bytes())
    torn = _masks(first)
    place = tuple(np.argwhere(torn["3.weight"])[0])  # of a transposed convolution, whose second axis counts units
    torn["3.weight"][place] = False
    found = audit(copy_with(first, tmp_path / "torn.h5", masks={0: torn}))
    assert found["counts"].status == "broken"
    assert found["counts"].violations[0].first == (place[1],)
    assert "pruned in part" in found["counts"].text
    fewer = _masks(first)
    fewer["3.weight"][:, np.flatnonzero(fewer["3.weight"].any((0, 2, 3)))[0]] = False
    found = audit(copy_with(first, tmp_path / "fewer.h5", masks={0: fewer}))
    assert "1 unit too many pruned" in found["counts"].text


def test_a_masked_value_that_is_no_number_is_not_zero(ticket):
    masks = _masks(ticket())
    place = tuple(np.argwhere(~masks["0.weight"])[0])

    def spoiled(step, name, values):
        found = values.copy()
        if (step, name) == (2, "0.weight"):
            found[place] = np.inf
        return found

    broken = only_broken(audit(ticket(arrays=spoiled)), "zeros")
    assert (broken.parameter, broken.step, broken.first) == ("0.weight", 2, place)


# controls


def test_a_reinitialised_control_starts_elsewhere(ticket, rng):
    says = {"kind": "reinitialised", "start": None}
    assert only_broken(audit(ticket(ticket=says)), "start").parameter == "0.weight"

    def anew(step, name, values):
        return rng.normal(size=values.shape).astype(values.dtype) if step == 0 and values.ndim > 1 else values

    assert audit(ticket(ticket=says, arrays=anew))["start"].status == "held"


def test_a_shuffled_control_starts_with_the_same_values_elsewhere(ticket, rng):
    own = _masks(ticket())
    moved = {name: rng.permutation(mask.size) for name, mask in own.items()}

    def shuffle(values, name):
        return values.ravel()[moved[name]].reshape(values.shape) if name in moved else values

    masks = {0: {name: shuffle(mask, name) for name, mask in own.items()}}
    says = {"kind": "shuffled"}
    found = audit(ticket(masks=masks, ticket=says, arrays=lambda step, name, each: shuffle(each, name)))
    assert found.good
    assert found["start"].status == "held"
    assert found["choice"].status == "not checked"
    lie = audit(ticket(masks=masks, ticket=says))  # the original's start, under a moved mask
    assert only_broken(lie, "start").parameter == "0.weight"


def test_a_transferred_ticket_may_bring_only_a_part(ticket, honest, tmp_path):
    """Its output layer is for another number of classes, so it starts fresh and is not pruned."""
    dense, first = honest["two rounds, momentum and weight decay"][:2]

    def wider(step, name, values):
        return np.concatenate([values, values[:1] + 1]) if name.startswith("3.") else values

    def transferred(path, **says):
        with wdyn.open_run(first) as run:
            fits = {"total": {"0.weight": 54}, "kept": {"0.weight": 38}, "kind": "transferred"}
            fits["start"] = {"file": first.name, "step": 0, "run_id": run.meta["run_id"]}
            masks = {0: {"0.weight": run.masks(0)["0.weight"]}}
        return audit(copy_with(first, path, arrays=wider, masks=masks, layers=[], ticket=fits | says))

    for each in (dense, first):
        (tmp_path / each.name).write_bytes(each.read_bytes())
    found = transferred(tmp_path / "a.h5", found_on={"fresh": ["3.weight", "3.bias"]})
    assert statuses(found) == dict.fromkeys(PROMISES, "held"), str(found)
    assert "2 tensors of this network are new" in found["start"].text
    unsaid = transferred(tmp_path / "b.h5")
    assert unsaid["start"].status == "not checked"
    assert "3.weight cannot be compared" in unsaid["start"].text


# runs made by other means


def test_a_run_that_says_nothing_is_audited_by_its_zeros(ticket):
    def by_hand(step, name, values):
        return values * masks[name] if name in masks and step else values  # pruned only with the first update

    masks = _masks(ticket())
    says = dict.fromkeys(("kind", "round", "rates", "start", "mask_from", "total", "kept"))
    lie = ticket(masks={}, arrays=by_hand, ticket=says)
    found = audit(lie)
    assert statuses(found) == {
        "sparse": "held", "mask": "not checked", "zeros": "held", "start": "not checked", "counts": "not checked",
        "choice": "not checked", "kept": "not checked",
    }  # fmt: skip
    assert "exact zeros at step 1" in found["sparse"].text
    assert "--start RUN:STEP" in found["start"].text
    assert "--rate 0.2 and --round 3" in found["counts"].text
    assert found.good
    dense = lie.with_name("round-00.h5")
    told = audit(lie, start=(dense, 0), parent=(dense, STEPS), rates={"*": 0.3}, round=1)
    assert [statuses(told)[name] for name in ("start", "counts", "choice")] == ["held"] * 3
    assert only_broken(audit(lie, rates=0.2, round=1), "counts").parameter == "0.weight"
    assert only_broken(audit(lie, start=(dense, 3)), "start").parameter == "0.weight"
    with wdyn.open_run(dense) as run:
        assert audit(lie, start=(run, 0))["start"].status == "held"
    with pytest.raises(NotFoundError, match="no step 99"):
        audit(lie, start=(dense, 99))


def test_what_a_loop_sets_to_zero_after_the_update_is_said_to_come_too_late(tmp_path):
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 6))
    mask = torch.arange(48).reshape(8, 6) % 2 == 0
    model[0].weight.data *= mask
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with Recorder(model, tmp_path / "a.h5", program=False):
        for _ in range(2):
            model(torch.randn(5, 6)).square().mean().backward()
            optimizer.step()
            model[0].weight.data *= mask
    found = audit(tmp_path / "a.h5")
    assert "as the optimizer left it: what the training loop sets to zero later" in found["zeros"].text
    assert "24 weights are pruned, 75.00% are left" in found["sparse"].text  # of 96 in both layers


def test_which_zeros_are_a_mask():
    few, many, all_zero, none = (np.ones(1000) for _ in range(4))
    few[:3], many[:400], all_zero[:] = 0, 0, 0
    other = np.ones(1000)
    other[500:900] = 0
    for values, expected in [
        ([many, many], (many, 0)), ([many, none], (many, 0)),  # it woke up at once
        ([few, few], None), ([few, many], (many, 1)), ([none, other], (other, 1)),
        ([all_zero, none], None), ([all_zero, many], (many, 1)), ([all_zero, all_zero], (all_zero, 1)),
        ([many], (many, 0)), ([all_zero], (all_zero, 0)),
    ]:  # fmt: skip
        found = zeros_of(values)
        assert (found is None) == (expected is None)
        if expected is not None:
            assert_array_equal(found[0], expected[0] == 0)
            assert found[1] == expected[1]


def test_zeros_of_biases_are_no_mask(tmp_path, rng):
    steps = {s: {"fc.weight": rng.normal(size=(9, 9)).astype("f4"), "fc.bias": np.zeros(9, "f4")} for s in range(3)}
    only_broken(audit(make_run(tmp_path / "a.h5", steps)), "sparse")


def test_weights_that_a_parametrization_makes_cannot_be_seen(tmp_path):
    model = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    with Recorder(model, tmp_path / "a.h5", program=False) as rec:
        rec.step()
    found = audit(tmp_path / "a.h5")["sparse"]
    assert found.status == "not checked"
    assert "torch.nn.utils.prune" in found.text


# what is missing or damaged


def test_missing_and_exchanged_neighbours_are_told(honest, tmp_path):
    dense, first = honest["two rounds, momentum and weight decay"][:2]
    alone = copy_with(first, tmp_path / "alone.h5")
    found = audit(alone)
    assert found.good
    for name in ("start", "choice"):
        assert found[name].status == "not checked"
        assert "round-00.h5" in found[name].text
        assert "RUN:STEP" in found[name].text
    copy_with(dense, tmp_path / "round-00.h5")  # another id
    assert "is another recording" in audit(alone)["start"].text


def test_damaged_steps_are_not_proved(ticket):
    lie = ticket()
    with h5py.File(lie) as file:
        at = file["weights/3.weight"].id.get_chunk_info(0).byte_offset
    data = bytearray(lie.read_bytes())
    data[at + 8] ^= 0xFF
    lie.write_bytes(data)
    found = audit(lie)
    assert not found.good
    for name in ("zeros", "start"):
        assert found[name].status == "not checked"
        assert "3.weight" in found[name].text
    assert [statuses(found)[name] for name in ("sparse", "mask", "counts", "choice", "kept")] == ["held"] * 5


NONSENSE = [
    {"round": "two"}, {"rates": "all"}, {"rates": {"*": 2}}, {"total": {"0.weight": -1}}, {"start": {"file": 3}},
    {"scope": "x"}, {"structured": "l3"},
]  # fmt: skip


@pytest.mark.parametrize("says", NONSENSE)
def test_metadata_that_make_no_sense_are_refused(ticket, says):
    with pytest.raises(MisuseError):
        audit(ticket(ticket=says))


def test_a_file_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"not a run")
    with pytest.raises(RunFileError):
        audit(tmp_path / "a.h5")


def test_it_reads_as_a_table_and_as_json(ticket):
    found = audit(ticket())
    assert str(found).splitlines()[0].endswith("7 promises held, 0 broken, 0 not checked")
    facts = json.loads(json.dumps(found.to_dict()))
    assert facts["good"]
    assert facts["kind"] == "ticket"
    assert list(facts["promises"]) == list(PROMISES)


def _masks(file):
    with wdyn.open_run(file) as run:
        return run.masks(0)
