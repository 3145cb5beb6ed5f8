import pytest

from claf_engine.events.control import LIVE_NAMES, Later
from claf_engine.terms.errors import ConfigError
from claf_tui.words.live_values import LIVE_VALUES, edit_text, parse_change, parse_later, values_of


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("learning_rate=0.05", ("learning_rate", 0.05)),
        (" learning_rate = 5e-2 ", ("learning_rate", 0.05)),
        ("probe.every_epochs=0", ("probe.every_epochs", 0.0)),
        ("probe.epsilons=8/255, 4/255", ("probe.epsilons", "8/255, 4/255")),
        ("checkpoint.every_steps=none", ("checkpoint.every_steps", "none")),
    ],
)
def test_a_change_is_read(text: str, change: tuple[str, float | str]) -> None:
    assert parse_change(text) == change


@pytest.mark.parametrize("text", ["", "=", "learning_rate", "learning_rate=", "seed=3", "learning-rate=0.05", "0.05"])
def test_what_may_not_change_is_refused_with_what_may(text: str) -> None:
    with pytest.raises(ConfigError, match="checkpoint.min_seconds may, written as KEY=VALUE"):
        parse_change(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("learning_rate=0,05", "must be a number, not '0,05'"), ("temperature=nan", "must be a finite number")],
)
def test_what_is_no_number_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_change(text)


def test_a_form_offers_every_value_that_may_change() -> None:
    assert tuple(value.name for value in LIVE_VALUES) == LIVE_NAMES


@pytest.mark.parametrize(
    ("text", "later"),
    [("100", Later("steps", 100)), (" 1,000 ", Later("steps", 1000)), ("epoch", Later("epoch")), ("p", Later("phase"))],
)
def test_when_to_pause_is_read(text: str, later: Later) -> None:
    assert parse_later(text) == later


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "day", "²", "9" * 40])
def test_a_time_that_never_comes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a number of steps such as 100, or epoch, or phase"):
        parse_later(text)


def test_an_edit_is_named_in_few_characters() -> None:
    assert edit_text("contrastive.temperature", 0.07, 0.1) == "temperature 0.07→0.1"


def test_live_values_are_read_from_settings_as_they_are_edited() -> None:
    config = {"probe": {"every_epochs": 5, "epsilons": ["8/255", "16/255"]}, "checkpoint": 3}
    found = values_of(config, ("probe.every_epochs", "probe.epsilons", "checkpoint.every_steps"))
    assert found == {"probe.every_epochs": 5.0, "probe.epsilons": "8/255, 16/255"}
