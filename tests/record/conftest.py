"""No packing, unless a test asks for it: what is tested here ends with the journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.optim import optimizer as torch_optimizer

from tests.record.zygote import Zygote
from wdyn.record import packing, program

really_pack, really_export = packing.pack, program.export_program


@pytest.fixture(autouse=True)
def journal_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The run files that would have been packed; and no Recorder may leave a hook behind."""
    packed: list[Path] = []
    monkeypatch.setattr(packing, "pack", packed.append)
    yield packed
    assert not torch_optimizer._global_optimizer_pre_hooks
    assert not torch_optimizer._global_optimizer_post_hooks


@pytest.fixture
def packing_on(journal_only: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "pack", really_pack)


@pytest.fixture(autouse=True)
def nothing_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    """No export, which takes longer than all else here, unless a test asks for it."""

    def refuse(*_: object) -> None:
        raise program.ProgramError("not in this test")

    monkeypatch.setattr(program, "export_program", refuse)


@pytest.fixture
def exporting_on(nothing_exported: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "export_program", really_export)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Forks children that record; one serves all, since it takes seconds to start."""
    with Zygote(tmp_path_factory.mktemp("zygote")) as zygote:
        yield zygote
