"""The helper's answer is data of a stranger as well: the parent believes none of it."""

import contextlib
import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.make_run import make_run
from wdyn.errors import WdynError
from wdyn.store.answer import Place, Structure, decode, encode
from wdyn.store.helper import HELPER
from wdyn.store.packed_source import PackedSource

NUMBERS = np.array([7, 9], "<u8")
PLACES = {
    "steps": Place((4,), np.dtype("<i8"), None, NUMBERS[:1], NUMBERS[1:]),
    "weights/é\udcff": Place((4, 3), np.dtype("<f4"), (2, 3), NUMBERS, NUMBERS),
    "scalar": Place((), np.dtype("|u1"), None, NUMBERS[:1], NUMBERS[:1]),
}


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(dataclasses.astuple(a), dataclasses.astuple(b), strict=True))


def test_it_comes_back():
    structure = Structure(PLACES, ("weights/x", "is odd"), "said")
    back = decode(encode(structure))
    assert (back.odd, back.failed, list(back.places)) == (structure.odd, structure.failed, list(PLACES))
    for name, place in PLACES.items():
        assert (back.places[name].shape, back.places[name].dtype) == (place.shape, place.dtype)
        assert back.places[name].chunks == place.chunks
        np.testing.assert_array_equal(back.places[name].offsets, place.offsets)
        np.testing.assert_array_equal(back.places[name].sizes, place.sizes)


@given(st.integers(0, len(encode(Structure(PLACES))) - 1), st.integers(1, 255))
def test_any_change_of_a_byte_is_a_structure_or_a_value_error(at, change):
    data = bytearray(encode(Structure(PLACES)))
    data[at] ^= change
    try:
        structure = decode(bytes(data))
    except ValueError:
        return
    for place in structure.places.values():
        assert len(place.offsets) == len(place.sizes)
        assert place.chunks is None or len(place.chunks) == len(place.shape)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_structure_or_a_value_error(data):
    with contextlib.suppress(ValueError):
        decode(data)


@pytest.fixture
def path(tmp_path, walk):
    return make_run(tmp_path / "a.h5", walk({"fc1.weight": (3, 4), "b": (600, 9)}, steps=range(35)))


def lies(place, rng):
    """One field of a place made wrong."""
    sizes, offsets, number = place.sizes.copy(), place.offsets.copy(), int(rng.integers(len(place.sizes)))
    with np.errstate(over="ignore"):
        sizes[number] += np.uint64([1, 2**64 - 1, 2**63, 2**20][rng.integers(4)])
        offsets[number] += np.uint64([1, 2**64 - 1, 2**63, 2**40, 100][rng.integers(5)])
    if place.chunks is not None:
        yield {"chunks": tuple(2 * each for each in place.chunks)}
    yield from ({"sizes": sizes}, {"offsets": offsets}, {"offsets": offsets, "sizes": sizes})
    yield {"offsets": np.roll(place.offsets, 1), "sizes": np.roll(place.sizes, 1)}
    yield {"dtype": np.dtype("<i4") if place.dtype != "<i4" else np.dtype("<f4")}
    yield {"shape": (*place.shape[:-1], place.shape[-1] + 1) if place.shape else (1,)}


def test_no_lie_gives_a_wrong_value(path, rng):
    truth, structure = values(path, HELPER.ask), None

    def remember(descriptor):
        nonlocal structure
        structure = decode(HELPER.ask(descriptor))
        return encode(structure)

    values(path, remember)
    for name, place in structure.places.items():
        for lie in lies(place, rng):
            changed = encode_anything(Structure({**structure.places, name: dataclasses.replace(place, **lie)}))
            with contextlib.suppress(WdynError):
                assert values(path, lambda _, changed=changed: changed) == truth


def encode_anything(structure):
    """As many offsets as the shape asks for, so that the answer has a form that can be read."""
    places = {}
    for name, place in structure.places.items():
        count = 1
        if place.chunks is not None:
            count = math.prod(-(-length // step) for length, step in zip(place.shape, place.chunks, strict=True))
        places[name] = dataclasses.replace(
            place, offsets=np.resize(place.offsets, count), sizes=np.resize(place.sizes, count)
        )
    return encode(dataclasses.replace(structure, places=places))


def values(path, look):
    source = PackedSource(path, look=look)
    try:
        every = np.arange(len(source.steps))
        return [
            source.steps.tolist(),
            source.times.tolist(),
            *(source.read(name, every).tobytes() for name in source.tensors),
        ]
    finally:
        source.close()
