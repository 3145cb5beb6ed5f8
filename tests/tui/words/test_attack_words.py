from dataclasses import replace

import pytest

from claf_tui.words import attack_words
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted import robust_figure
from tests.tui.scripted_methods import released_code

FIGURE = robust_figure("8/255", 0.6)


def test_an_ordinary_radius_needs_no_words() -> None:
    assert attack_words.radius(FIGURE) == "8/255"
    assert attack_words.caveat([FIGURE]) == ""


def test_the_l2_norm_is_named_and_needs_no_warning() -> None:
    figure = replace(FIGURE, epsilon="0.5", norm="l2")
    assert attack_words.radius(figure) == "L2 0.5"
    assert attack_words.caveat([figure]) == ""


def test_a_figure_without_a_ball_is_marked_and_says_how_far_images_moved() -> None:
    near, far = released_code(FIGURE, 20.5 / 255), released_code(FIGURE, 115 / 255)
    assert attack_words.radius(near) == "8/255 (no ball)"
    assert attack_words.ball_radius(near) == "8/255"
    assert attack_words.caveat([near, far]) == "released-code: not an ε-ball, moved up to 115/255"
    assert attack_words.caveat([FIGURE, near]) == "released-code: not an ε-ball, moved up to 20.5/255"


def test_a_figure_that_any_point_decides_is_marked() -> None:
    assert attack_words.radius(replace(FIGURE, decides="any")) == "8/255 (any point)"
    assert attack_words.ball_radius(replace(FIGURE, decides="any")) == "8/255 (any point)"
    assert attack_words.radius(replace(FIGURE, decides="own")) == "8/255"
    assert attack_words.radius(released_code(replace(FIGURE, decides="any"))) == "8/255 (any point) (no ball)"


@pytest.mark.parametrize(
    ("decides", "text"),
    [
        ("last", "the last point of the attack"),
        ("any", "any point of the attack, from its start on"),
        ("own", "the worst point that the attack found"),
    ],
)
def test_which_point_decides_has_words(decides: str, text: str) -> None:
    assert attack_words.deciding_text(decides) == text
    assert attack_words.deciding_text(EVERYTHING).isprintable()


def test_an_unknown_distance_is_left_out() -> None:
    figure = replace(released_code(FIGURE), largest_distance=None)
    assert attack_words.caveat([figure]) == "released-code: not an ε-ball"


@pytest.mark.parametrize(
    ("config", "warning"),
    [
        ({}, ""),
        ({"attack": {"space": "pixel"}}, ""),
        ({"attack": "odd"}, ""),
        ({"attack": {"space": "released-code"}}, "released-code: not an ε-ball"),
    ],
)
def test_the_space_of_training_is_read_from_the_settings(config: dict[str, object], warning: str) -> None:
    assert attack_words.training_caveat(config) == warning


def test_foreign_words_are_cleaned() -> None:
    figure = replace(FIGURE, epsilon=EVERYTHING, norm=EVERYTHING, space=EVERYTHING)
    assert attack_words.radius(figure).isprintable()
    assert attack_words.caveat([figure]).isprintable()
