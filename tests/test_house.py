"""The house is as `docs/architecture.md` says: so many rooms, nothing loose beside them, tests beside their source."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOOSE = {"claf_engine": {"__init__.py"}, "claf_tui": {"__init__.py", "__main__.py", "cli.py"}}
ROOMS = {"claf_engine": 14, "claf_tui": 9}
MIRRORS = {"claf_engine": "tests/engine", "claf_tui": "tests/tui"}


def modules(package: Path) -> set[str]:
    return {path.name for path in package.glob("*.py")}


def rooms(package: Path) -> set[str]:
    return {path.name for path in package.iterdir() if (path / "__init__.py").is_file()}


@pytest.mark.parametrize("package", ROOMS)
def test_a_house_has_no_more_rooms_than_planned(package: str) -> None:
    assert 0 < len(rooms(ROOT / package)) <= ROOMS[package]


@pytest.mark.parametrize("package", LOOSE)
def test_no_module_lies_loose_beside_the_rooms(package: str) -> None:
    assert modules(ROOT / package) == LOOSE[package]


def strays(package: Path, tests: Path) -> list[str]:
    """Test files that begin with the name of no module of the folder that they mirror."""
    found = []
    for path in tests.rglob("test_*.py"):
        source = package / path.parent.relative_to(tests)
        stem = path.stem.removeprefix("test_")
        names = (
            {source.name, *(each.stem for each in source.glob("*.py")), *rooms(source)} if source.is_dir() else set()
        )
        if not any(stem == name or stem.startswith(f"{name}_") for name in names):
            found.append(str(path.relative_to(ROOT)))
    return found


SPANNING = {
    "tests/engine/attacks/test_equations.py",
    "tests/engine/audits/checks/test_refitted.py",
    "tests/engine/audits/test_known_answers.py",
    "tests/engine/audits/test_logit_pairing.py",
    "tests/engine/training/phases/test_ablations.py",
    "tests/engine/training/phases/test_overfitting.py",
    "tests/engine/training/phases/test_warm_start.py",
}
"""What several modules of a folder do together."""


@pytest.mark.parametrize("package", MIRRORS)
def test_every_test_lies_where_its_source_does(package: str) -> None:
    assert set(strays(ROOT / package, ROOT / MIRRORS[package])) <= SPANNING


def test_a_test_without_a_source_is_found(tmp_path: Path) -> None:
    for folder, name in (("source", "attack.py"), ("tests", "test_attack_slowly.py"), ("tests", "test_dream.py")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.test_house.ROOT", tmp_path)
        assert strays(tmp_path / "source", tmp_path / "tests") == ["tests/test_dream.py"]
