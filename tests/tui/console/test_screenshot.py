from pathlib import Path

import pytest

from claf_tui.console.screenshot import FOLDER, places, save_picture

NOON = 1_800_000_000.0


@pytest.fixture(autouse=True)
def _work_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_a_picture_goes_into_the_folder_of_the_run(tmp_path: Path) -> None:
    saved = save_picture("<svg/>", places(tmp_path / "run"), NOON)
    assert saved.parent == tmp_path / "run" / FOLDER
    assert saved.read_text() == "<svg/>"


def test_without_a_run_a_picture_goes_into_the_working_folder(tmp_path: Path) -> None:
    assert save_picture("<svg/>", places(None), NOON).parent == tmp_path / "here"


def test_pictures_of_one_second_lie_beside_each_other() -> None:
    first, second, third = (save_picture(text, places(None), NOON) for text in "abc")
    assert [path.read_text() for path in (first, second, third)] == ["a", "b", "c"]
    assert second.stem == f"{first.stem}-2"


def test_a_folder_of_a_run_that_takes_nothing_leaves_the_picture_in_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "run" / FOLDER).write_text("a file stands in the way")
    assert save_picture("<svg/>", places(tmp_path / "run"), NOON).parent == tmp_path / "here"


def test_a_link_in_the_folder_of_a_run_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / FOLDER).symlink_to(tmp_path / "elsewhere")
    assert save_picture("<svg/>", places(tmp_path / "run"), NOON).parent == tmp_path / "here"


def test_that_no_folder_takes_a_picture_is_raised(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        save_picture("<svg/>", [tmp_path / "gone" / "deeper"], NOON)
