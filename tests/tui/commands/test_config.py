import json
import os
import tomllib
from pathlib import Path

import pytest

from claf_engine.config import RunConfig
from claf_engine.config.presets import preset_names, resolve_config
from claf_tui import cli
from claf_tui.words import exit_codes

Shown = pytest.CaptureFixture[str]


@pytest.mark.parametrize("preset", preset_names())
def test_what_is_shown_is_the_configuration_again(preset: str, tmp_path: Path, capsys: Shown) -> None:
    assert cli.run(["config", "show", "--preset", preset]) == 0
    shown = capsys.readouterr().out
    assert RunConfig.model_validate(tomllib.loads(shown)) == resolve_config(preset, None)
    (tmp_path / "again.toml").write_text(shown)
    assert resolve_config(None, tmp_path / "again.toml") == resolve_config(preset, None)


def test_settings_carry_their_meaning_as_a_comment(capsys: Shown) -> None:
    cli.run(["config", "show"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("[data]") - 1] == "# Which images, and how they are split."
    assert "shapes, cifar10" in lines[lines.index('source = "shapes"') - 1]


def test_lists_stand_on_one_line_and_limits_that_are_not_set_are_comments(capsys: Shown) -> None:
    cli.run(["config", "show", "--set", "data.num_train=none"])
    lines = capsys.readouterr().out.splitlines()
    assert 'epsilons = ["8/255", "16/255"]' in lines
    assert "# num_train = (not set)" in lines


def test_text_that_would_break_toml_is_escaped(capsys: Shown) -> None:
    cli.run(["config", "show", "--set", 'data.source=folder:/a"b\\c'])
    assert tomllib.loads(capsys.readouterr().out)["data"]["source"] == 'folder:/a"b\\c'


def test_a_wrong_setting_is_refused_here_too(capsys: Shown) -> None:
    assert cli.run(["config", "show", "--set", "sede=1"]) == 2
    assert "did you mean seed?" in capsys.readouterr().err


def test_presets_are_listed_with_what_they_are_for(capsys: Shown) -> None:
    assert cli.run(["config", "presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(preset_names())
    assert all(len(line.split()) > 4 for line in lines)


@pytest.mark.parametrize("command", [["config", "show"], ["train", "--dry-run"]])
def test_what_a_terminal_would_obey_is_escaped_and_reads_the_same_again(command: list[str], capsys: Shown) -> None:
    source = "folder:/tmp/x\x9b31m\u202ey\u200bé"
    assert cli.run([*command, "--set", f"data.source={source}"]) == 0
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    assert tomllib.loads(shown)["data"]["source"] == source


def test_keys_are_listed_with_their_ids_and_changed_ones_marked(capsys: Shown) -> None:
    write_console_file('[keys]\n"dashboard.probe" = "P"\n')
    assert cli.run(["config", "keys"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines if line.startswith("*")] == [["*", "dashboard.probe", "P"]]
    assert any(line.split()[:2] == ["app.quit", "q"] for line in lines)


def test_a_key_that_cannot_be_taken_is_an_error_and_the_list_is_there_all_the_same(capsys: Shown) -> None:
    write_console_file('[keys]\n"dashboard.probe" = "q"\n')
    assert cli.run(["config", "keys"]) == 2
    printed = capsys.readouterr()
    assert "q is also app.quit (quit); choose another key" in printed.err
    assert "dashboard.probe" in printed.out


def test_a_theme_is_chosen_listed_and_forgotten(capsys: Shown) -> None:
    assert cli.run(["config", "theme", "claf-light"]) == 0
    cli.run(["config", "theme"])
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if line[0] == "*"] == ["claf-light"]
    assert cli.run(["config", "theme", "--reset"]) == 0
    cli.run(["config", "theme"])
    assert "* claf " in capsys.readouterr().out


def test_a_theme_that_is_not_there_is_refused(capsys: Shown) -> None:
    assert cli.run(["config", "theme", "claf-lihgt"]) == 2
    assert "did you mean claf-light?" in capsys.readouterr().err


def test_a_variable_that_wins_over_the_chosen_theme_is_named(capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAF_THEME", "nord")
    assert cli.run(["config", "theme", "claf-light"]) == 0
    assert "CLAF_THEME names nord, which wins" in capsys.readouterr().err


def write_console_file(text: str) -> None:
    file = Path(os.environ["XDG_CONFIG_HOME"]) / "claf-tui" / "console.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)


def test_alerts_are_shown_without_what_may_be_secret(tmp_path: Path, capsys: Shown) -> None:
    (tmp_path / "alerts.toml").write_text('notify = ["/bin/tell", "--token", "secret"]')
    assert cli.run(["config", "alerts", "--alerts", str(tmp_path / "alerts.toml")]) == exit_codes.OK
    shown = capsys.readouterr()
    assert 'notify = "tell (and 2 more words)"' in shown.out
    assert "[robust_drop]" in shown.out
    assert "secret" not in shown.out + shown.err


@pytest.mark.parametrize(("command", "code"), [("true", exit_codes.OK), ("false", exit_codes.USAGE)])
def test_the_command_of_alerts_can_be_tried(tmp_path: Path, capsys: Shown, command: str, code: int) -> None:
    (tmp_path / "alerts.toml").write_text(f'notify = ["/bin/{command}"]')
    assert cli.run(["config", "alerts", "--test", "--alerts", str(tmp_path / "alerts.toml")]) == code
    said = capsys.readouterr().err
    assert ("told true" if code == exit_codes.OK else "it could not be told: false ended with 1") in said


def test_methods_lists_all_with_what_they_cost_and_what_is_known(capsys: Shown) -> None:
    assert cli.run(["config", "methods"]) == exit_codes.OK
    out = capsys.readouterr().out
    assert "alp " in out
    assert "Adversarial logit pairing" in out


def test_the_page_of_a_method_is_json_too(capsys: Shown) -> None:
    assert cli.run(["config", "methods", "trades", "--json"]) == exit_codes.OK
    record = json.loads(capsys.readouterr().out)
    assert record["name"] == "trades"
    assert record["costs"][0]["preset"] == "trades"
    assert record["command"] == "claf-tui train --preset trades --dry-run"
