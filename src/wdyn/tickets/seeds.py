"""Random numbers of a run: they depend on whole numbers that the run notes, and the caller's own are left alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derived(*numbers: int) -> int:
    """A seed made of several numbers; other numbers, or another order of them, give another seed.

    Args:
        numbers: 0 or more each.

    Returns:
        A whole number from 0 up to but not 2**32, the same everywhere and for ever.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let all global generators start from a seed; afterwards they are as they were.

    These are torch's of all devices, NumPy's and that of Python's `random`.

    Args:
        seed: as for `torch.manual_seed`, from 0 on.
    """
    legacy = np.random  # a training may well use NumPy's global generator
    before = random.getstate(), legacy.get_state(), torch.get_rng_state(), _cuda_states()
    try:
        random.seed(seed)
        legacy.seed(seed % 2**32)
        torch.manual_seed(seed)
        yield
    finally:
        random.setstate(before[0])
        legacy.set_state(before[1])
        torch.set_rng_state(before[2])
        if before[3]:
            torch.cuda.set_rng_state_all(before[3])


def _cuda_states() -> list[torch.Tensor]:
    """Of all CUDA devices; none where CUDA is not in use, which asking would begin."""
    in_use: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.get_rng_state_all() if in_use else []
