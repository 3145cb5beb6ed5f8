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
    "test-install",
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


@pytest.mark.parametrize("target", ["demo", "setup"])
def test_the_demo_needs_no_tools_of_the_tests(tmp_path: Path, target: str) -> None:
    planned = make(tmp_path, "--dry-run", target).stdout
    assert "-e '.[audit]'" in planned
    assert ".[dev]" not in planned


@pytest.mark.parametrize("target", ["test", "test-fast", "test-benchmarks", "soak", "check", "check-speed", "format"])
def test_after_a_demo_the_tools_are_added(tmp_path: Path, target: str) -> None:
    make(tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".installed").touch()
    planned = make(tmp_path, "--dry-run", target).stdout
    assert ".[audit]" not in planned
    assert "-e '.[dev]'" in planned


def test_torch_may_come_from_an_index_of_its_own(tmp_path: Path) -> None:
    planned = make(tmp_path, "--dry-run", "setup", "TORCH_INDEX=https://example.org/cpu").stdout
    assert "--index-url 'https://example.org/cpu' torch torchvision" in planned
    assert "--index-url" not in make(tmp_path, "--dry-run", "setup").stdout


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


def test_what_the_image_is_made_of_is_there_and_is_sent_to_its_builder() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert len(names) > 4
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    assert [name for name in names if not (ROOT / name).exists() or f"!{name}" not in sent] == []


def test_the_installation_is_tried_by_a_script_that_can_be_run() -> None:
    script = ROOT / ".ci" / "test-install"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


PIP_ADVICE = re.compile(
    r"pip install (?:-\S+ )*['\"]?claf-tui(?!\[?\w*\]? @ )|(?:pipx|uvx|uv tool) (?:\w+ )*claf-tui\b"
)
"""Advice to have claf-tui from an index, where the name may be somebody else's."""


def test_no_advice_asks_an_index_for_our_name() -> None:
    folders = ("claf_engine", "claf_tui", "docs", "examples")
    texts = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".md", ".toml"}
    ]
    pages = [*texts, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile", ROOT / "Dockerfile"]
    assert [page.name for page in pages if PIP_ADVICE.search(page.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("line", ["pip install claf-tui", "pip install -U 'claf-tui[gpu]'", "pipx install claf-tui"])
def test_advice_that_asks_an_index_for_our_name_is_found(line: str) -> None:
    assert PIP_ADVICE.search(line)
    assert not PIP_ADVICE.search("pip install 'claf-tui[gpu] @ git+https://example.org/claf-tui'")
