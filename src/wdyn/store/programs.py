"""The program of a run: its forward pass as JSON, which may come from a stranger and is parsed with limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from wdyn.errors import DamagedError
from wdyn.journal.frame import MOST_PROGRAM
from wdyn.store.plain_json import read_json

NO_PROGRAM = "no program"  # `what` of the note that says why there is none
_DEEPEST = 64  # lists and dicts inside each other; those that wdyn writes have some ten


class StoredProgram:
    """A program, read and parsed once, when it is first asked for."""

    def __init__(self, fetch: Callable[[], bytes | None], notes: Sequence[Mapping[str, Any]]) -> None:
        """Nothing is read yet.

        Args:
            fetch: gives the UTF-8 text, or None where there is none; may raise DamagedError.
            notes: of the recording.
        """
        self._fetch, self._notes = fetch, notes

    @property
    def text(self) -> bytes | None:
        """As it is stored.

        Raises:
            DamagedError: it does not match its checksum.
        """
        return self._fetch()

    @property
    def content(self) -> Mapping[str, Any] | None:
        """The program, read-only, or None."""
        return self._parsed[0]

    @property
    def missing(self) -> str:
        """Why there is none, in words; empty where there is one."""
        return self._parsed[1]

    @cached_property
    def _parsed(self) -> tuple[Mapping[str, Any] | None, str]:
        try:
            text = self._fetch()
        except DamagedError:
            return None, "it does not match its checksum"
        if text is None:
            return None, _why_not(self._notes)
        try:
            return MappingProxyType(parse_program(text)), ""
        except ValueError as error:
            return None, f"it is not what wdyn would write ({error})"


def parse_program(text: bytes) -> dict[str, Any]:
    """A program from its text.

    Args:
        text: JSON in UTF-8.

    Returns:
        The object, with the list `nodes`, and the list `inputs` of objects with `dtype` and `shape`; what else is in it
        was not looked at.

    Raises:
        ValueError: it is larger or deeper than any that wdyn writes, no JSON, or of another form.
    """
    if len(text) > MOST_PROGRAM:
        raise ValueError(f"{len(text):,} bytes, more than {MOST_PROGRAM:,}")
    program = read_json(text, deepest=_DEEPEST)
    if not isinstance(program, dict):
        raise ValueError(f"a {type(program).__name__}, no object")
    inputs, nodes = program.get("inputs"), program.get("nodes")
    if not isinstance(nodes, list) or not isinstance(inputs, list) or not all(map(_is_input, inputs)):
        raise ValueError("without inputs and nodes")
    return program


def _is_input(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("dtype"), str) and isinstance(entry.get("shape"), list)


def _why_not(notes: Sequence[Mapping[str, Any]]) -> str:
    kinds = {note.get("what") for note in notes}
    if NO_PROGRAM in kinds:
        return str(next(note.get("reason") for note in notes if note.get("what") == NO_PROGRAM))
    if "damaged" in kinds:
        return "none is in what the damage left of the recording"
    if "closed" in kinds:
        return "it was recorded before wdyn exported programs"
    return "the recording was not closed, and had not exported the model so far"
