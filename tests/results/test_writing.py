from pathlib import Path

import pytest

from results.writing import stale, write

CHARTS = "fruit-*.svg"
FILES = {"fruit.md": "# Fruit\n\napples\n", "fruit-apples.svg": "<svg/>\n"}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "other.md").write_text("# Other\n")
    write(FILES, tmp_path, CHARTS)
    return tmp_path


def test_what_is_written_is_not_stale(docs: Path) -> None:
    assert stale(FILES, docs, CHARTS) == []
    (docs / "fruit.md").write_text("# Vegetables\n")
    (docs / "fruit-apples.svg").unlink()
    assert stale(FILES, docs, CHARTS) == ["fruit-apples.svg", "fruit.md"]


def test_a_chart_that_is_rendered_no_more_is_removed_and_nothing_else(docs: Path) -> None:
    fewer = {"fruit.md": FILES["fruit.md"]}
    assert stale(fewer, docs, CHARTS) == ["fruit-apples.svg"]
    write(fewer, docs, CHARTS)
    assert sorted(path.name for path in docs.iterdir()) == ["fruit.md", "other.md"]


def test_other_ends_of_lines_are_no_other_page(docs: Path) -> None:
    assert b"\r" not in (docs / "fruit.md").read_bytes()
    (docs / "fruit.md").write_bytes((docs / "fruit.md").read_bytes().replace(b"\n", b"\r\n"))
    assert stale(FILES, docs, CHARTS) == []
