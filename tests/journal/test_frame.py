from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from wdyn.errors import DamagedError
from wdyn.journal.frame import HEADER_SIZE, Kind, decode, decode_arrays, encode, encode_arrays
from wdyn.journal.schema import Schema, TensorSpec

FIELDS = {"schema": 0xDEADBEEF, "step": -3, "time": 1.7e9 + 0.25, "index": 7}


def by_the_table(kind, payload, *, schema, step, time, index):
    """The header from the table in frame.py, with zlib in place of isal."""
    body = b"wdynFRM1" + struct.pack("<I", kind) + struct.pack("<I", schema) + struct.pack("<q", step)
    body += struct.pack("<d", time) + struct.pack("<Q", len(payload))
    body += struct.pack("<I", zlib.crc32(payload, zlib.crc32(body))) + struct.pack("<I", index)
    return body + struct.pack("<I", zlib.crc32(body))


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(256)) * 50])
def test_header_is_what_the_table_says(payload):
    head = encode(Kind.STEP, payload, **FIELDS)
    assert len(head) == HEADER_SIZE == 52
    assert head == by_the_table(2, payload, **FIELDS)
    header = decode(head)
    assert (header.kind, header.schema, header.step, header.time, header.index, header.length) == (
        Kind.STEP, 0xDEADBEEF, -3, 1.7e9 + 0.25, 7, len(payload),
    )  # fmt: skip
    assert header.matches(payload)


def test_no_flipped_bit_passes():
    payload = bytes(range(40))
    head = encode(Kind.NOTE, payload, **FIELDS)
    header = decode(head)
    for bit in range(8 * len(head)):
        damaged = bytearray(head)
        damaged[bit // 8] ^= 1 << bit % 8
        assert decode(damaged) is None
    for bit in range(8 * len(payload)):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not header.matches(damaged)


def test_a_payload_belongs_to_its_step_and_schema():
    head = encode(Kind.STEP, b"same bytes", **FIELDS)
    for changed in ({"step": 4}, {"schema": 1}, {"time": 0.0}):
        other = decode(encode(Kind.STEP, b"same bytes", **{**FIELDS, **changed}))
        assert other.checksum != decode(head).checksum


@pytest.mark.parametrize("data", [b"", b"wdynFRM1", bytes(52), b"\xff" * 60])
def test_what_is_no_header(data):
    assert decode(data) is None


def test_named_arrays_come_back():
    arrays = {
        "inputs": np.arange(12, dtype=">f4").reshape(3, 4).T,
        "targets": np.array([True, False]),
        "ä.b": np.zeros((0, 3), np.int8),
        "scalar": np.float64(2.5),
    }
    found = decode_arrays(encode_arrays(arrays))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize("cut", [0, 3, 10, -1])
def test_cut_named_arrays_are_damaged(cut):
    with pytest.raises(DamagedError, match="do not fit"):
        decode_arrays(encode_arrays({"a": np.arange(10)})[:cut])


def test_schema_comes_back_and_equal_schemas_are_equal_bytes():
    tensors = (TensorSpec("a.weight", "weight", "bfloat16", (2, 3)), TensorSpec("n", "buffer", "int64", ()))
    schema = Schema(tensors, {"b": 1, "a": [1, None]})
    assert Schema.from_json(schema.to_json()) == schema
    assert Schema(tensors, {"a": [1, None], "b": 1}).to_json() == schema.to_json()
    assert schema.nbytes == 2 * 2 * 3 + 8
