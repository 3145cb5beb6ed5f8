from importlib import metadata

import pytest

from claf_engine.selftest import libraries as module
from claf_engine.selftest.libraries import PURPOSES, TOOLS, libraries, library_rows
from claf_engine.terms.installation import install_line

HERE = {"torch": "2.14.1+cpu", "numpy": "3.0.0", "psutil": "7.0"}
LINES = ["torch<3,>=2.11", "numpy<3,>=2.0", "psutil", 'nvidia-ml-py>=13; extra == "gpu"', 'pytest>=9; extra == "dev"']


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name not in HERE:
            raise metadata.PackageNotFoundError(name)
        return HERE[name]

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", lambda _: LINES)


def test_every_library_is_held_against_its_bounds() -> None:
    found = {each.name: each for each in libraries(LINES)}
    assert [name for name, each in found.items() if each.is_fit] == ["torch", "psutil"]
    assert (found["numpy"].version, found["nvidia-ml-py"].version) == ("3.0.0", None)
    assert (found["torch"].extra, found["nvidia-ml-py"].extra) == ("", "gpu")


def test_the_tools_of_developers_are_missed_by_nobody_else() -> None:
    assert "pytest" not in {each.name for each in libraries(LINES)}


def test_a_version_outside_of_the_bounds_is_worth_a_warning_with_the_way_back() -> None:
    row = next(row for row in library_rows() if row.name == "numpy")
    assert (row.verdict, row.figure, row.advice) == ("warns", "3.0.0", install_line())


def test_a_library_that_is_missing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: ["no-such-library>=1"])
    row = next(row for row in library_rows() if row.name == "no-such-library")
    assert (row.verdict, row.figure, row.advice) == ("fails", "not installed", install_line())


def test_an_extra_that_is_missing_is_no_fault_and_told_with_the_line_that_brings_it() -> None:
    row = next(row for row in library_rows() if row.name == "extra-gpu")
    assert (row.verdict, row.figure, row.advice) == ("passes", "lacks nvidia-ml-py", install_line("gpu"))


def test_without_the_project_installed_that_is_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", refuse)
    assert [(row.name, row.verdict) for row in module.library_rows()] == [("libraries", "warns")]


def test_every_extra_has_a_purpose() -> None:
    extras = metadata.metadata("claf-tui").get_all("Provides-Extra") or []
    assert {*extras} - {TOOLS} <= PURPOSES.keys()
