import pytest

from claf_engine.terms.errors import ConfigError
from claf_tui.words.live_values import parse_change


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("learning_rate=0.05", ("learning_rate", 0.05)),
        (" learning_rate = 5e-2 ", ("learning_rate", 0.05)),
        ("probe.every_epochs=0", ("probe.every_epochs", 0.0)),
    ],
)
def test_a_change_is_read(text: str, change: tuple[str, float]) -> None:
    assert parse_change(text) == change


@pytest.mark.parametrize("text", ["", "=", "learning_rate", "learning_rate=", "seed=3", "learning-rate=0.05", "0.05"])
def test_what_may_not_change_is_refused_with_what_may(text: str) -> None:
    with pytest.raises(ConfigError, match="learning_rate and probe.every_epochs may, written as KEY=VALUE"):
        parse_change(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("learning_rate=-1", "above 0 and at most at 10"),
        ("learning_rate=nan", "above 0 and at most at 10"),
        ("learning_rate=0,05", "must be a number such as 0.05"),
        ("probe.every_epochs=2.5", "a whole number such as 5"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_one_that_does(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_change(text)
