import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.runs import lines as lines_module
from claf_engine.runs.lines import LINE_CAP, PIECE, LineSplitter, whole_lines

CAP = 5


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data cut into pieces, none longer than the cap."""
    places = sorted({0, len(data), *range(0, len(data), CAP), *(cut for cut in cuts if cut <= len(data))})
    return [data[start:end] for start, end in zip(places, places[1:], strict=False)]


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", b"defg"]), max_size=30), st.lists(st.integers(0, 60), max_size=9))
def test_lines_are_the_same_wherever_the_file_is_cut(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lines_module, "LINE_CAP", CAP)
        splitter = LineSplitter()
        found = [line for piece in pieces_of(data, cuts) for line in splitter.feed(piece)]
    assert found == [line if len(line) <= CAP else b"" for line in data.split(b"\n")[:-1]]


def test_a_line_longer_than_the_cap_comes_empty_and_the_next_whole() -> None:
    for length, expected in ((LINE_CAP, b"x" * LINE_CAP), (LINE_CAP + 1, b"")):
        assert list(whole_lines(io.BytesIO(b"a\n" + b"x" * length + b"\nb\nto"))) == [b"a", expected, b"b"]


def test_an_endless_line_is_not_kept() -> None:
    splitter = LineSplitter()
    for _ in range(10 * LINE_CAP // PIECE):
        assert splitter.feed(b"x" * PIECE) == []
        assert len(splitter._begun) <= LINE_CAP
    assert splitter.feed(b"\na\n") == [b"", b"a"]
