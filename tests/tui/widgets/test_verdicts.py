import pytest

from claf_tui.widgets.verdicts import GLYPHS, figure_line, glyph, interval_bar


def test_an_unknown_verdict_never_looks_like_a_pass() -> None:
    assert glyph("splendid") == GLYPHS["not-run"] != GLYPHS["passes"]


@pytest.mark.parametrize(("low", "accuracy", "high"), [(0.0, 0.0, 0.04), (0.2, 0.3, 0.4), (0.96, 1.0, 1.0)])
def test_a_bar_has_its_width_and_one_dot_inside_the_interval(low: float, accuracy: float, high: float) -> None:
    text = interval_bar(accuracy, low, high, 41, "$success").plain
    assert len(text) == 41
    assert text.count("●") == 1
    assert text.index("●") == round(accuracy * 40)
    assert "━" in text


@pytest.mark.parametrize("width", [40, 78, 138])
def test_both_figures_of_a_card_have_one_scale(width: int) -> None:
    whole = figure_line("natural", {"accuracy": 1.0, "interval": [0.96, 1.0]}, width, "$success", "100 test images")
    none = figure_line("worst case", {"accuracy": 0.0, "interval": [0.0, 0.04]}, width, "$error", "at 8/255")
    assert whole.plain.find("–") == none.plain.find("–")
    assert max(whole.cell_length, none.cell_length) <= width


@pytest.mark.parametrize("figure", [{}, {"accuracy": "x"}, {"accuracy": float("nan"), "interval": [0, 1]}, None])
def test_a_figure_that_is_none_is_a_dash(figure: object) -> None:
    assert figure_line("natural", figure, 78, "$success").plain.split() == ["natural", "–"]  # type: ignore[arg-type]
