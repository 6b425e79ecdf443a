"""The order in which a report tells: where the neurons go, how training went, then what became of each layer."""

from __future__ import annotations

from collections.abc import Iterable

from wdyn.report.sections import Section

STORY = (
    "umap", "pca", "similarity", "similarity_graph", "metrics", "receptive_fields", "frame_potential",
    "clusters", "norms", "ticket_scores", "tickets", "aligned_tickets", "barrier",
)  # fmt: skip


def in_order(sections: Iterable[Section]) -> list[Section]:
    """The sections as they are read: those of the story first, others by name, and what went wrong last."""
    return sorted(sections, key=_place)


def _place(section: Section) -> tuple[bool, int, str]:
    return section.status != "ok", STORY.index(section.name) if section.name in STORY else len(STORY), section.name
