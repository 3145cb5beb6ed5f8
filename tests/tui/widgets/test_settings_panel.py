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


def test_what_the_method_does_not_read_is_left_out_and_counted_unless_it_differs() -> None:
    compared = settings("rocl.epochs=9")
    whole = shown(compared, is_whole=True)
    assert sum("rocl." in line for line in whole) == 1
    assert whole[-1].split()[:2] == [str(sum(one.is_idle for one in compared.all) - 1), "settings"]
    assert not any("left out" in line for line in shown(settings("method=union"), is_whole=True) if "union." in line)
    assert any("union.l1.step_size" in line for line in shown(settings("method=union"), is_whole=True))


def test_groups_stand_apart() -> None:
    whole = shown(settings("seed=4"), is_whole=True)
    groups = [line.split(".")[0].strip() for line in whole[3:-2] if "." in line]
    apart = [number for number, line in enumerate(whole) if not line.strip()]
    assert len(apart) >= len(set(groups))


@pytest.mark.parametrize(("words", "number"), [("L1 step", 1), ("attack.steps", 1), ("no such", 0)])
def test_words_find_every_setting_that_holds_them(words: str, number: int) -> None:
    lines = shown(settings("seed=4"), words=words)
    names = [each.name for each in settings("seed=4").all if all(word in each.name for word in words.lower().split())]
    assert len(names) >= number
    assert [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in names] == names
    assert any("no setting has these words" in line for line in lines) == (not names)


def test_a_list_breaks_after_a_comma() -> None:
    compared = Settings("smoke", True, (Setting("mean", [0.4914, 0.4822, 0.4465, 0.5], [0.1]),))
    lines = shown(compared, 40)
    assert any(line.rstrip().endswith("0.4914,") or line.rstrip().endswith("0.4822,") for line in lines)
    numbers = "".join(line.replace("[0.1]", "").replace("mean", "") for line in lines[4:])
    assert "".join(numbers.split()) == "[0.4914,0.4822,0.4465,0.5]"


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
