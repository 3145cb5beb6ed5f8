import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claf_engine.config import RunConfig
from claf_engine.config.plugins import load_plugin
from claf_engine.config.registry import DATA, METHODS, MODELS
from claf_engine.runs import create_run, read_config, to_plain
from claf_engine.runs.plugins import RecordedPlugin, missing_plugin, plugin_changes, recorded_plugins
from claf_engine.terms.errors import RunError
from tests.plugins import plugin_file, registries_restored

TEXT = """
    from claf_engine.config.registry import DATA, METHODS, MODELS
    for registry in (METHODS, MODELS, DATA):
        registry.add("mine", print)
"""


@pytest.fixture(autouse=True)
def _registries_are_put_back() -> Iterator[None]:
    with registries_restored():
        yield


def new_run(folder: Path, **changes: Any) -> Path:
    directory = create_run(folder, "demo", RunConfig.model_validate(changes), [])
    directory.close()
    return directory.path


def forget() -> None:
    for registry in (METHODS, MODELS, DATA):
        registry.entries.clear()


def test_a_run_records_the_plugins_that_it_is_begun_with(tmp_path: Path) -> None:
    sha256 = load_plugin(plugin_file(tmp_path, TEXT)).plugin.sha256
    path = new_run(tmp_path, method="mine")
    recorded = json.loads((path / "run.json").read_text())["plugins"]
    registers = ["method mine", "architecture mine", "data source mine"]
    assert recorded == [{"file": "my.py", "sha256": sha256, "registers": registers}]
    assert recorded_plugins(path) == (RecordedPlugin("my.py", sha256, tuple(registers)),)


def test_a_run_without_plugins_records_none(tmp_path: Path) -> None:
    path = new_run(tmp_path)
    assert json.loads((path / "run.json").read_text())["plugins"] == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"plugins": 3}', '{"plugins": [3]}', '{"plugins": [{"file": 1}]}']
)
def test_a_folder_that_does_not_say_has_no_plugins(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    assert recorded_plugins(tmp_path) == ()
    assert plugin_changes(tmp_path) == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": "mine"}, "method 'mine'"),
        ({"model": {"architecture": "mine"}}, "architecture 'mine'"),
        ({"data": {"source": "mine:a"}}, "data source 'mine'"),
    ],
)
def test_settings_that_need_a_plugin_are_told_with_its_file(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    load_plugin(plugin_file(tmp_path, TEXT))
    path = new_run(tmp_path, **changes)
    forget()
    with pytest.raises(RunError, match=f"needs a plugin: it was trained with {told} of plugin my.py; give --plugin my"):
        read_config(path)


def test_settings_of_ours_need_no_plugin(tmp_path: Path) -> None:
    assert missing_plugin(to_plain(RunConfig()), tmp_path) == ""


def test_a_plugin_s_settings_can_be_read_when_it_is_given(tmp_path: Path) -> None:
    load_plugin(plugin_file(tmp_path, TEXT))
    path = new_run(tmp_path, method="mine")
    assert read_config(path).method == "mine"
    assert plugin_changes(path) == ()


def test_a_mistake_in_a_configuration_is_told_as_before_when_no_plugin_is_recorded(tmp_path: Path) -> None:
    path = new_run(tmp_path)
    config = path / "config.toml"
    config.write_text(config.read_text().replace('method = "claf"', 'method = "clafs"'))
    with pytest.raises(RunError, match=r"config.toml: method: unknown method 'clafs'; .* did you mean claf\?"):
        read_config(path)


def test_another_file_that_registers_the_same_name_is_a_change(tmp_path: Path) -> None:
    load_plugin(plugin_file(tmp_path, TEXT))
    path = new_run(tmp_path, method="mine")
    forget()
    load_plugin(plugin_file(tmp_path, f"{TEXT}\n    x = 1\n", "other.py"))
    (change,) = plugin_changes(path)
    assert change.startswith("plugin other.py is not my.py as the run was begun with it")
