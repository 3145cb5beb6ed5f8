"""`--plugin` of every command that has it, with a scripted engine."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.runs import list_runs
from claf_tui import cli
from tests.plugins import plugin_file, registries_restored
from tests.tui.hostile import EVERYTHING

Shown = pytest.CaptureFixture[str]

METHOD = """
    from claf_engine.config.registry import METHODS
    METHODS.add("mine", print)
"""


@pytest.fixture(autouse=True)
def _registries_are_put_back() -> Iterator[None]:
    with registries_restored():
        yield


def train(*arguments: str) -> int:
    return cli.run(["train", "--preset", "smoke", "--ui", "plain", *arguments])


def test_a_run_is_begun_with_a_method_of_a_plugin(root: Path, tmp_path: Path) -> None:
    plugin_file(tmp_path, METHOD)
    assert train("--plugin", "my.py", "--method", "mine") == 0
    folder = list_runs(root)[0].directory
    assert tomllib.loads((folder / "config.toml").read_text())["method"] == "mine"
    assert [plugin["file"] for plugin in json.loads((folder / "run.json").read_text())["plugins"]] == ["my.py"]


def test_several_plugins_can_be_given(tmp_path: Path) -> None:
    plugin_file(tmp_path, METHOD)
    plugin_file(tmp_path, METHOD.replace("mine", "other"), "other.py")
    assert train("--plugin", "my.py", "--plugin", "other.py", "--set", "method=other") == 0


def test_going_on_takes_a_plugin_besides(root: Path, tmp_path: Path, capsys: Shown) -> None:
    plugin_file(tmp_path, METHOD)
    assert train("--plugin", "my.py", "--method", "mine") == 0
    assert cli.run(["train", "--resume", "latest", "--plugin", "my.py", "--ui", "plain"]) == 3
    assert "is finished" in capsys.readouterr().err


def test_going_on_without_the_plugin_names_it(root: Path, tmp_path: Path, capsys: Shown) -> None:
    plugin_file(tmp_path, METHOD)
    with registries_restored():
        assert train("--plugin", "my.py", "--method", "mine") == 0
    (list_runs(root)[0].directory / "status.json").unlink()
    assert cli.run(["train", "--resume", "latest", "--ui", "plain"]) == 3
    assert "it was trained with method 'mine' of plugin my.py; give --plugin my.py" in capsys.readouterr().err


def test_the_next_command_names_the_plugins(tmp_path: Path, capsys: Shown) -> None:
    plugin_file(tmp_path, METHOD, "my own.py")
    assert train("--plugin", "my own.py", "--method", "mine") == 0
    assert re.search(r"next:   claf-tui eval \S+ --eps 16/255 --plugin 'my own.py'\n", capsys.readouterr().out)


def test_settings_are_shown_with_a_plugin_s_names(tmp_path: Path, capsys: Shown) -> None:
    plugin_file(tmp_path, METHOD)
    assert cli.run(["config", "show", "--plugin", "my.py", "--set", "method=mine"]) == 0
    assert tomllib.loads(capsys.readouterr().out)["method"] == "mine"


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--preset", "smoke"],
        ["eval", "latest"],
        ["audit", "latest"],
        ["config", "show"],
        ["checkpoint", "browse"],
        ["checkpoint", "import", "file.pt"],
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_one_sentence_and_exit_code_2(
    root: Path, tmp_path: Path, capsys: Shown, command: list[str]
) -> None:
    path = plugin_file(tmp_path, "x = 1\nraise ValueError('no')\n")
    assert cli.run([*command, "--plugin", str(path)]) == 2
    assert capsys.readouterr().err == f"error: the plugin {path} cannot be loaded: ValueError in line 2: no\n"
    assert not root.exists()


def test_what_a_plugin_raises_cannot_write_to_the_terminal_as_it_likes(tmp_path: Path, capsys: Shown) -> None:
    plugin_file(tmp_path, f"raise ValueError({EVERYTHING!r})\n")
    assert train("--plugin", "my.py") == 2
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("none.py", "cannot read the plugin none.py: No such file or directory"),
        ("my.toml", "my.toml is no plugin: a plugin is a Python file, whose name ends in .py"),
    ],
)
def test_a_file_that_is_no_plugin_is_named(root: Path, capsys: Shown, file: str, sentence: str) -> None:
    assert train("--plugin", file) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"
    assert not root.exists()


def test_a_plugin_that_registers_nothing_is_a_warning(tmp_path: Path, capsys: Shown) -> None:
    plugin_file(tmp_path, "x = 1")
    assert train("--plugin", "my.py") == 0
    assert capsys.readouterr().err.startswith("warning: the plugin my.py registers nothing; decorate a function with ")


def test_an_unknown_method_is_refused_with_the_nearest(root: Path, capsys: Shown) -> None:
    assert train("--method", "trade") == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: --method: method: unknown method 'trade'; use claf, natural, scl, at, fgsm, ")
    assert shown.endswith("or give a --plugin that registers it; did you mean trades?\n")
    assert not root.exists()
