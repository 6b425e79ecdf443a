from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kstest

import wdyn
from tests.make_run import make_run
from wdyn.analyses import _aligned_overlap, load
from wdyn.analyses._aligned_overlap import Half, aligned_overlap, draws_for
from wdyn.analyses._chain_of_layers import Link, plain_chain
from wdyn.analyses._unit_alignment import Alignment, align_chain, expanded, matched, without_units
from wdyn.analyses.aligned_tickets import AlignedTickets
from wdyn.errors import MisuseError

SHAPES = {"fc1": (48, 30), "fc2": (24, 48), "fc3": (5, 24)}
Weights = dict[str, np.ndarray]


def node(name: str, operation: str, *arguments: Any) -> list[Any]:
    """Text arguments are names of nodes."""
    given = [{"node": each} if isinstance(each, str) else each for each in arguments]
    return [name, f"aten.{operation}", given, {}, ""]


def program(*nodes: list[Any], tensors: Mapping[str, str]) -> dict[str, Any]:
    return {
        "format": 1, "inputs": [{"node": "x", "dtype": "float32", "shape": [None, 30]}],
        "arguments": [[{"node": "x"}], {}], "tensors": dict(tensors), "constants": {}, "nodes": list(nodes),
        "output": {"node": nodes[-1][0]}, "without_hooks": [],
    }  # fmt: skip


def dense_program(layers: Mapping[str, Any]) -> dict[str, Any]:
    nodes, before = [], "x"
    for layer in layers:
        nodes += [node(layer, "linear.default", before, f"w_{layer}"), node(f"r_{layer}", "relu.default", layer)]
        before = f"r_{layer}"
    return program(*nodes[:-1], tensors={f"w_{layer}": f"{layer}.weight" for layer in layers})


def network(rng: np.random.Generator, shapes: Mapping[str, tuple[int, ...]] = SHAPES) -> Weights:
    return {layer: rng.normal(size=shape).astype("f4") for layer, shape in shapes.items()}


def permuted(weights: Weights, rng: np.random.Generator) -> tuple[Weights, list[np.ndarray]]:
    """The same function with its hidden units in another order; and those orders."""
    found, orders, before = {}, [], None
    for layer, values in weights.items():
        last = layer == list(weights)[-1]
        order = np.arange(len(values)) if last else rng.permutation(len(values))
        found[layer] = values[order] if before is None else values[order][:, before]
        orders.append(order)
        before = order
    return found, orders


def largest_half(weights: Weights) -> Weights:
    return {layer: np.abs(values) > np.median(np.abs(values)) for layer, values in weights.items()}


def named(values: Weights) -> Weights:
    return {f"{layer}.weight": each for layer, each in values.items()}


@pytest.fixture
def search(tmp_path: Path) -> Callable[..., Path]:
    """A folder with a dense run and a ticket; gives the ticket."""

    def make(name: str, start: Weights, dense: Weights, masks: Weights, *, without: str = "", **options: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        if without != "dense":
            steps = {0: named(start), 9: named(dense)}
            options = {"program": dense_program(dense)} | options
            facts = {"meta": {"run_id": name * 32}, "metadata": {"ticket": {"kind": "dense", "round": 0}}}
            make_run(folder / "round-00.h5", steps, **facts, **options)
        of_ticket = {"kind": "ticket", "start": {"file": "round-00.h5", "step": 0, "run_id": name * 32}}
        metadata = {} if without == "facts" else {"ticket": of_ticket}
        return make_run(
            folder / f"{name}.h5", {0: named(start), 9: named(dense)}, masks={0: named(masks)}, metadata=metadata
        )

    return make


def compare(*files: Path, **options: Any) -> AlignedTickets:
    result: AlignedTickets = load("aligned_tickets").compute([wdyn.open_run(file) for file in files], **options)
    return result


def test_a_permuted_copy_aligns_to_one(search: Callable[..., Path], rng: np.random.Generator) -> None:
    dense = network(rng)
    copy, orders = permuted(dense, rng)
    result = compare(
        search("a", network(rng), dense, largest_half(dense)), search("b", network(rng), copy, largest_half(copy))
    )
    assert_array_equal(result.iou, np.ones((1, 3)))
    assert_allclose(result.iou_before[0, :2], 1 / 3, atol=0.05)  # p / (2 - p) at one half
    assert (result.z[0] > 5).all()
    assert all(finding.significant for finding in load("aligned_tickets").findings(result))
    assert_allclose(result.moved[0], [np.mean(order != np.arange(len(order))) for order in orders], atol=1e-12)


def test_unrelated_networks_are_no_more_alike_once_aligned(
    search: Callable[..., Path], rng: np.random.Generator
) -> None:
    files = [search(n, network(rng), w := network(rng), largest_half(w)) for n in "ab"]
    result = compare(*files)
    assert (result.iou >= result.iou_before - 0.02)[0, :2].all()  # aligning makes anything overlap more
    assert not any(finding.significant for finding in load("aligned_tickets").findings(result))


def test_a_planted_overlap_is_recovered(search: Callable[..., Path], rng: np.random.Generator) -> None:
    dense = network(rng)
    copy, _ = permuted(dense, rng)
    noisy = {layer: (values + 0.8 * rng.normal(size=values.shape)).astype("f4") for layer, values in copy.items()}
    result = compare(
        search("a", network(rng), dense, largest_half(dense)), search("b", network(rng), noisy, largest_half(noisy))
    )
    assert (result.z[0, :2] > 5).all()
    assert (result.iou[0] > result.iou_before[0] + 0.1)[:2].all()


def test_controls_and_tickets_of_one_search_are_not_aligned(
    search: Callable[..., Path], rng: np.random.Generator
) -> None:
    dense = network(rng)
    first = search("a", network(rng), dense, largest_half(dense))
    facts = {"kind": "ticket", "start": {"file": "round-00.h5", "step": 0, "run_id": "a" * 32}}
    steps, masks = {0: named(network(rng)), 9: named(dense)}, {0: named(largest_half(dense))}
    more = make_run(first.parent / "more.h5", steps, masks=masks, metadata={"ticket": facts})
    with pytest.raises(MisuseError, match="a and more: they come from one dense run"):
        compare(first, more)
    control = make_run(
        first.parent / "b.h5", steps, masks=masks, metadata={"ticket": facts | {"kind": "reinitialised"}}
    )  # fmt: skip
    with pytest.raises(MisuseError, match=r"b is a control \(reinitialised\)"):
        compare(first, control)


def test_a_transferred_ticket_leads_to_the_dense_run_it_was_found_in(
    search: Callable[..., Path], rng: np.random.Generator, tmp_path: Path
) -> None:
    files = [search(n, network(rng), w := network(rng), largest_half(w)) for n in "ab"]
    facts = {"kind": "transferred", "start": {"file": "../a/a.h5", "step": 0, "run_id": None}}
    masks = {0: named(largest_half(network(rng)))}
    (tmp_path / "t").mkdir()
    moved = make_run(
        tmp_path / "t" / "t.h5", {0: named(network(rng)), 9: named(network(rng))}, masks=masks,
        metadata={"ticket": facts},
    )  # fmt: skip
    assert compare(moved, files[1]).pairs == ((0, 1),)
    with pytest.raises(MisuseError, match="they come from one dense run"):
        compare(moved, files[0])


@pytest.mark.slow
@pytest.mark.parametrize("uneven", [False, True])
def test_chances_of_unrelated_networks_are_uniform(
    uneven: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where units differ much in size, which pairs large ones with large ones."""
    monkeypatch.setattr(_aligned_overlap, "MOST_DRAWS", 39)
    inputs, p = np.abs(np.sin(np.arange(40) / 6)) + 0.05, []
    for _ in range(80):
        halves = []
        for _ in range(2):
            sizes = rng.gamma(3, size=(48, 1)) if uneven else np.ones((48, 1))
            weights = rng.normal(size=(48, 40)) * sizes * inputs
            halves.append(Half(weights, np.abs(weights) >= np.quantile(np.abs(weights), 0.8)))
        place = Alignment(matched(halves[0].weights, halves[1].weights), np.arange(40))
        p.append(aligned_overlap(*halves, place, matches=True, rng=rng).p)
    assert kstest(p, "uniform").pvalue > 1e-3
    assert np.mean(np.array(p) <= 0.05) < 0.15  # of 80 at 5 %, 12 or more in 1 of 1,000 cases


@pytest.mark.parametrize("units", [8, 16, 31])
def test_small_layers_with_units_of_unequal_size_are_not_alike(
    units: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_aligned_overlap, "MOST_DRAWS", 39)
    p = []
    for _ in range(30):
        weights = rng.normal(size=(2, units, units)) * rng.gamma(1, size=(2, units, 1))
        first, second = (Half(each, np.abs(each) >= np.median(np.abs(each))) for each in weights)
        place = Alignment(matched(first.weights, second.weights), np.arange(units))
        p.append(aligned_overlap(first, second, place, matches=True, rng=rng).p)
    assert np.sum(np.array(p) <= 0.01) <= 3  # of 30 at 1 %, 4 or more in 1 of 4,700 cases


def test_matching_is_the_best_of_all_orders(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(2, 5, 7))
    best = max(permutations(range(5)), key=lambda order: float(np.sum(first * second[list(order)])))
    assert_array_equal(matched(first, second), best)


def test_columns_of_a_convolution_move_in_blocks(rng: np.random.Generator) -> None:
    chain = [Link("conv", 1), Link("fc", 4), Link("out", 1)]
    first = {"conv": rng.normal(size=(6, 9)), "fc": rng.normal(size=(5, 24)), "out": rng.normal(size=(3, 5))}
    order = rng.permutation(6)
    second = first | {
        "conv": first["conv"][order],
        "fc": first["fc"].reshape(5, 6, 4)[:, order].reshape(5, 24),
    }
    found = align_chain(chain, first.__getitem__, second.__getitem__)
    for layer, place in found.items():
        assert_array_equal(place.of(second[layer]), first[layer])
    assert_array_equal(expanded(np.array([1, 0]), 3), [3, 4, 5, 0, 1, 2])


def test_without_units_each_input_keeps_its_weights_with_their_marks(rng: np.random.Generator) -> None:
    weights = rng.normal(size=(40, 9))
    kept = weights > 0.5 * np.arange(40)[:, None] / 40
    loose, marks = without_units(weights, kept, rng=rng)
    for column in range(9):
        before = sorted(zip(weights[:, column], kept[:, column], strict=True))
        assert before == sorted(zip(loose[:, column], marks[:, column], strict=True))
    assert not (loose == weights).all(axis=1).any()


def test_draws_are_fewer_for_large_layers() -> None:
    assert draws_for((300, 784)) >= 99
    assert draws_for((512, 4608)) == 19


def test_what_is_missing_is_told(search: Callable[..., Path], rng: np.random.Generator) -> None:
    def ticket(name: str, **options: Any) -> Path:
        dense = network(rng)
        return search(name, network(rng), dense, largest_half(dense), **options)

    good = ticket("a")
    for name, options, reason in (
        ("b", {"without": "dense"}, "the dense run of b, round-00.h5, cannot be read beside it"),
        ("c", {"without": "facts"}, "c does not say which dense run it comes from"),
        ("d", {"program": None}, "holds no program"),
    ):
        with pytest.raises(MisuseError, match=reason):
            compare(good, ticket(name, **options))
    (good.parent / "round-00.h5").unlink()
    with pytest.raises(MisuseError, match=r"the dense run of a, round-00\.h5, cannot be read"):
        compare(good, ticket("e"))


def test_a_dense_run_among_the_given_is_taken(search: Callable[..., Path], rng: np.random.Generator) -> None:
    files = [search(n, network(rng), w := network(rng), largest_half(w)) for n in "ab"]
    elsewhere = files[0].parent.parent / "moved.h5"
    (files[0].parent / "round-00.h5").rename(elsewhere)
    assert compare(*files, elsewhere).pairs == ((0, 1),)


def test_another_recording_in_the_place_of_the_dense_run(search: Callable[..., Path], rng: np.random.Generator) -> None:
    files = [search(n, network(rng), w := network(rng), largest_half(w)) for n in "ab"]
    (files[0].parent / "round-00.h5").write_bytes((files[1].parent / "round-00.h5").read_bytes())
    with pytest.raises(MisuseError, match=r"round-00\.h5 beside a is another recording"):
        compare(*files)


def test_networks_of_one_birth_stand_as_they_are(search: Callable[..., Path], rng: np.random.Generator) -> None:
    start = network(rng)
    files = [search(n, start, w := network(rng), largest_half(w)) for n in "ab"]
    with pytest.raises(MisuseError, match="born with the same weights"):
        compare(*files)
    rounded = {layer: (values.view("u4") & 0xFFFF0000).view("f4") for layer, values in start.items()}  # as bfloat16
    with pytest.raises(MisuseError, match="born with the same weights"):
        compare(files[0], search("d", rounded, w := network(rng), largest_half(w)))
    other = search("c", network(rng), start, largest_half(start))
    result = compare(*files, other)
    assert result.pairs == ((0, 2), (1, 2))
    assert result.notes == (
        "a and b: they were born with the same weights, so their units correspond as they stand",
    )  # fmt: skip


CONV = {"w_c": "c.weight", "w_f": "f.weight", "w_o": "o.weight"}
CONV_WEIGHTS = {"c": (4, 1, 3, 3), "f": (6, 16), "o": (3, 6)}


def a_chain(tmp_path: Path, nodes: list[list[Any]], tensors: Mapping[str, str], shapes: Mapping[str, Any]) -> Any:
    file = tmp_path / "net.h5"
    weights = {f"{layer}.weight": np.ones(shape, "f4") for layer, shape in shapes.items()}
    return plain_chain(wdyn.open_run(make_run(file, {0: weights}, program=program(*nodes, tensors=tensors))))


def test_convolutions_then_linear_layers_are_a_chain(tmp_path: Path) -> None:
    nodes = [
        node("c", "conv2d.default", "x", "w_c"), node("r", "relu.default", "c"),
        node("p", "max_pool2d.default", "r", [2, 2]), node("fl", "flatten.using_ints", "p", 1),
        node("f", "linear.default", "fl", "w_f"), node("t", "tanh.default", "f"),
        node("o", "linear.default", "t", "w_o"), node("s", "_log_softmax.default", "o", 1, False),
    ]  # fmt: skip
    assert a_chain(tmp_path, nodes, CONV, CONV_WEIGHTS) == [Link("c", 1), Link("f", 4), Link("o", 1)]


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        ([node("b", "linear.default", "a", "w_b"), node("y", "add.Tensor", "a", "b")], "shared along a residual path"),
        ([node("y", "add.Tensor", "x", "a")], "shared along a residual path"),
        ([node("y", "mul.Tensor", "x", "a")], r"it branches \(at aten.mul.Tensor\)"),
        ([node("y", "_softmax.default", "a", 1, False)], "aten._softmax.default mixes or moves units"),
        ([node("y", "flatten.using_ints", "a", 0)], "flatten.using_ints mixes or moves units"),
    ],
)
def test_what_is_no_chain_says_why(tmp_path: Path, between: list[list[Any]], reason: str) -> None:
    nodes = [node("a", "linear.default", "x", "w_a"), *between, node("c", "linear.default", "y", "w_c")]
    tensors = {"w_a": "a.weight", "w_b": "b.weight", "w_c": "c.weight"}
    with pytest.raises(MisuseError, match=reason):
        a_chain(tmp_path, nodes, tensors, {"a": (5, 5), "b": (5, 5), "c": (3, 5)})


def test_layers_that_do_not_fit_or_are_used_twice_are_no_chain(tmp_path: Path) -> None:
    twice = [node("a", "linear.default", "x", "w_a"), node("b", "linear.default", "a", "w_a")]
    with pytest.raises(MisuseError, match="a is used more than once"):
        a_chain(tmp_path, twice, {"w_a": "a.weight"}, {"a": (5, 5)})
    (tmp_path / "net.h5").unlink()
    grouped = [node("a", "conv2d.default", "x", "w_a"), node("b", "conv2d.default", "a", "w_b")]
    with pytest.raises(MisuseError, match="the 18 inputs of b are not those of 4 units of a"):
        a_chain(tmp_path, grouped, {"w_a": "a.weight", "w_b": "b.weight"}, {"a": (4, 1, 3, 3), "b": (4, 2, 3, 3)})
