"""The public face: what it offers, what importing it costs, and that its page and its examples run as printed."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
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


def python(*arguments: str, folder: Path, timeout: float = 110) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CLAF_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    environment.pop("CLAF_RUNS_DIR", None)
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


FORKING = """
import os, sys, torch, torchvision
import runpy
import torch._dynamo  # the first optimiser would load it
for example, name in zip(sys.argv[1::2], sys.argv[2::2]):
    child = os.fork()
    if child == 0:
        for stream, kind in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(f"{name}.{kind}", os.O_WRONLY | os.O_CREAT), stream)
        os.mkdir(name)
        os.chdir(name)
        runpy.run_path(example, run_name="__main__")
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs each example in a process of its own that has torch loaded, and nothing of ours; says how they ended."""


@dataclass(frozen=True)
class Ended:
    """How an example ended, and what it printed."""

    code: int
    output: str
    errors: str


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """All examples by name, each run once."""
    folder, names = tmp_path_factory.mktemp("examples"), [path.stem for path in EXAMPLES]
    asked = [word for path in EXAMPLES for word in (str(path), path.stem)]
    codes = python("-c", FORKING, *asked, folder=folder, timeout=280).stdout.split()
    told = [[(folder / f"{name}.{kind}").read_text() for kind in ("stdout", "stderr")] for name in names]
    return {name: Ended(int(code), *said) for name, code, said in zip(names, codes, told, strict=True)}


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
@pytest.mark.timeout(300)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_is_short(example: Path, ended: dict[str, Ended]) -> None:
    found = ended[example.stem]
    assert found.code == 0, found.errors
    assert re.search(SAID[example.stem], found.output), found.output
    if broken := re.search(r"(\d) of 8 images broken[\s\S]*at 4/255: ([\d.]+)% robust", found.output):
        assert int(broken[1]) / 8 == pytest.approx(1 - float(broken[2]) / 100)
    statements = [line for line in example.read_text().splitlines() if line and not line.startswith(('"""', "#"))]
    assert len(statements) <= 30
