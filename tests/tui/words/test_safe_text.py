import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_tui.words.safe_text import safe, safe_lines
from tests.tui.hostile import HOSTILE


@given(st.text(), st.integers(1, 200))
def test_only_printable_characters_come_out_and_never_too_many(text: str, limit: int) -> None:
    cleaned = safe(text, limit)
    assert cleaned.isprintable()
    assert len(cleaned) <= limit


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=100))
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_hostile_character_survives(text: str) -> None:
    assert not set("\x1b\x9b\x07\x7f\u202e\u200b\u2066\r\n") & set(safe(text))


def test_letters_of_every_script_and_emoji_stay() -> None:
    assert safe("é漢😀 ü") == "é漢😀 ü"


def test_long_text_says_that_it_was_cut() -> None:
    assert safe("abcdef", 4) == "abc…"


def test_lines_keep_their_breaks_and_their_end() -> None:
    assert safe_lines("first\nsecond \x1b[2J\n\tthird")[1:] == ["second \ufffd[2J", "    third"]
