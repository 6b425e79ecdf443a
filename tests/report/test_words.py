from __future__ import annotations

import pytest

from wdyn.report.words import number, telling, value_words, visible
from wdyn.store.describe import note_text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "∞"),
        (float("-inf"), "−∞"),
        (0, "0"),
        (True, "True"),
        (1234567, "1,234,567"),
        (-12345, "−12,345"),
        (0.123456, "0.1235"),
        (-0.5, "−0.5"),
        (1234.56, "1,235"),
        (999.96, "1000"),
        (2.10499e-10, "2.105e-10"),
        (1.5e-05, "1.5e-5"),
        (1e300, "1e300"),
        ("text", "text"),
    ],
)
def test_numbers_are_short_and_grouped(value: object, words: str) -> None:
    assert number(value) == words


@pytest.mark.parametrize(
    ("value", "label", "words"),
    [
        (0.0, "tail probability", "< 1e-300"),
        (0, "Chance of such a dip", "< 1e-300"),
        (0.0, "groups by chance", "0"),
        (0.25, "tail probability", "0.25"),
        (False, "probability", "False"),
        (None, "probability", "–"),
    ],
)
def test_a_probability_of_zero_is_an_underflow(value: object, label: str, words: str) -> None:
    assert value_words(value, label) == words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("d.\u202eevil", "d.\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("a\0b", "a\\u0000b"),
        ("two\nlines, e\u0301, \u05d0", "two\nlines, e\u0301, \u05d0"),
    ],
)
def test_what_reorders_or_hides_letters_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_closed_recording_is_not_told() -> None:
    gap = {"what": "gap", "reason": "disk full", "steps": [1000, 1002]}
    assert telling([{"what": "closed", "reason": "the recording was closed"}, gap]) == [gap]
    assert note_text(gap) == "Not recorded at steps 1,000 to 1,002: disk full"
