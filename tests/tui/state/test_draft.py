"""A run that a person puts together, and the command that says the same."""

import pytest

from claf_engine.config.presets import preset_names, resolve_config
from claf_engine.terms.errors import ConfigError
from claf_tui.state.draft import DATA, METHOD, NAME, PRESET, Draft, Heading, Row, choices_of, form_lines, meaning


def rows(draft: Draft, words: str = "", *, is_whole: bool = False) -> dict[str, Row]:
    lines = form_lines(draft, draft.config(), words, is_whole=is_whole)
    return {line.key: line for line in lines if isinstance(line, Row)}


def groups(draft: Draft, *, is_whole: bool = False) -> list[str]:
    lines = form_lines(draft, draft.config(), is_whole=is_whole)
    return [line.group for line in lines if isinstance(line, Heading)]


def test_a_draft_resolves_as_its_command_would() -> None:
    draft = Draft("smoke").changed(METHOD, "at").changed("attack.steps", "7").changed("seed", "3")
    assert draft.config() == resolve_config("smoke", None, ["method=at", "attack.steps=7", "seed=3"])


def test_the_command_says_the_same() -> None:
    draft = Draft("smoke").changed(METHOD, "at").changed("attack.epsilon", "4/255").changed(NAME, "milder")
    words = ["claf-tui", "train", "--preset", "smoke", "--method", "at", "--set", "attack.epsilon=4/255"]
    assert draft.command() == [*words, "--name", "milder"]


def test_a_wrong_value_is_told_in_the_words_of_the_command_line() -> None:
    with pytest.raises(ConfigError) as said:
        resolve_config("demo", None, ["attack.steps=many"])
    with pytest.raises(ConfigError) as drafted:
        Draft().changed("attack.steps", "many").config()
    assert str(drafted.value) == str(said.value)


def test_what_the_preset_says_anyhow_is_not_in_the_command() -> None:
    assert Draft("smoke").changed("attack.steps", str(resolve_config("smoke").attack.steps)).tidy().changes == {}


def test_an_empty_value_takes_a_change_back() -> None:
    draft = Draft().changed("attack.steps", "7").changed(NAME, "x")
    assert draft.changed("attack.steps", "").changed(NAME, "") == Draft()


def test_what_is_chosen_first_stands_first() -> None:
    assert list(rows(Draft()))[:4] == [PRESET, DATA, METHOD, NAME]


def test_groups_of_the_method_come_first_and_idle_ones_only_when_asked_for() -> None:
    draft = Draft().changed(METHOD, "trades")
    assert groups(draft)[:2] == ["", "trades"]
    assert "adversarial" not in groups(draft)
    assert "adversarial" in groups(draft, is_whole=True)


def test_a_changed_setting_stands_beside_the_preset() -> None:
    row = rows(Draft("smoke").changed("attack.steps", "7"))["attack.steps"]
    assert (row.value, row.usual, row.differs) == ("7", str(resolve_config("smoke").attack.steps), True)


def test_a_search_looks_into_names_and_meanings_of_all_groups() -> None:
    assert "rocl.temperature" in rows(Draft(), "temperature")
    assert "trades.beta" in rows(Draft(), "robustness weight")
    assert rows(Draft(), "no such thing") == {}


@pytest.mark.parametrize("preset", preset_names())
def test_every_value_of_the_form_can_be_typed_again(preset: str) -> None:
    draft = Draft(preset)
    typed = {row.key: row.value for row in rows(draft, is_whole=True).values() if row.key not in (PRESET, NAME)}
    assert Draft(preset, typed).config() == draft.config()
    assert Draft(preset, typed).tidy().changes == {}


def test_choices_and_meanings_come_from_the_settings() -> None:
    assert [value for value, _ in choices_of(PRESET)] == list(preset_names())
    assert [value for value, _ in choices_of("attack.norm")] == ["linf", "l2", "l1"]
    assert choices_of(DATA) == ()
    assert "of the encoder" in meaning("model.architecture")
    assert meaning("attack.steps").endswith("(whole number, at least 0)")
