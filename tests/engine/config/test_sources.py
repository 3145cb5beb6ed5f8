from pathlib import Path

import pytest

from claf_engine.config.presets import resolve_config
from claf_engine.config.sources import absolute_source, published_source


@pytest.mark.parametrize(
    ("source", "placed"),
    [
        ("folder:images", "folder:/base/images"),
        ("folder:./images", "folder:/base/images"),
        ("folder:../images", "folder:/images"),
        ("folder:/images", "folder:/images"),
        ("folder:~/images", "folder:~/images"),
        ("folder:", "folder:"),
        ("shapes", "shapes"),
        ("mine:images", "mine:images"),
    ],
)
def test_a_relative_folder_becomes_absolute_and_nothing_else_changes(source: str, placed: str) -> None:
    assert absolute_source(source, Path("/base")) == placed


def test_a_path_in_a_file_is_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings").mkdir()
    file = tmp_path / "settings" / "mine.toml"
    file.write_text('preset = "smoke"\n[data]\nsource = "folder:images"\n')
    monkeypatch.chdir("/")
    assert resolve_config(None, file).data.source == f"folder:{tmp_path}/settings/images"


def test_a_path_on_the_command_line_is_relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_config("smoke", None, ["data.source=folder:images"]).data.source == f"folder:{tmp_path}/images"


@pytest.mark.parametrize(
    ("source", "published"),
    [
        ("shapes", "shapes"),
        ("folder:/home/x/animals", "folder:animals"),
        ("folder:animals/", "folder:animals"),
        ("/x/my.py:pets", "my.py:pets"),
    ],
)
def test_a_published_source_has_no_path(source: str, published: str) -> None:
    assert published_source(source) == published
