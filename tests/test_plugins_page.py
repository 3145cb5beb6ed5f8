"""Every example of docs/plugins.md does what its command says, by the real engine and the smallest preset."""

import re
import shlex
from pathlib import Path

import pytest

from claf_engine.runs import list_runs
from claf_tui import cli
from tests.plugins import registries_restored

PAGE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text()
FILES = {re.match(r"# (\S+\.py)\n", block)[1]: block for block in re.findall(r"```python\n(.*?)```", PAGE, re.S)}  # type: ignore[index]
SHORT = [
    word
    for phase in ("supervised", "contrastive", "adversarial", "linear_evaluation")
    for word in ("--set", f"{phase}.epochs=1")
]
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    claf-tui ")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Holds the files of the page and the runs of its commands."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLAF_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path


def test_the_page_shows_every_kind_and_a_command_of_every_file() -> None:
    assert len(FILES) == 5
    assert all(any(f"--plugin {name}" in command for command in COMMANDS) for name in FILES)


def test_every_command_of_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the page: what evaluates the latest run comes after what trained it."""
    for number, command in enumerate(COMMANDS):
        _, name, *arguments = shlex.split(command)
        training = ["--preset", "smoke", "--name", f"run-{number}", "--ui", "plain", *SHORT]
        more = {"train": training, "eval": ["--json"]}[name]
        with registries_restored():
            code = cli.run([name, *arguments, *more])
        assert code == 0, (command, capsys.readouterr().err)
    assert len(list_runs(folder / "runs")) == sum(command.startswith("claf-tui train") for command in COMMANDS)
