"""The public face: what it offers, what importing it costs, and that its page and its examples run as printed."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import claf_engine

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAID = {
    "attack_a_torchvision_model": r"\d of 8 images broken at 4/255\n.*at 0/255: 100\.0% robust",
    "audit_your_network": r"PGD-10 at 8/255 leaves 100\.0%\nthe audit fails",
    "train_with_your_own_loss": r"finished",
    "use_the_encoder": r"features \(4, 16\)",
}
"""What each example must print, besides running."""


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CLAF_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    environment.pop("CLAF_RUNS_DIR", None)
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=110, check=False
    )


@pytest.mark.parametrize("name", claf_engine.__all__)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    value = getattr(claf_engine, name)
    assert name in dir(claf_engine)
    assert name == "METHODS" or value.__doc__


def test_no_public_name_is_that_of_a_room_which_would_hide_it() -> None:
    rooms = {path.parent.name for path in (ROOT / "claf_engine").glob("*/__init__.py")}
    assert rooms & set(claf_engine.__all__) == {"events"}


def test_a_name_that_is_not_offered_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'atack'"):
        claf_engine.atack  # noqa: B018


def test_the_version_is_that_of_the_package() -> None:
    assert claf_engine.__version__ == metadata.version("claf-tui")


def imported_by(statement: str, folder: Path) -> dict[str, int]:
    """Modules that a statement imports, with the microseconds that each took with all below it."""
    ended = python("-X", "importtime", "-c", statement, folder=folder)
    assert ended.returncode == 0, ended.stderr
    lines = re.findall(r"import time:\s+\d+ \|\s+(\d+) \|\s+([\w.]+)", ended.stderr)
    return {name: int(microseconds) for microseconds, name in lines}


def test_importing_it_loads_no_torch_and_takes_less_than_50_ms(tmp_path: Path) -> None:
    imported = imported_by("import claf_engine", tmp_path)
    assert not {"torch", "numpy", "pydantic", "safetensors"} & imported.keys()
    assert imported["claf_engine"] < 50_000


def test_the_list_of_imports_sees_torch_where_it_is_loaded(tmp_path: Path) -> None:
    assert "torch" in imported_by("import claf_engine; claf_engine.attack", tmp_path)


@pytest.mark.slow
def test_every_block_of_its_page_runs_in_order(tmp_path: Path) -> None:
    blocks = re.findall(r"(?:^    .*\n|^\n)+", (ROOT / "docs" / "library.md").read_text(), re.M)
    code = "".join(re.sub(r"^    ", "", block, flags=re.M) for block in blocks if block.strip())
    script = tmp_path / "page.py"
    script.write_text(code)
    ended = python(str(script), folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "did you mean 8/255?" in ended.stdout
    assert "finished" in ended.stdout


def test_every_example_says_what_it_must() -> None:
    assert [path.stem for path in EXAMPLES] == sorted(SAID)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_is_short(example: Path, tmp_path: Path) -> None:
    ended = python(str(example), folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.search(SAID[example.stem], ended.stdout), ended.stdout
    if broken := re.search(r"(\d) of 8 images broken[\s\S]*at 4/255: ([\d.]+)% robust", ended.stdout):
        assert int(broken[1]) / 8 == pytest.approx(1 - float(broken[2]) / 100)
    statements = [line for line in example.read_text().splitlines() if line and not line.startswith(('"""', "#"))]
    assert len(statements) <= 30
