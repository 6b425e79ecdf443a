"""The page's first words: what stands out against chance, what does not, and what was not asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wdyn.analyses._spec import Finding
from wdyn.report.sections import Section
from wdyn.report.words import number

MOST = 8  # sentences of one analysis; the others stand in its section


@dataclass(frozen=True)
class Told:
    """What one analysis says.

    Attributes:
        name: of the section, where its charts are.
        title: heading of the section.
        texts: sentences without a full stop.
        more: how many were left out here.
    """

    name: str
    title: str
    texts: tuple[str, ...]
    more: int


@dataclass(frozen=True)
class Summary:
    """All analyses in a few words.

    Attributes:
        found: signals beyond chance after the first step.
        chance: where there is nothing that chance could not give.
        asked: questions put to the first step, where a run begins with initial weights; 0 where it does not.
        level: share of such questions that may be answered with a signal by chance, at most.
        start: signals claimed there, of which there should be hardly any.
        pictures: sections without a null, that show and do not judge.
        absent: sections that were skipped or failed.
    """

    found: tuple[Told, ...]
    chance: tuple[Told, ...]
    asked: int
    level: float
    start: tuple[Told, ...]
    pictures: tuple[Section, ...]
    absent: tuple[Section, ...]

    @property
    def start_words(self) -> str:
        """Whether the analyses find something where there is nothing; for a run that begins with initial weights."""
        asked = f"{number(self.asked)} such question{'s were' if self.asked > 1 else ' was'}"
        claim = "some answers claim" if self.start else "no answer claims"
        return (
            f"Before training, at step 0, there is nothing to find: {asked} put to the initial weights, and {claim} a "
            f"signal. By chance at most {number(100 * self.level)} of 100 would."
        )


def initial_step(facts: Mapping[str, Any], steps: Sequence[int]) -> int | None:
    """Step of the initial weights, 0, where that was analysed beside later ones of one run."""
    return 0 if steps[0] == 0 and steps[-1] > 0 and "runs" not in facts else None


def summarise(sections: Iterable[Section], *, first_step: int | None) -> Summary:
    """Sort the findings of all sections.

    Args:
        sections: in the order of the page.
        first_step: the first analysed step where it is that of the initial weights; findings there say whether an
            analysis is fooled, not what training did. None where there is no such step, or no other.
    """
    sections = list(sections)
    good = [section for section in sections if section.status == "ok"]
    told = [section for section in good if section.findings]
    begin = {section.name: [f for f in section.findings if f.step == first_step] for section in told}
    later = {section.name: [f for f in section.findings if f.step != first_step] for section in told}
    return Summary(
        found=_told(told, later, significant=True),
        chance=_told(told, later, significant=False),
        asked=sum(map(len, begin.values())),
        level=max((each.level for findings in begin.values() for each in findings), default=0.0),
        start=_told(told, begin, significant=True),
        pictures=tuple(section for section in good if not section.findings),
        absent=tuple(section for section in sections if section.status != "ok"),
    )


def _told(sections: Sequence[Section], findings: dict[str, list[Finding]], *, significant: bool) -> tuple[Told, ...]:
    rows = []
    for section in sections:
        texts = [each.text for each in findings[section.name] if each.significant is significant]
        if texts:
            rows.append(Told(section.name, section.title, tuple(texts[:MOST]), len(texts[MOST:])))
    return tuple(rows)
