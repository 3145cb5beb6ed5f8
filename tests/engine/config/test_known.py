from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.config.known import named_source, require_source
from claf_engine.config.plugins import load_plugin
from claf_engine.terms.errors import ConfigError
from tests.plugins import plugin_file, registries_restored


@pytest.fixture(autouse=True)
def _registries_are_put_back() -> Iterator[None]:
    with registries_restored():
        yield


@pytest.mark.parametrize(
    ("source", "meant"),
    [("torchvision:cifar100", "CIFAR100"), ("torchvision:CIFAR1", "CIFAR10"), ("torchvision:SHVN", "SVHN")],
)
def test_of_torchvision_the_nearest_data_set_is_named(source: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"of torchvision use .*; did you mean {meant}\?"):
        require_source(source)


def test_a_source_of_the_command_line_is_relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_plugin(plugin_file(tmp_path, "def images():\n    pass\n"), as_data=True)
    monkeypatch.chdir(tmp_path)
    assert named_source("folder:pets") == f"folder:{tmp_path}/pets"
    assert named_source("my.py:images") == f"{tmp_path}/my.py:images"


def test_a_file_that_was_not_named_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="--data: '/nowhere/my.py:images' is a function of a file .* --plugin"):
        named_source("/nowhere/my.py:images")


def test_a_complaint_lists_no_files_whose_functions_are_data(tmp_path: Path) -> None:
    load_plugin(plugin_file(tmp_path, "def images():\n    pass\n"), as_data=True)
    with pytest.raises(ValueError, match=r"parquet:PATH, wds:PATH or FILE\.py:NAME, or give"):
        require_source("folders")
