"""Which runs are of one search for tickets: those that come from one dense run, wherever they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wdyn.analyses._ticket_runs import ticket_facts

if TYPE_CHECKING:
    from wdyn.store.run import Run


class Lineage(NamedTuple):
    """What a run says of where it comes from; empty where it says nothing.

    Attributes:
        run_id: of the recording.
        start: recording that its starting values come from: the dense run, of a transferred ticket the ticket.
        mask_from: recording whose weights gave the mask.
        folder: in which it lies.
    """

    run_id: str
    start: str
    mask_from: str
    folder: str


def lineage_of(run: Run) -> Lineage:
    """From the metadata of a run."""
    facts = ticket_facts(run)
    return Lineage(
        str(run.meta.get("run_id") or ""), _named(facts.get("start")), _named(facts.get("mask_from")),
        str(run.path.resolve().parent),
    )  # fmt: skip


def _named(reference: Any) -> str:
    found = reference.get("run_id") if isinstance(reference, Mapping) else None
    return found if isinstance(found, str) else ""


def origins_of(lineages: Sequence[Lineage]) -> list[str]:
    """What tells searches apart: the recording that a run goes back to, through the runs that are given.

    Controls that start afresh go with the search that gave their mask, or the only one in their folder. Where nothing
    is said, the folder itself tells.
    """
    by_id = {each.run_id: each for each in lineages if each.run_id}
    back = [_followed(each, by_id) for each in lineages]
    beside: dict[str, set[str]] = {}
    for each, origin in zip(lineages, back, strict=True):
        if each.start:
            beside.setdefault(each.folder, set()).add(origin)
    starts = {each.start for each in lineages}
    return [
        origin if each.start or each.mask_from or each.run_id in starts else _lone(beside, each.folder)
        for each, origin in zip(lineages, back, strict=True)
    ]


def _lone(beside: Mapping[str, set[str]], folder: str) -> str:
    """The only search in a folder, else the folder."""
    there = beside.get(folder, set())
    return next(iter(there)) if len(there) == 1 else folder


def _followed(lineage: Lineage, by_id: Mapping[str, Lineage]) -> str:
    """The first recording of those that lead to it, as far as they are given."""
    seen = {lineage.run_id}
    while before := lineage.start or lineage.mask_from:
        if before in seen or before not in by_id:
            return before
        seen.add(before)
        lineage = by_id[before]
    return lineage.run_id


def search_names(origins: Sequence[str], folders: Sequence[str]) -> dict[str, str]:
    """Each search called by the shortest end of its first folder that no other search shares."""
    first = dict(reversed(list(zip(origins, folders, strict=True))))
    names = {}
    for origin, folder in first.items():
        others = {each for each in first.values() if each != folder}
        alone = list(first.values()).count(folder) == 1
        names[origin] = _ending(folder, others) + ("" if alone else f" from {origin[:8]}")
    return names


def _ending(folder: str, others: set[str]) -> str:
    parts = Path(folder).parts
    for count in range(1, len(parts)):
        if all(Path(other).parts[-count:] != parts[-count:] for other in others):
            return "/".join(parts[-count:])
    return folder
