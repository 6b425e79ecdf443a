from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import wdyn
from tests.make_run import make_run
from wdyn.analyses import load
from wdyn.analyses.ticket_scores import TicketScores
from wdyn.errors import MisuseError
from wdyn.intervals import mean_interval, welch_interval

ACCURACY = {
    "ticket": [0.95, 0.96, 0.955], "dense": [0.957, 0.953, 0.956], "random_mask": [0.90, 0.91, 0.89],
    "reinitialised": [0.93],
}  # fmt: skip


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, accuracy: float | None, dataset: str | None = "digits", **ticket: Any) -> Path:
        """Accuracy rises to its best and falls a little."""
        steps = {step: {"fc1.weight": np.ones((4, 5), "f4")} for step in (0, 1, 2)}
        metrics = {} if accuracy is None else {
            "val_accuracy": {0: 0.1, 1: accuracy + 0.01, 2: accuracy}, "val_loss": {0: 2.0, 1: 0.1, 2: 1 - accuracy},
        }  # fmt: skip
        metrics = ticket.pop("metrics", metrics)
        metadata = ({"ticket": ticket} if ticket else {}) | ({"dataset": dataset} if dataset else {})
        (path := tmp_path / f"{name}.h5").parent.mkdir(parents=True, exist_ok=True)
        return make_run(path, steps, metrics=metrics, metadata=metadata, meta={"run_id": f"{name:_<32}"[-32:]})

    return make


def compute(*files: Path) -> TicketScores:
    result: TicketScores = load("ticket_scores").compute([wdyn.open_run(file) for file in files])
    return result


@pytest.fixture
def search(run_of: Callable[..., Path]) -> list[Path]:
    return [
        run_of(
            f"{kind}-{seed}", accuracy, kind=kind, round=0 if kind == "dense" else 3,
            total={"fc1.weight": 20, "fc2.weight": 10},
            kept={"fc1.weight": 20 if kind == "dense" else 5, "fc2.weight": 10},
        )
        for kind, values in ACCURACY.items()
        for seed, accuracy in enumerate(values)
    ]  # fmt: skip


def test_tickets_against_controls_with_intervals(search: list[Path]) -> None:
    result = compute(*search)
    best = {each.kind: each for each in result.comparisons if each.metric == "val_accuracy"}
    assert {kind: each.seeds for kind, each in best.items()} == {kind: len(v) for kind, v in ACCURACY.items()}
    for kind, values in ACCURACY.items():
        assert best[kind].mean.value == pytest.approx(np.mean(values))
    sure = stats.t.interval(0.95, 2, np.mean(ACCURACY["ticket"]), stats.sem(ACCURACY["ticket"]))
    assert_allclose(best["ticket"].mean[1:], sure)
    welch = stats.ttest_ind(ACCURACY["ticket"], ACCURACY["random_mask"], equal_var=False).confidence_interval(0.95)
    assert_allclose(best["random_mask"].lead[1:], welch)
    assert {kind: each.verdict for kind, each in best.items()} == {
        "ticket": "",
        "dense": "not told apart from dense",
        "random_mask": "the ticket is better than random_mask",
        "reinitialised": "too few seeds for an interval",
    }


def test_less_loss_is_better_and_the_last_value_counts_not_the_best(search: list[Path]) -> None:
    result = compute(*search)
    found = {(each.kind, each.metric): each for each in result.comparisons}
    assert found["random_mask", "val_loss"].lead.value < 0
    assert found["random_mask", "val_loss"].verdict == "the ticket is better than random_mask"
    assert found["ticket", "val_accuracy"].mean.value == pytest.approx(np.mean(ACCURACY["ticket"]))
    said = "Compared by val_accuracy, val_loss: the last value logged, never the best over time"
    assert result.notes == (said,)
    assert result.charts()[0].columns == {"note": [said]}


def test_test_data_come_before_validation_data_at_the_early_stop(run_of: Callable[..., Path]) -> None:
    def logged(shift: float) -> dict[str, dict[int, float]]:
        return {
            "val_loss": {0: 0.1, 1: 0.4, 2: 0.6},  # lowest at step 1, where it counts: the start is no training
            "val_accuracy": {1: 0.99, 2: 0.99},
            "test_accuracy": {0: 0.1, 1: 0.8 - shift, 2: 0.9},
            "accuracy": {2: 1.0},
        }

    files = [
        run_of(f"{kind}-{k}", None, kind=kind, round=1, early_stop="val_loss", metrics=logged(k / 99 + shift))
        for kind, shift in (("ticket", 0.0), ("shuffled", 0.3))
        for k in range(2)
    ]
    result = compute(*files)
    found = {(each.kind, each.metric): each for each in result.comparisons}
    assert found["ticket", "test_accuracy"].mean.value == pytest.approx(0.8 - 0.5 / 99)
    assert found["shuffled", "test_accuracy"].verdict == "the ticket is better than shuffled"
    assert {metric for _, metric in found} == {"test_accuracy", "val_loss"}
    assert result.notes[0].startswith("Compared by test_accuracy, val_loss: the last value logged up to where val_loss")


def test_runs_that_logged_nothing_that_tells_are_named(run_of: Callable[..., Path]) -> None:
    good = run_of("a", 0.9, kind="ticket", round=1)
    silent = [run_of(n, None, kind="ticket", round=1, metrics={"f1": {2: 0.5}}) for n in "bc"]
    assert compute(good, silent[0]).notes[1].startswith("b logged none of test_accuracy, val_accuracy, accuracy")
    result = compute(*silent)
    assert result.notes == (
        "Nothing is compared: no run logged any of test_accuracy, val_accuracy, accuracy, test_loss, val_loss, loss",
    )
    assert result.charts()[0].columns["note"] == list(result.notes)


def test_the_ladder_of_a_search(run_of: Callable[..., Path], tmp_path: Path) -> None:
    kept = [(20, 10), (16, 9), (13, 8)]
    files = [
        run_of(
            f"round-{k}", None, kind="ticket" if k else "dense", round=k, total={"fc1.weight": 20, "fc2.weight": 10},
            kept=dict(zip(("fc1.weight", "fc2.weight"), each, strict=True)),
        )
        for k, each in enumerate(kept)
    ]  # fmt: skip
    result = compute(*files)
    assert_allclose(result.density, [1, 25 / 30, 21 / 30])
    ladder = next(chart for chart in result.charts() if chart.title.startswith("Density after each round"))
    assert_allclose(ladder.y["fc1"], [1, 0.8, 0.65])
    assert_allclose(ladder.y["fc2"], [1, 0.9, 0.8])


def test_the_transfer_matrix(run_of: Callable[..., Path]) -> None:
    files = [
        run_of("a", 0.95, "digits", kind="ticket", round=2),
        run_of("b", 0.60, "cifar", kind="ticket", round=2),
        run_of("c", 0.55, "cifar", kind="transferred", round=2, found_on={"dataset": "digits", "file": "a.h5"}),
        run_of("d", 0.57, "cifar", kind="transferred", round=2, found_on="digits"),
        run_of("e", 0.99, "digits", kind="ticket", round=1),
    ]
    result = compute(*files)
    cells = {(c.found_on, c.dataset): (c.seeds, c.mean.value) for c in result.cells if c.metric == "val_accuracy"}
    assert cells == {
        ("digits", "digits"): (1, 0.95),
        ("cifar", "cifar"): (1, 0.60),
        ("digits", "cifar"): (2, pytest.approx(0.56)),
    }
    matrix = next(chart for chart in result.charts() if chart.title == "Transfer of tickets after round 2")
    assert (list(matrix.rows), list(matrix.columns)) == (["digits", "cifar"], ["digits", "cifar"])
    assert_allclose(matrix.values, [[0.95, 0.56], [np.nan, 0.60]])
    assert_allclose(matrix.base, [0.95, 0.60])
    assert matrix.colour_label == "val_accuracy minus that of the ticket found on the same data"
    without = [file for file in files if "b.h5" not in str(file)]  # no ticket of that data set itself
    matrix = next(chart for chart in compute(*without).charts() if chart.title == matrix.title)
    assert_allclose(matrix.base, [0.95, 0.56])
    assert matrix.base_label == "the mean of its column"


def test_searches_in_folders_of_one_name_are_told_apart_by_their_dense_run(run_of: Callable[..., Path]) -> None:
    files = []
    for place in ("x", "y"):
        dense = {"file": "dense.h5", "step": 0, "run_id": f"{place}/search/dense".ljust(32, "_")}
        files.append(run_of(f"{place}/search/dense", 0.9, kind="dense", round=0))
        files.append(run_of(f"{place}/search/again", 0.9, kind="dense", round=0))
        files += [run_of(f"{place}/search/t{k}", 0.9 + k / 99, kind="ticket", round=1, start=dense) for k in range(3)]
        first = {"file": "dense.h5", "step": 9, "run_id": dense["run_id"]}
        files.append(run_of(f"{place}/search/fresh", 0.8, kind="reinitialised", round=1, mask_from=first))
    seeds = {(c.search, c.kind): c.seeds for c in compute(*files).comparisons}
    each = {"ticket": 3, "dense": 2, "reinitialised": 1}
    assert seeds == {(f"{place}/search", kind): count for place in "xy" for kind, count in each.items()}


def test_two_searches_in_one_folder_are_told_apart(run_of: Callable[..., Path]) -> None:
    files = [
        run_of(f"{place}{k}", 0.9 + k / 99, kind="ticket", round=1, start={"run_id": place * 32})
        for place in "ab"
        for k in range(2)
    ]
    seeds = {c.search.split(" from ")[1]: c.seeds for c in compute(*files).comparisons}
    assert seeds == {"a" * 8: 2, "b" * 8: 2}


def test_tickets_of_two_searches_on_unnamed_data_are_no_seeds_of_one_cell(run_of: Callable[..., Path]) -> None:
    files = []
    for place in "xy":
        home = run_of(f"{place}/t", 0.9, None, kind="ticket", round=2, start={"run_id": place * 32})
        files += [home, run_of(f"{place}/away", 0.5, "cifar", kind="transferred", round=2,
                               start={"run_id": f"{place}/t".ljust(32, "_")})]  # fmt: skip
    cells = compute(*files).cells
    assert len({(cell.found_on, cell.dataset) for cell in cells}) == 4
    assert {cell.seeds for cell in cells} == {1}


def test_runs_of_no_search(run_of: Callable[..., Path]) -> None:
    stranger, one = run_of("x", 0.5), run_of("a", None, None, kind="ticket", round=1)
    result = compute(stranger, one)
    assert result.notes[1:] == ("x is of no search",)
    assert (result.trained[0].dataset, result.comparisons) == ("data not named", ())
    assert result.charts()
    with pytest.raises(MisuseError, match="No run says which search"):
        compute(stranger, stranger)


def test_metadata_of_any_shape_is_no_error(run_of: Callable[..., Path]) -> None:
    odd = run_of("a", 0.9, kind="ticket", round=1, total=[1], kept="all", found_on=7)
    result = compute(odd, run_of("b", 0.9, kind=3, round="one"))
    assert np.isnan(result.density).all()
    assert len(result.trained) == 1


def test_intervals_agree_with_scipy(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=5), rng.normal(1.0, 3.0, size=8)
    assert_allclose(mean_interval(first)[1:], stats.t.interval(0.95, 4, first.mean(), stats.sem(first)))
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert_allclose(welch_interval(first, np.append(second, np.nan))[1:], welch)


@pytest.mark.parametrize(
    ("first", "second", "value", "ends"),
    [
        ([], [1.0, 2.0], np.nan, (np.nan, np.nan)),
        ([3.0], [1.0, 2.0], 1.5, (np.nan, np.nan)),
        ([3.0, 3.0], [1.0, 1.0], 2.0, (np.nan, np.nan)),
    ],
)
def test_intervals_of_few_or_equal_values(first: list[float], second: list[float], value: float, ends: Any) -> None:
    assert_allclose(welch_interval(np.array(first), np.array(second)), (value, *ends))
