"""The way from an empty clone to a running program: make, constraints, licence."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
TARGETS = (
    "help",
    "setup",
    "demo",
    "test",
    "test-fast",
    "test-benchmarks",
    "soak",
    "check",
    "check-speed",
    "format",
    "clean",
)


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder that holds what `make setup` depends on, and nothing else."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def fake_python(folder: Path, answer: str) -> str:
    """An interpreter that fails every check and says that it is some version."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\ncase $1 in -V) echo Python {answer};; *) exit 1;; esac\n")
    path.chmod(0o755)
    return str(path)


def test_make_alone_lists_what_can_be_done(tmp_path: Path) -> None:
    listed = make(tmp_path).stdout
    assert all(f"make {target} " in listed for target in TARGETS if target != "help")


def test_a_missing_interpreter_is_one_clear_sentence(tmp_path: Path) -> None:
    done = make(tmp_path, "setup", "PYTHON=no-such-python")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no-such-python was not found; install Python 3.11 or newer")
    assert not (tmp_path / ".venv").exists()


def test_an_interpreter_that_is_too_old_is_named_with_its_version(tmp_path: Path) -> None:
    done = make(tmp_path, "setup", f"PYTHON={fake_python(tmp_path, '3.9.2')}")
    assert "is Python 3.9.2, but Python 3.11 or newer is needed" in done.stderr


def test_a_set_up_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".installed").touch()
    done = make(tmp_path, "setup", "PYTHON=no-such-python")
    assert (done.returncode, done.stdout) == (0, "setup: ready; . .venv/bin/activate puts claf-tui on the path\n")


def test_the_constraints_are_exact_and_fit_what_the_project_asks_for() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    pinned = {_plain(line.split("==")[0]): line.split("==")[1] for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in (*project["dependencies"], *extras["audit"], *extras["dev"]):
        requirement = Requirement(text)
        if requirement.name == project["name"]:  # an extra of our own
            continue
        assert requirement.specifier.contains(pinned[_plain(requirement.name)]), text


@pytest.mark.parametrize("name", ["torch", "textual", "typer", "pydantic", "safetensors"])
def test_the_tests_run_with_the_pinned_versions(name: str) -> None:
    assert f"{name}=={metadata.version(name).split('+')[0]}\n" in (ROOT / "constraints.txt").read_text()


def test_the_ci_script_can_be_run_and_runs_tests_and_checks() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-2:] == ["make test", "make check"]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("package", ["claf_engine", "claf_tui"])
def test_every_file_that_a_package_reads_is_installed_with_it(package: str) -> None:
    """An editable installation would not miss one."""
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][package]
    packaged = {path for pattern in globs for path in (ROOT / package).glob(pattern)}
    there = {path for path in (ROOT / package).rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert there == packaged
    assert len(there) > 1
