"""A made-up run of LeNet-300-100 as sections and facts: what the page needs, without training anything."""

from __future__ import annotations

import numpy as np

from wdyn.analyses._charts import Bars, HeatMap, Lines, MatrixThroughTime, PointsThroughTime, Table
from wdyn.report.sections import Section

LAYERS = {"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}
STEPS = np.arange(0, 2001)


def shown(at_most: int) -> np.ndarray:
    """First, last and log-spaced steps between."""
    return np.unique(np.r_[0, np.geomspace(1, 2000, at_most).round()]).astype(np.int64)


def facts(layers: dict[str, tuple[int, int]] | None = None, **changes: object) -> dict[str, object]:
    """What `provenance` gives."""
    layers = LAYERS if layers is None else layers
    return {
        "run": "demo",
        "run_id": "0" * 32,
        "checksum": "a1b2c3d4",
        "condition": "finished",
        "created": "2025-01-01T00:00:00Z",
        "model": "LeNet300",
        "optimizer": "SGD",
        "schedule": "every step",
        "wdyn": "0.1.0",
        "torch": "2.13.0",
        "python": "3.11.7",
        "metadata": {"dataset": "digits", "seed": 0},
        "report_wdyn": "0.1.0",
        "command": "wdyn analyze demo.h5",
        "seed": 0,
        "steps_recorded": 2001,
        "steps_analysed": 2001,
        "first_step": 0,
        "last_step": 2000,
        "layers_recorded": len(layers),
        "layers": [{"name": n, "kind": "Linear", "rows": r, "columns": c} for n, (r, c) in layers.items()],
        "left_out": [{"name": "norm.weight", "reason": "one number per neuron is no row"}],
        "notes": [{"what": "gap", "reason": "disk full", "steps": [10, 12]}],
    } | changes


def sections(layers: dict[str, tuple[int, int]] | None = None, seed: int = 0) -> list[Section]:
    """One section of every kind and state."""
    layers = LAYERS if layers is None else layers
    rng = np.random.default_rng(seed)
    return [
        Section(
            "umap",
            "Neuron embedding",
            "Each dot is a neuron; near dots point in similar directions.",
            charts=_points(layers, rng),
        ),
        Section(
            "similarity",
            "Cosine similarity",
            "Red pairs point the same way, blue ones apart.",
            charts=_matrices(layers, rng),
        ),
        Section("metrics", "Metrics", "What the training script logged.", charts=(_loss(rng),)),
        Section(
            "frame_potential",
            "Frame potential",
            "Grows as neurons align; the band is chance.",
            charts=_potential(layers, rng),
        ),
        Section("norms", "Norms", "Length of each neuron's weights.", charts=_norms(layers, rng)),
        Section("sizes", "Sizes", "", charts=(_sizes(layers), _listing(layers))),
        Section(
            "masks", "Masks", "Which weights are pruned.", status="skipped", reason="No pruning mask was recorded."
        ),
        Section("broken", "Broken", "", status="failed", reason="ValueError: no luck"),
    ]


def groups_of(rows: int) -> np.ndarray:
    return np.minimum(np.arange(rows) * 5 // max(rows, 1), 4) - (np.arange(rows) == rows - 1)


def _points(layers: dict[str, tuple[int, int]], rng: np.random.Generator) -> tuple[PointsThroughTime, ...]:
    steps, charts = shown(30), []
    for layer, (rows, _) in layers.items():
        goal = rng.normal(size=(6, 2))[groups_of(rows)] * 4
        share = np.linspace(0, 1, len(steps))[:, None, None]
        xy = rng.normal(size=(rows, 2)) * (2.2 - 1.4 * share) + share * goal
        xy = xy + 0.04 * rng.normal(size=xy.shape)
        charts.append(
            PointsThroughTime(
                "Neurons in the embedding",
                steps,
                xy,
                np.arange(rows),
                groups_of(rows),
                "cluster",
                "Trustworthiness 0.91.",
                layer,
                size=1 + share[..., 0] * rng.random(rows),
            )
        )
    return tuple(charts)


def _matrices(layers: dict[str, tuple[int, int]], rng: np.random.Generator) -> tuple[MatrixThroughTime, ...]:
    steps, charts = shown(60), []
    for layer, (rows, columns) in layers.items():
        size = min(rows, 256)
        kinds = groups_of(size)
        pattern = rng.normal(size=(6, columns))[kinds]
        noise = rng.normal(size=(size, columns))
        values = np.empty((len(steps), size, size), dtype=np.float32)
        for t in range(len(steps)):
            noise += 0.1 * rng.normal(size=noise.shape)
            rows_now = noise + 1.2 * pattern * t / len(steps)
            rows_now /= np.linalg.norm(rows_now, axis=1, keepdims=True)
            values[t] = rows_now @ rows_now.T
        values[:, size // 3], values[:, :, size // 3] = np.nan, np.nan
        members = [list(part) for part in np.array_split(np.arange(rows), size)]
        members = [[int(n) for n in part] for part in members]
        charts.append(
            MatrixThroughTime(
                "Cosine of each pair",
                steps,
                values,
                members,
                -1.0,
                1.0,
                "cosine",
                layer,
                np.tile(kinds, (len(steps), 1)),
            )
        )
    return tuple(charts)


def _loss(rng: np.random.Generator) -> Lines:
    x = STEPS[1:]
    train = 2.3 * np.exp(-x / 400) + 0.05 + 0.05 * rng.random(len(x))
    held = np.where(x % 100 == 0, 2.3 * np.exp(-x / 380) + 0.12, np.nan)
    return Lines(
        "Loss", x, {"loss": train, "val_loss": held}, "optimizer step", "loss", x_scale="linear", y_scale="log"
    )


def _potential(layers: dict[str, tuple[int, int]], rng: np.random.Generator) -> tuple[Lines, ...]:
    rise = {n: 1 + (k + 1) * (1 - np.exp(-STEPS / 500)) + 0.004 * rng.normal(size=2001) for k, n in enumerate(layers)}
    bands = {n: (np.full(2001, 0.97), np.full(2001, 1.03)) for n in layers}
    count = {n: np.maximum(r / v, 1) for (n, v), (r, _) in zip(rise.items(), layers.values(), strict=True)}
    return (
        Lines(
            "Potential over its floor",
            STEPS,
            rise,
            "optimizer step",
            "frame potential / floor",
            bands,
            {"floor": 1.0},
            x_scale="log",
        ),
        Lines("Effective directions", STEPS, count, "optimizer step", "directions", y_scale="log"),
    )


def _norms(layers: dict[str, tuple[int, int]], rng: np.random.Generator) -> tuple[HeatMap, ...]:
    charts = []
    for layer, (rows, _) in layers.items():
        walk = 1 + np.cumsum(np.abs(rng.normal(size=(rows, 2001))) * 0.001, axis=1)
        walk[rows // 2] = np.nan
        charts.append(
            HeatMap(
                "Norm of each neuron", STEPS, walk, list(range(rows)), "optimizer step", "neuron", "norm", layer=layer
            )
        )
    return tuple(charts)


def _sizes(layers: dict[str, tuple[int, int]]) -> Bars:
    counts = {"neurons": np.array([r for r, _ in layers.values()]), "inputs": np.array([c for _, c in layers.values()])}
    return Bars("Sizes of the layers", list(layers), counts, "layer", "count")


def _listing(layers: dict[str, tuple[int, int]]) -> Table:
    return Table(
        "Layers", {"layer": list(layers), "neurons": [r for r, _ in layers.values()], "share": [0.1] * len(layers)}
    )
