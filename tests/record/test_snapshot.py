"""The buffers that a step is copied into: bounded in all, each tensor in its own place."""

from __future__ import annotations

import numpy as np
import torch

from wdyn.journal.schema import TensorSpec
from wdyn.record.snapshot import Buffer, Pool, Snapshot


def test_memory_is_bounded():
    spec = TensorSpec("w", "weight", "uint8", (100 * 2**20,))
    pool = Pool([spec], [torch.uint8])
    taken = [pool.take(wait=False, pinned=False) for _ in range(6)]
    assert sum(buffer is not None for buffer in taken) == 4  # two, and 256 MiB hold two more
    pool.give(taken[1])
    assert pool.take(wait=False, pinned=False) is taken[1]


def test_every_view_of_a_buffer_is_aligned_and_apart():
    model = torch.nn.ParameterList(
        [
            torch.nn.Parameter(torch.zeros(n, dtype=t))
            for n, t in [(3, torch.float16), (1, torch.float64), (5, torch.float32)]
        ]
    )
    model.register_buffer("flag", torch.tensor([True]))
    model.register_buffer("count", torch.tensor(3))
    snapshot = Snapshot(model, ["*"], [])
    buffer = Buffer(snapshot.tensors, snapshot.dtypes, pinned=False)
    start = buffer.bytes.data_ptr()
    spans = [(view.data_ptr() - start, view.nbytes, view.element_size()) for view in buffer.views]
    assert all(at % size == 0 for at, _, size in spans)
    assert [at for at, _, _ in spans] == np.cumsum([0, *(n for _, n, _ in spans)])[:-1].tolist()
