"""What tests that train networks for tickets share."""

import pytest
import torch

from tests.tickets.lottery_kit import pack_here


@pytest.fixture
def packed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are packed in this process, which spares the start of another; and the first network is always the same."""
    monkeypatch.setattr("wdyn.record.packing.pack", pack_here)
    torch.manual_seed(0)
