from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.analyses.memory_run import MemoryRun
from wdyn.analyses._images import TAKEN, Field, image_layers, reads_input
from wdyn.journal.schema import TensorSpec
from wdyn.store.run import Sample


def run_of(shapes: dict[str, tuple[int, ...]], *, sample: tuple[int, ...] | None = None, **given: Any) -> MemoryRun:
    run = MemoryRun({name: np.zeros((1, shape[0], int(np.prod(shape[1:])))) for name, shape in shapes.items()})
    run.parameters = {f"{n}.weight": TensorSpec(f"{n}.weight", "weight", "float32", s) for n, s in shapes.items()}
    run.sample = None if sample is None else Sample(np.zeros((5, *sample)), np.zeros(5))  # type: ignore[assignment]
    run.program = given.get("program")
    return run


def seen(run: MemoryRun) -> dict[str, tuple[int, ...]]:
    return {name: field[:3] for name, field in image_layers(run).items()}


@pytest.mark.parametrize(
    ("inputs", "sample", "field"),
    [
        (784, None, (1, 28, 28)),  # a square by its number alone
        (3072, None, (3, 32, 32)),
        (64, None, (1, 8, 8)),
        (49, None, None),  # too small to be a square by more than accident
        (785, None, None),
        (48, (6, 8), (1, 6, 8)),
        (48, (3, 4, 4), (3, 4, 4)),
        (48, (6, 8, 1), (1, 6, 8)),  # channels last
        (75, (5, 5, 3), (3, 5, 5)),
        (64, (4, 16), (1, 4, 16)),  # what the sample says goes before the square
        (64, (1, 64), (1, 8, 8)),  # one row of pixels is no image
        (64, (5, 5), (1, 8, 8)),  # not what this layer looks at
    ],
)
def test_a_fully_connected_first_layer(
    inputs: int, sample: tuple[int, ...] | None, field: tuple[int, ...] | None
) -> None:
    run = run_of({"fc1": (3, inputs), "fc2": (4, 3)}, sample=sample)
    assert seen(run) == ({} if field is None else {"fc1": field})


def test_the_program_tells_the_shape_and_a_free_size_tells_nothing() -> None:
    def program(*shape: int | None) -> dict[str, Any]:
        return {"inputs": [{"node": "x", "dtype": "float32", "shape": list(shape)}]}

    assert seen(run_of({"fc": (2, 60)}, program=program(None, 1, 6, 10))) == {"fc": (1, 6, 10)}
    assert seen(run_of({"fc": (2, 60)}, program=program(None, None, 10))) == {}
    assert seen(run_of({"fc": (2, 60)}, program={"inputs": []})) == {}


def passing(*nodes: tuple[str, str, str, str]) -> dict[str, Any]:
    """A program of (name, operation, from, module) on the input `x`."""
    listed = [[name, f"aten.{what}", [{"node": of}], {}, module] for name, what, of, module in nodes]
    return {"inputs": [{"node": "x", "dtype": "float32", "shape": [None, 64]}], "nodes": listed}


def test_the_forward_pass_tells_which_layer_looks_at_the_input() -> None:
    shapes = {"head": (3, 64), "body": (64, 64)}  # as a module may list them
    program = passing(
        ("flat", "flatten.using_ints", "x", ""), ("less", "sub.Tensor", "flat", ""),
        ("one", "linear.default", "less", "body"), ("two", "linear.default", "one", "head"),
    )  # fmt: skip
    run = run_of(shapes, program=program, sample=(8, 8))
    assert image_layers(run) == {"body": Field(1, 8, 8, "as the recorded sample has them")}
    turned = passing(("turned", "permute.default", "x", ""), ("one", "linear.default", "turned", "head"))
    assert image_layers(run_of(shapes, program=turned, sample=(8, 8))) == {}


def test_where_it_is_not_known_the_first_layer_is_taken_to_and_that_is_said() -> None:
    (field,) = image_layers(run_of({"fc": (3, 64)}, sample=(8, 8))).values()
    assert field.told == f"as the recorded sample has them{TAKEN}"


@pytest.mark.parametrize(
    "program",
    [
        {"inputs": []},
        {"inputs": [{"node": "x"}], "nodes": [["a"]]},
        {"inputs": [{}], "nodes": [["a", "aten.linear.default", [{"node": "x"}], {}, "fc"]]},
        {"inputs": [{"node": "x"}], "nodes": [["a", "aten.linear.default", [], {}, "fc"]]},
        {"inputs": [{"node": "x"}], "nodes": [["a", 3, 4, {}, ["fc"]]]},
        {"inputs": [{"node": "x"}], "nodes": [["a", "aten.view.default", [7], {}, ""],
                                             ["b", "aten.linear.default", [{"node": "a"}], {}, "fc"]]},
    ],
)  # fmt: skip
def test_a_strange_forward_pass_tells_nothing(program: dict[str, Any]) -> None:
    assert reads_input(program, "fc") is None


def test_a_forward_pass_in_circles_ends() -> None:
    program = passing(
        ("a", "view.default", "b", ""), ("b", "view.default", "a", ""), ("c", "linear.default", "a", "fc")
    )
    assert reads_input(program, "fc") is False


def test_later_layers_of_a_square_number_of_inputs_are_no_images() -> None:
    run = run_of({"fc1": (100, 784), "fc2": (10, 100)})
    assert seen(run) == {"fc1": (1, 28, 28)}
    chosen = run.select(layers="fc2")
    assert seen(chosen) == {}  # the first that is looked at, but not the model's first


def test_kernels_of_convolutions() -> None:
    shapes = {"a": (8, 3, 5, 5), "b": (8, 8, 1, 1), "c": (8, 2, 3, 3), "d": (4, 2, 9)}
    run = run_of(shapes)
    run.layers["up"] = run.layers["c"]._replace(name="up", axis=1)  # transposed
    assert seen(run) == {"a": (3, 5, 5), "c": (2, 3, 3)}


def test_an_embedding_is_no_image() -> None:
    run = run_of({"words": (9, 64)})
    run.layers["words"] = run.layers["words"]._replace(kind="Embedding")
    assert seen(run) == {}


def test_rows_become_images_as_the_input_was_flattened(rng: np.random.Generator) -> None:
    picture = rng.normal(size=(2, 3, 4, 5))
    assert_array_equal(Field(3, 4, 5, "").images(picture.reshape(2, -1)), picture)
    last = np.moveaxis(picture, 1, -1).reshape(2, -1)
    assert_array_equal(Field(3, 4, 5, "", last=True).images(last), picture)
