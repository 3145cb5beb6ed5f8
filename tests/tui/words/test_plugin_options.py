from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.config.plugins import load_model, load_plugin
from claf_tui.screens.checkpoints.actions import evaluate_command, typed_audit
from claf_tui.words.plugin_options import plugin_options
from tests.plugins import plugin_file, registries_restored

TEXT = 'from claf_engine.config.registry import METHODS\nMETHODS.add("mine", print)\n'


@pytest.fixture(autouse=True)
def _registries_are_put_back() -> Iterator[None]:
    with registries_restored():
        yield


def test_without_plugins_there_are_no_options() -> None:
    assert plugin_options() == []


def test_a_plugin_below_the_working_directory_is_named_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_plugin(plugin_file(tmp_path, TEXT))
    monkeypatch.chdir(tmp_path)
    assert plugin_options() == ["--plugin", "my.py"]


def test_another_plugin_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = plugin_file(tmp_path, TEXT)
    load_plugin(path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert plugin_options() == ["--plugin", str(path)]


def test_a_measurement_in_a_process_of_its_own_is_given_the_plugins(tmp_path: Path) -> None:
    path = plugin_file(tmp_path, TEXT)
    load_plugin(path)
    assert evaluate_command(Path("a.safetensors"))[-3:] == ["--plugin", str(path), "--json"]
    assert f"--plugin {path}" in typed_audit(Path("a.safetensors"))


def test_a_file_that_a_model_is_of_is_named_with_its_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = plugin_file(tmp_path, "def build():\n    pass\n", "net.py")
    load_model(f"{path}:build")
    monkeypatch.chdir(tmp_path)
    assert plugin_options() == ["--model", "net.py:build"]


def test_a_file_that_gives_model_and_images_is_named_as_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = plugin_file(tmp_path, "def build():\n    pass\n\n\ndef images():\n    pass\n", "both.py")
    load_plugin(path, as_data=True)
    load_model(f"{path}:build")
    monkeypatch.chdir(tmp_path)
    assert plugin_options() == ["--plugin", "both.py", "--model", "both.py:build"]
