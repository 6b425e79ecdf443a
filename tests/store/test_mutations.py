"""Changes of HDF5's own structure behind which its checksums match: the parent survives, and no value is wrong."""

import numpy as np
import pytest

from tests.make_run import make_run
from tests.store.forging import everything
from tests.store.hdf5_blocks import blocks, lookup3, sealed
from tests.torture import times
from wdyn.errors import WdynError


def test_the_checksum_is_that_of_its_author():
    """Values that Jenkins prints in lookup3.c."""
    assert lookup3(b"") == 0xDEADBEEF
    assert lookup3(b"Four score and seven years ago") == 0x17770551


@pytest.fixture
def whole(tmp_path, walk):
    """A run with all kinds of blocks: many metrics give a group a heap and a tree, three chunks an array."""
    return make_run(
        tmp_path / "a.h5",
        walk({"fc1.weight": (3, 4)}, steps=range(70)),
        metrics={f"m{k}": {0: 1.0} for k in range(9)},
        masks={3: {"fc1.weight": np.eye(3, 4) > 0}},
        sample=(np.ones(2), np.ones(2)),
        program={"inputs": [], "nodes": []},
    )


def mutated(data, places, rng):
    """One to three bytes of one block changed: a bit, a small step, or any byte; the checksum made to match."""
    start, end = block = places[rng.integers(len(places))]
    changed = bytearray(data)
    for at in rng.integers(start + 4, end, rng.integers(1, 4)).tolist():
        kind = rng.integers(3)
        by = (1 << rng.integers(8)) if kind == 0 else rng.integers(256)
        changed[at] = changed[at] ^ int(by) if kind < 2 else (changed[at] + int(rng.choice([1, 255]))) % 256
    return sealed(changed, block)


def test_no_change_of_the_structure_crashes_or_gives_a_wrong_value(whole, tmp_path, rng):
    truth, data = everything(whole), whole.read_bytes()
    places = blocks(data)
    assert {data[start : start + 4] for start, _ in places} >= {
        b"\x89HDF", b"OHDR", b"FRHP", b"BTHD", b"BTLF", b"FAHD", b"FADB",
    }  # fmt: skip
    changed, said = tmp_path / "b.h5", []
    for _ in range(times(100, 2000)):
        changed.write_bytes(mutated(data, places, rng))
        try:
            assert everything(changed) == truth
        except WdynError as error:
            said.append(str(error))
    assert all(text.isprintable() for text in said)
    assert len(said) > times(100, 2000) / 5
