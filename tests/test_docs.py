"""The documents of the project lead where they say: links, headings, files, tests."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FOLDERS = ("claf_engine", "claf_tui", "tests", "docs", "benchmarks", "examples")
LINK = re.compile(r"\]\(([^()\s]+)\)")
QUOTED = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
OURS = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./*-]*")
TEST = re.compile(r"(?:\w+/)*test_\w+")
PAGE = re.compile(r"\bdocs/[\w-]+\.md")
STATION = re.compile(r"^\|[^|\n]*\| `([\w/]+\.py)` \| ([^|\n]*`) \|$", re.MULTILINE)
"""A row of a way through the code: what happens, the file, the names in it."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_and_anchor_of_a_page_resolves(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_ours_that_a_page_names_exists(page: Path) -> None:
    assert missing_paths(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    assert missing_tests(page.read_text(encoding="utf-8")) == []


def test_every_name_on_the_ways_through_the_code_is_defined_where_it_says() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert len(STATION.findall(text)) > 50
    assert undefined_names(text) == []


def test_every_page_that_the_code_names_exists() -> None:
    sources = [path for folder in FOLDERS for kind in ("*.py", "*.toml") for path in (ROOT / folder).rglob(kind)]
    named = {page for path in sources for page in PAGE.findall(path.read_text(encoding="utf-8"))}
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []


def test_a_link_to_no_file_and_an_anchor_to_no_heading_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A title\n\n## What `claf-tui` says\n", encoding="utf-8")
    page = tmp_path / "page.md"
    good = "[a](other.md) [b](other.md#what-claf-tui-says) [c](#here) [d](https://example.org/#x)\n"
    page.write_text(f"# Here\n\n{good}[e](gone.md) [f](other.md#nowhere) [g](#there)\n", encoding="utf-8")
    assert broken_links(page) == ["gone.md", "other.md#nowhere", "#there"]


def test_a_heading_inside_a_code_block_is_no_anchor(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Here\n\n```python\n# comment\n```\n\n[a](#comment)\n", encoding="utf-8")
    assert broken_links(page) == ["#comment"]


def test_a_file_and_a_test_that_are_not_there_are_found() -> None:
    text = "`tests/test_docs.py` `docs/` `claf_engine/run_away.py` `docs/*.md` `docs/*.nothing` `test_docs` `test_gone`"
    assert missing_paths(text) == ["claf_engine/run_away.py", "docs/*.nothing"]
    assert missing_tests(text) == ["test_gone"]


def test_a_name_that_its_file_does_not_define_is_found() -> None:
    row = "| a page is read | `tests/test_docs.py` | `anchors`, `ROOT`, `Nobody.gone` |\n"
    assert undefined_names(row) == ["tests/test_docs.py: Nobody.gone"]


def broken_links(page: Path) -> list[str]:
    """The relative links of a page that lead to no file, or to no heading of one."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [link for link in LINK.findall(text) if "://" not in link and not resolves(page, link)]


def resolves(page: Path, link: str) -> bool:
    """Whether a relative link of a page leads somewhere."""
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as Git hosts make them; no page here has two headings of one name."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def missing_paths(text: str) -> list[str]:
    """The quoted files and folders of the project that are not there; a pattern must fit something."""
    named = [quoted for quoted in QUOTED.findall(FENCE.sub("", text)) if OURS.fullmatch(quoted)]
    return [path for path in named if not (any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists())]


def missing_tests(text: str) -> list[str]:
    """The quoted names of test modules that are not there, such as `test_losses` or `attacks/test_spaces`."""
    known = ["/" + path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / "tests").rglob("test_*.py")]
    named = [quoted for quoted in QUOTED.findall(FENCE.sub("", text)) if TEST.fullmatch(quoted)]
    return [name for name in named if not any(path.endswith("/" + name) for path in known)]


def undefined_names(text: str) -> list[str]:
    """The names in the rows of ways through the code that their file does not define, each with its file."""
    return [
        f"{path}: {name}"
        for path, names in STATION.findall(text)
        for name in QUOTED.findall(names)
        if not all(defines((ROOT / path).read_text(encoding="utf-8"), part) for part in name.split("."))
    ]


def defines(source: str, name: str) -> bool:
    """Whether a module has a function, method or class of this name, or a value at its top."""
    return re.search(rf"^(?: *(?:def|class) {name}\b|{name} *[:=])", source, re.MULTILINE) is not None
