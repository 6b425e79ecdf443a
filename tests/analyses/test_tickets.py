from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import false_discovery_control, hypergeom, spearmanr

import wdyn
from tests.make_run import make_run
from wdyn.analyses import load
from wdyn.analyses._overlap_bits import packed
from wdyn.analyses._survivors import sign_agreement, unit_correlations
from wdyn.analyses.tickets import Tickets
from wdyn.errors import MisuseError
from wdyn.report.build import build_comparison

SHAPES = {"fc1": (40, 60), "fc2": (12, 40)}
Weights = Mapping[str, np.ndarray]


def born(rng: np.random.Generator, shapes: Mapping[str, tuple[int, ...]] = SHAPES) -> dict[str, np.ndarray]:
    return {layer: rng.normal(size=shape).astype("f4") for layer, shape in shapes.items()}


def random_masks(rng: np.random.Generator, start: Weights, density: float = 0.3) -> dict[str, np.ndarray]:
    return {layer: rng.random(values.shape) < density for layer, values in start.items()}


@pytest.fixture
def ticket(tmp_path: Path, rng: np.random.Generator) -> Callable[..., Path]:
    def make(name: str, start: Weights, masks: Weights | None, **metadata: Any) -> Path:
        end = {layer: values + 0.1 * rng.normal(size=values.shape).astype("f4") for layer, values in start.items()}
        history = metadata.pop("steps", {0: start, 7: end})
        steps = {at: {f"{layer}.weight": values for layer, values in now.items()} for at, now in history.items()}
        options = {} if masks is None else {"masks": {0: {f"{layer}.weight": mask for layer, mask in masks.items()}}}
        return make_run(tmp_path / f"{name}.h5", steps, metadata=metadata, **options)

    return make


def compare(*files: Path, **options: Any) -> Tickets:
    runs = [wdyn.open_run(file) for file in files]
    result: Tickets = load("tickets").compute(runs, **options)
    return result


def test_counts_and_chance_of_a_pair_of_files(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    starts = born(rng), born(rng)
    masks = random_masks(rng, starts[0]), random_masks(rng, starts[1], density=0.5)
    result = compare(*(ticket(n, s, m) for n, s, m in zip("ab", starts, masks, strict=True)))
    for j, layer in enumerate(SHAPES):
        a, b = (each[layer] for each in masks)
        both, union = (a & b).sum(), (a | b).sum()
        assert (result.both[0, j], result.iou[0, j]) == (both, both / union)
        assert_allclose(result.p_uniform[0, j], hypergeom.sf(both - 1, a.size, a.sum(), b.sum()), rtol=1e-9)
        assert_array_equal(result.unit_survivors[layer], [a.sum(axis=1), b.sum(axis=1)])
        assert_array_equal(result.input_survivors[layer], [a.sum(axis=0), b.sum(axis=0)])
        assert_array_equal(result.kept[:, j], [a.sum(), b.sum()])
    assert np.isnan(result.p_initial).all()  # born with other weights
    assert all("no more alike" in words for words in result.verdicts[0])
    assert_allclose(result.all_iou, result.both.sum() / (result.kept.sum() - result.both.sum()))


def test_one_birth_and_unrelated_training_is_no_similarity(
    ticket: Callable[..., Path], rng: np.random.Generator
) -> None:
    start = born(rng)
    masks = [{n: np.abs(v) + rng.normal(size=v.shape) > 1.2 for n, v in start.items()} for _ in range(2)]
    result = compare(ticket("a", start, masks[0]), ticket("b", start, masks[1]))
    assert (result.q_uniform[0] < 0.01).all()
    assert (result.q_initial[0] > 0.01).all()
    assert not any(finding.significant for finding in load("tickets").findings(result))
    assert all("were born with" in words for words in result.verdicts[0])


def test_one_seed_in_another_type_is_one_birth(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    start = born(rng)
    rounded = {n: (v.view("u4") & 0xFFFF0000).view("f4") for n, v in start.items()}  # as bfloat16 has it, cut off
    half = {n: v.astype("f2") for n, v in start.items()}
    starts = [start, rounded, half, born(rng)]
    masks = [{n: np.abs(v) + rng.normal(size=v.shape) > 1.2 for n, v in each.items()} for each in starts]
    result = compare(*(ticket(n, s, m) for n, s, m in zip("abcd", starts, masks, strict=True)))
    of_d = np.array([3 in pair for pair in result.pairs])
    assert np.isfinite(result.p_initial[~of_d]).all()
    assert np.isnan(result.p_initial[of_d]).all()
    assert not any(finding.significant for finding in load("tickets").findings(result))


def test_signs_that_are_flipped_at_birth_count_as_one_magnitude(
    ticket: Callable[..., Path], rng: np.random.Generator
) -> None:
    start = born(rng)
    masks = random_masks(rng, start)
    result = compare(ticket("a", start, masks), ticket("b", {n: -v for n, v in start.items()}, masks))
    assert np.isfinite(result.p_initial).all()
    assert_array_equal(result.signs_start, [[0.0, 0.0]])
    assert result.verdicts[0] == ("the same mask", "the same mask")


def test_a_planted_common_finding_is_claimed(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    start = born(rng)
    first, second = random_masks(rng, start), random_masks(rng, start)
    second = {n: np.where(rng.random(m.shape) < 0.4, first[n], m) for n, m in second.items()}
    result = compare(ticket("a", start, first), ticket("b", start, second))
    found = list(load("tickets").findings(result))
    assert [finding.significant for finding in found] == [True, True]
    assert result.verdicts[0] == ("alike beyond chance", "alike beyond chance")


def test_rounds_of_one_search_lie_within_each_other_and_are_no_tests(
    ticket: Callable[..., Path], rng: np.random.Generator
) -> None:
    start = born(rng)
    first = random_masks(rng, start, 0.6)
    second = {n: m & (rng.random(m.shape) < 0.5) for n, m in first.items()}
    other = random_masks(rng, start)
    result = compare(*(ticket(n, start, m) for n, m in zip("abc", (first, second, other), strict=True)))
    assert all("lies within" in words for words in result.verdicts[0])
    assert np.isnan(result.q_uniform[0]).all()
    assert np.isfinite(result.p_uniform[0]).all()
    assert np.isfinite(result.q_uniform[1:]).all()
    assert_allclose(result.kappa[0], 1.0)


def test_zeros_stand_for_a_mask_where_none_was_recorded(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    start = born(rng)
    masks = random_masks(rng, start), random_masks(rng, start)
    recorded = compare(*(ticket(n, start, m) for n, m in zip("ab", masks, strict=True)))
    pruned = [{n: np.where(m[n], v, 0) for n, v in start.items()} for m in masks]
    by_zeros = compare(*(ticket(n, start, None, steps={0: start, 7: p}) for n, p in zip("cd", pruned, strict=True)))
    assert_array_equal(by_zeros.both, recorded.both)
    assert "c holds no recorded mask: the exact zeros of its last step stand for one" in by_zeros.notes


def test_a_few_zeros_are_no_mask(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    """As for the audit, which takes 1 % of a parameter for chance."""
    start = born(rng)
    masks = random_masks(rng, start)
    zeros = {n: v.copy() for n, v in start.items()}
    zeros["fc1"].ravel()[:23] = 0.0  # of 2,400
    files = [ticket("a", start, masks), ticket("b", start, None, steps={0: start, 7: zeros})]
    with pytest.raises(MisuseError, match="b is a dense run"):
        compare(*files)
    zeros["fc2"] = np.where(masks["fc2"], start["fc2"], 0)
    result = compare(files[0], ticket("c", start, None, steps={0: start, 7: zeros}))
    assert_array_equal(result.kept[1], [2_400, masks["fc2"].sum()])


def test_dense_runs(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    start = born(rng)
    pruned = [ticket(n, start, random_masks(rng, start)) for n in "ab"]
    with pytest.raises(
        MisuseError, match="c is a dense run: no mask was recorded, and at its last step, 7, no layer has 1 % zeros"
    ):
        compare(*pruned, ticket("c", start, None))
    declared = ticket("d", start, None, ticket={"kind": "dense"})
    result = compare(declared, *pruned)
    assert (result.runs, result.notes) == (("a", "b"), ("d is a dense run and has no mask to compare",))
    with pytest.raises(MisuseError, match="two runs at least are pruned, and 1 is"):
        compare(declared, pruned[0])


def test_what_differs_is_explained_and_the_rest_compared(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    shapes = {"fc1": (40, 60), "fc2": (20, 40)}, {"fc1": (40, 70), "extra": (3, 3), "fc2": (20, 40)}
    starts = [born(rng, each) for each in shapes]
    files = [
        ticket(n, s, random_masks(rng, s), dataset=data)
        for n, s, data in zip("ab", starts, ("digits", "cifar"), strict=True)
    ]
    result = compare(*files)
    reasons = {layer: reason for _, layer, reason in result.mismatches}
    assert reasons == {
        "fc1": "another number of inputs (40 x 60 in a, 40 x 70 in b)",
        "extra": "it is only in b",
    }
    assert np.isfinite(result.iou[0, result.layers.index("fc2")])
    assert "a learned digits; b learned cifar" in result.notes
    last = born(rng, {"fc1": (40, 60), "fc2": (7, 40)})
    other = compare(files[0], ticket("c", last, random_masks(rng, last)))
    reason = "another number of outputs, as for other classes (20 x 40 in a, 7 x 40 in c)"
    assert other.mismatches == ((0, "fc2", reason),)
    strange = born(rng, {"head": (3, 3)})
    with pytest.raises(MisuseError, match=r"no layer of a can be compared\. fc1: it is only in a"):
        compare(files[0], ticket("e", strange, random_masks(rng, strange)))


def test_another_order_of_classes_is_told(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    start = born(rng)
    files = [ticket(n, start, random_masks(rng, start), classes=c) for n, c in zip("ab", ([0, 1], [1, 0]), strict=True)]
    assert compare(*files).notes == ("the classes of a and b stand in another order",)


def test_a_layer_that_a_mask_leaves_whole_says_nothing(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    start = born(rng)
    masks = [random_masks(rng, start) for _ in range(2)]
    partial = {"fc1": masks[0]["fc1"]}
    result = compare(ticket("a", start, partial), ticket("b", start, masks[1]))
    assert "nothing to compare" in result.verdicts[0][1]
    assert np.isnan(result.q_uniform[0, 1])
    assert np.isfinite(result.q_uniform[0, 0])


def test_convolutions_and_layers_of_one_unit(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    start = born(rng, {"conv": (8, 3, 3, 3), "one": (1, 8)})
    result = compare(*(ticket(n, start, random_masks(rng, start)) for n in "ab"))
    assert result.unit_survivors["conv"].shape == (2, 8)
    assert result.input_survivors["conv"].shape == (2, 27)
    assert np.isnan(result.z_units[0, 1])


def test_without_step_0_nothing_is_said_of_the_start(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    start = born(rng)
    files = [ticket(n, start, random_masks(rng, start), steps={3: start, 7: start}) for n in "ab"]
    result = compare(*files)
    for values in (result.p_initial, result.signs_start, result.by_start_iou):
        assert np.isnan(values).all()
    assert np.isfinite(result.signs_end).all()


def test_the_mask_of_initial_magnitudes_alone(ticket: Callable[..., Path], rng: np.random.Generator) -> None:
    start = born(rng)
    largest = {n: np.abs(v) >= np.sort(np.abs(v).ravel())[-v.size // 4] for n, v in start.items()}
    result = compare(ticket("a", start, largest), ticket("b", start, random_masks(rng, start)))
    assert_allclose(result.by_start_iou[0], 1.0)
    assert (result.by_start_iou[1] < 0.4).all()


def test_signs_by_hand_and_against_the_definition(rng: np.random.Generator) -> None:
    first, second = rng.random(50) < 0.7, rng.random(50) < 0.6
    anywhere = np.insert(np.ones(50, bool), 20, False)  # one more weight, which is not kept
    found = sign_agreement(packed(np.insert(first, 20, True)), packed(np.insert(second, 20, False)), packed(anywhere))
    assert found.agreement == (first == second).mean()
    dealt = [(rng.permutation(first) == second).mean() for _ in range(20_000)]
    assert found.expected == pytest.approx(np.mean(dealt), abs=4 * np.std(dealt) / np.sqrt(20_000))
    assert found.p == pytest.approx(np.mean(np.array(dealt) >= found.agreement - 1e-9), abs=0.015)


def test_chances_of_signs_and_units_are_corrected_for_their_number(
    ticket: Callable[..., Path], rng: np.random.Generator
) -> None:
    starts = [born(rng), born(rng)]
    masks = [random_masks(rng, starts[0]) for _ in range(4)]
    masks[3] = masks[2]  # the same mask is no test
    files = [ticket(n, starts[k], m) for n, k, m in zip("abcd", (0, 0, 1, 1), masks, strict=True)]
    result = compare(*files)
    one_birth, same = [0, 5], [5]
    for name, untested in (("signs_start", one_birth), ("signs_end", same), ("unit_correlation", same)):
        p, q = getattr(result, f"{name}_p"), getattr(result, f"{name}_q")
        assert np.isnan(q[untested]).all()
        tested = np.delete(p, untested, axis=0)
        assert_allclose(np.delete(q, untested, axis=0).ravel(), false_discovery_control(tested.ravel()), rtol=1e-12)


def test_rank_correlations_agree_with_scipy(rng: np.random.Generator) -> None:
    survivors = rng.integers(0, 9, (3, 30)).astype(float)
    survivors[2] = survivors[0] + rng.integers(0, 3, 30)
    found, chance = unit_correlations(survivors, rng=rng)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        exact = spearmanr(survivors[a], survivors[b])
        assert found[a, b] == pytest.approx(exact.statistic)
        assert chance[a, b] == pytest.approx(exact.pvalue, abs=0.04)  # 1,999 draws, and scipy's t law
    assert np.isnan(unit_correlations(np.array([[1.0, 2, 3, 4], [2, 2, 2, 2]]), rng=rng)[0][0, 1])


@pytest.mark.parametrize("count", [2, 4])
def test_the_page_of_several_tickets(
    count: int, ticket: Callable[..., Path], rng: np.random.Generator, tmp_path: Path
) -> None:
    start = born(rng)
    files = [ticket(n, start, random_masks(rng, start)) for n in "abcd"[:count]]
    pages = [build_comparison(files, only=["tickets"], out=tmp_path / f"{i}.html").read_bytes() for i in range(2)]
    assert pages[0] == pages[1]
    charts = load("tickets").charts(compare(*files))
    assert [chart.title for chart in charts].count("κ of each two runs") == (0 if count == 2 else 2)
    assert sum(chart.title.startswith("Weights kept by") for chart in charts) == (1 if count == 2 else 0)
    maps = [chart for chart in charts if chart.title.endswith(("of each pair", "against random masks"))]
    assert [chart.rows for chart in maps] == ([] if count == 2 else [["A–B", "A–C", "A–D", "B–C", "B–D", "C–D"]] * 2)
    legends = [chart.columns for chart in charts if chart.title.startswith("Letters")]
    assert legends == ([] if count == 2 else [{"letter": ["A", "B", "C", "D"], "run": ["a", "b", "c", "d"]}])
    table = next(chart for chart in charts if chart.title == "Overlap of masks")
    assert len(table.columns["verdict"]) == count * (count - 1) // 2 * 2


def test_dense_runs_become_a_visible_gap(ticket: Callable[..., Path], rng: np.random.Generator, tmp_path: Path) -> None:
    start = born(rng)
    files = [ticket(n, start, None) for n in "ab"]
    page = build_comparison(files, only=["tickets"], out=tmp_path / "page.html").read_text()
    assert "a is a dense run" in page
