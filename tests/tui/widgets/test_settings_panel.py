from typing import Any

import pytest

from claf_engine.config.presets import resolve_config
from claf_engine.runs import to_plain
from claf_engine.runs.settings import Setting, Settings, compare
from claf_tui.widgets.settings_panel import rows_of, settings_lines, value_text
from tests.tui.hostile import EVERYTHING
from tests.tui.widgets.folded import plain

PATH = "folder:/data/" + "/".join(["a-long-folder-name"] * 6)


def settings(*overrides: str) -> Settings:
    return compare(to_plain(resolve_config("smoke", overrides=overrides)), "smoke")


def shown(compared: Settings, width: int = 80, edits: dict[str, float] | None = None, **options: Any) -> list[str]:
    return plain(settings_lines(compared, edits or {}, width, **options))


def test_a_setting_that_differs_has_its_value_and_the_presets() -> None:
    line = next(line for line in shown(settings("attack.steps=7")) if "attack.steps" in line)
    assert line.split() == ["attack.steps", "7", str(resolve_config("smoke").attack.steps)]


def test_only_what_differs_is_shown_unless_all_is_asked_for() -> None:
    changed = settings("attack.steps=7")
    assert not any("attack.epsilon" in line for line in shown(changed))
    whole = shown(changed, is_whole=True)
    assert any("attack.epsilon" in line for line in whole)
    assert any("attack.steps" in line for line in whole)


def test_a_run_of_the_preset_as_it_is_says_so() -> None:
    nearest = "the nearest one: the command that began the run names none"
    assert " ".join(" ".join(shown(settings())).split()) == f"every setting is as in preset smoke, {nearest}"


def test_how_many_differ_is_counted() -> None:
    named = Settings("smoke", True, settings("attack.steps=7", "seed=9").all)
    assert shown(named)[0].strip() == f"2 of {len(named.all)} settings differ from preset smoke"


@pytest.mark.parametrize("width", [40, 78, 120, 198])
def test_a_long_value_is_shown_whole_at_every_width(width: int) -> None:
    lines = shown(settings(f"data.source={PATH}"), width)
    assert all(len(line) <= width for line in lines)
    start = next(number for number, line in enumerate(lines) if "data.source" in line)
    column = lines[start].index("folder:")
    end = lines[start].find("  ", column)
    assert "".join(line[column : end if end > 0 else None].strip() for line in lines[start:]).startswith(PATH[:60])


def test_what_was_edited_while_the_run_went_on_has_its_new_value_and_says_so() -> None:
    lines = shown(settings(), edits={"probe.every_epochs": 77.0, "learning_rate": 0.05})
    line = next(line for line in lines if "probe.every_epochs" in line)
    assert line.split()[1] == "77*"
    assert any(line.split()[:2] == ["learning_rate", "0.05*"] for line in lines)
    assert lines[-1].strip() == "* edited while the run went on"


def test_an_edit_to_the_value_that_it_had_is_no_edit() -> None:
    every = float(resolve_config("smoke").probe.every_epochs)
    assert not any(row.is_edited for row in rows_of(settings(), {"probe.every_epochs": every}))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (True, "true"), (0.1, "0.1"), ([2, 2], "[2, 2]"), ("8/255", "8/255"), (3, "3")],
)
def test_values_are_written_as_a_configuration_holds_them(value: object, text: str) -> None:
    assert value_text(value) == text


def test_foreign_settings_are_cleaned() -> None:
    foreign = Settings("smoke", False, (Setting(EVERYTHING, EVERYTHING, None), Setting("a", [EVERYTHING], {})))
    assert all(line.isprintable() for line in shown(foreign))
