import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from tests.reference import hdf5_filters
from wdyn.store import chunks

DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8"]


@pytest.fixture
def block(rng):
    return rng.normal(size=(32, 7, 5)).astype(np.float32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_bit_comes_back(rng, dtype):
    block = np.frombuffer(rng.bytes(8 * 60), dtype).reshape(4, -1)  # NaN payloads and all
    back = chunks.decompress(chunks.compress(block), block.dtype, block.shape)
    assert back.tobytes() == block.tobytes()
    assert back.flags.writeable


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_zlib_and_a_byte_by_byte_unshuffle_read_it(rng, dtype):
    block = np.frombuffer(rng.bytes(480), dtype)
    assert hdf5_filters.undo(chunks.compress(block), block.itemsize) == block.tobytes()


def test_the_bytes_do_not_depend_on_where_in_memory_deflate_works(rng):
    here, elsewhere = [], []
    for _ in range(50):
        address = id(isal_zlib.compressobj(1)) >> 16  # most likely the next stream's too; ISA-L hashes no more of it
        still = np.frombuffer(address.to_bytes(8, "little")[:4] + rng.bytes(60), np.uint8)
        block = np.tile(still, (4, 1))
        here.append(chunks.compress(block))
        held = [isal_zlib.compressobj(1) for _ in range(8)]
        elsewhere.append(chunks.compress(block))
        del held
    assert here == elsewhere


def test_a_stream_by_zlib_is_read(block):
    stream = zlib.compress(hdf5_filters.shuffle(block.tobytes(), 4))
    assert chunks.decompress(stream, block.dtype, block.shape).tobytes() == block.tobytes()


@pytest.mark.parametrize("change", [lambda z: z[:-1], lambda z: z[: len(z) // 2], lambda z: b"", lambda z: b"x" + z])
def test_a_damaged_stream_is_refused(block, change):
    with pytest.raises(ValueError):
        chunks.decompress(change(chunks.compress(block)), block.dtype, block.shape)


def test_a_chunk_that_inflates_to_more_than_its_size_is_refused_early():
    bomb = zlib.compress(bytes(1 << 26))
    with pytest.raises(ValueError, match="of 400 bytes inflates to 401"):
        chunks.decompress(bomb, np.dtype("<f4"), (100,))


def test_padding_is_zeros_behind_the_values(block):
    whole = chunks.padded(block[:3, :, :2], (32, 7, 5))
    assert whole.shape == (32, 7, 5)
    np.testing.assert_array_equal(whole[:3, :, :2], block[:3, :, :2])
    assert np.count_nonzero(whole) == np.count_nonzero(block[:3, :, :2])


def test_the_checksum_is_zlibs_over_place_and_bytes(block):
    bound = chunks.binding("weights/fc1.weight", block.dtype, (96, 7, 5))
    assert bound == "weights/fc1.weight|<f4|(96, 7, 5)"
    expected = zlib.crc32(block.tobytes(), zlib.crc32(b"weights/fc1.weight|<f4|(96, 7, 5)|32,0,0"))
    assert chunks.checksum(bound, (32, 0, 0), block) == expected


@given(st.integers(0, 8 * 40 - 1))
def test_the_checksum_sees_every_bit(bit):
    block = np.arange(10, dtype=np.float32)
    flipped = bytearray(block.tobytes())
    flipped[bit // 8] ^= 1 << bit % 8
    other = np.frombuffer(bytes(flipped), np.float32)
    assert chunks.checksum("a", (0,), block) != chunks.checksum("a", (0,), other)
