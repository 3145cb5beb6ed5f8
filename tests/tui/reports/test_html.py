import pytest

from claf_tui.reports.html import Markup, joined, tag, text
from tests.tui.hostile import HOSTILE


@pytest.mark.parametrize("value", [*HOSTILE, "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "&lt;"])
def test_whatever_is_no_markup_becomes_text(value: str) -> None:
    for made in (text(value), tag("p", value), tag("p", title=value)):
        inner = made.removeprefix("<p>").removesuffix("</p>").removeprefix('<p title="').removesuffix('">')
        assert not set("<>'\"\x1b\u202e") & set(inner)


def test_markup_is_not_escaped_twice() -> None:
    assert tag("b", tag("i", "a < b")) == "<b><i>a &lt; b</i></b>"


def test_attributes_are_named_as_html_names_them_and_may_be_left_out() -> None:
    assert tag("input", class_="a", stroke_width=2, checked=True, name=None, disabled=False) == (
        '<input class="a" stroke-width="2" checked>'
    )


def test_elements_of_svg_without_content_are_closed() -> None:
    assert tag("line", x1=0) == '<line x1="0"/>'


def test_what_is_none_is_left_out() -> None:
    assert joined("a", None, Markup("<br>"), 3) == "a<br>3"
