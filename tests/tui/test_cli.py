"""What holds for every command: help, exit codes, one sentence for every mistake."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from claf_engine.terms.errors import ClafError
from claf_engine.terms.installation import install_line
from claf_tui import cli
from claf_tui.__main__ import WINDOWS
from claf_tui.commands import runs as runs_command
from claf_tui.reports import output
from claf_tui.words import exit_codes
from tests.engine.runs.folders import old_run
from tests.tui.compared import compared_folder


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, in no terminal."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", **environment},
        stdin=subprocess.DEVNULL,
        check=False,
    )


def failing(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `claf-tui runs` fail."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("claf_engine.runs.list_runs", fail)


def test_help_names_the_commands_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("train", "eval", "runs", "watch", "checkpoint", "config"))
    assert all(code in shown for code in exit_codes.MEANINGS)


@pytest.mark.parametrize("arguments", [[], ["config"], ["checkpoint"]])
def test_without_a_command_help_is_shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 0
    shown = capsys.readouterr()
    assert "Usage: claf-tui" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "eval",
        "runs",
        "watch",
        "compare",
        "export",
        "report",
        "checkpoint show",
        "checkpoint browse",
        "checkpoint import",
        "config show",
        "config presets",
    ],
)
def test_every_command_has_help_under_the_short_flag(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*command.split(), "-h"]) == 0
    assert f"Usage: claf-tui {command}" in capsys.readouterr().out


def test_help_loads_neither_torch_nor_textual_nor_the_engine() -> None:
    code = (
        "import sys; from claf_tui import cli; cli.run(['train', '--help'])\n"
        "heavy = {'torch', 'textual', 'numpy', 'safetensors', 'claf_engine.config'}\n"
        "sys.exit(f'loaded: {heavy & set(sys.modules)}' if heavy & set(sys.modules) else 0)"
    )
    assert python("-c", code).stderr == ""


def processor_seconds(*arguments: str, runs: int) -> float:
    """What a Python process takes of a processor's time, at best: the same however busy the machine is."""
    seconds = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        python(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


@pytest.mark.slow
def test_help_comes_in_a_quarter_of_the_time_that_torch_takes_to_load() -> None:
    loading = processor_seconds("-c", "import torch", runs=1)
    assert processor_seconds("-m", "claf_tui", "--help", runs=5) < loading / 4


def test_listing_runs_loads_neither_torch_nor_numpy_nor_settings(tmp_path: Path) -> None:
    old_run(tmp_path, "1-demo", status="finished")
    code = (
        "import sys; from claf_tui import cli; cli.run(['runs'])\n"
        "heavy = {'torch', 'textual', 'numpy', 'claf_engine.config'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = python("-c", code, CLAF_RUNS_DIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "1-demo" in done.stdout


def test_the_pages_of_methods_load_neither_torch_nor_textual() -> None:
    code = (
        "import sys; from claf_tui import cli\n"
        "codes = [cli.run(['config', 'methods']), cli.run(['config', 'methods', 'alp', '--json'])]\n"
        "heavy = {'torch', 'textual', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'{codes}, loaded: {heavy}' if heavy or any(codes) else 0)"
    )
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_comparing_runs_and_reporting_on_them_loads_no_torch(tmp_path: Path) -> None:
    for method in ("claf", "at"):
        compared_folder(tmp_path / "runs", f"20261124-080000-{method}", method=method)
    out = tmp_path / "report.html"
    code = (
        "import sys; from claf_tui import cli\n"
        "codes = [cli.run(['compare', 'claf', 'at', '--json']),"
        f" cli.run(['report', 'claf', '--compare', 'at', '-o', {str(out)!r}])]\n"
        "heavy = {'torch', 'textual'} & set(sys.modules)\n"
        "sys.exit(f'{codes}, loaded: {heavy}' if heavy or any(codes) else 0)"
    )
    done = python("-c", code, CLAF_RUNS_DIR=str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"][1]["units_per_image"] > 0
    assert out.exists()


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("claf-tui ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["train", "--sede", "3"], "No such option"),
        (["eval"], "name a run or a checkpoint, or a model with --model and --data"),
        (["train", "--seed", "x"], "Invalid value for '--seed'"),
        (["train", "--seed", "-1"], "Invalid value for '--seed'"),
        (["train", "--ui", "web"], "Invalid value for '--ui'"),
    ],
)
def test_wrong_usage_is_one_sentence_on_stderr_and_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == exit_codes.USAGE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"error: {sentence}")
    assert shown.err.count("\n") == 1


def _error_classes(base: type[ClafError]) -> list[type[ClafError]]:
    return [base, *(found for child in base.__subclasses__() for found in _error_classes(child))]


@pytest.mark.parametrize("kind", _error_classes(ClafError))
def test_an_error_of_ours_ends_with_its_sentence_and_its_documented_code(
    kind: type[ClafError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(kind("the disk [/b] is \x1b[2J full"), monkeypatch)
    monkeypatch.setattr(cli, "LAST_WORD_SECONDS", 0.0)
    assert cli.run(["runs"]) == kind.exit_code
    assert capsys.readouterr().err == "error: the disk [/b] is \ufffd[2J full\n"
    assert str(kind.exit_code) in exit_codes.MEANINGS


def test_an_unexpected_error_is_one_sentence_with_its_class(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CLAF_DEBUG", raising=False)
    failing(ZeroDivisionError("division\nby zero"), monkeypatch)
    assert cli.run(["runs"]) == exit_codes.UNEXPECTED
    sentence = "error: unexpected ZeroDivisionError: division by zero (CLAF_DEBUG=1 shows the traceback)\n"
    assert capsys.readouterr().err == sentence


def test_an_unexpected_error_shows_its_traceback_when_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAF_DEBUG", "1")
    failing(ZeroDivisionError("x"), monkeypatch)
    with pytest.raises(ZeroDivisionError):
        cli.run(["runs"])


def test_ctrl_c_in_a_short_command_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(KeyboardInterrupt(), monkeypatch)
    assert cli.run(["runs"]) == 130


def test_main_leaves_with_the_exit_code_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "run", lambda arguments: 7 if arguments == ["x"] else 0)
    with pytest.raises(SystemExit) as left:
        cli.main(["x"])
    assert left.value.code == 7


def test_the_module_is_the_same_as_the_command() -> None:
    done = python("-m", "claf_tui", "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: No such command 'nonsense'")


def test_a_reader_that_leaves_early_causes_no_traceback() -> None:
    done = subprocess.run(
        f"{sys.executable} -m claf_tui config show | head -1", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.console().no_color


def test_commands_return_their_exit_code_to_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object) -> None:
        raise typer.Exit(5)

    monkeypatch.setattr("claf_engine.runs.list_runs", leave)
    assert cli.run(["runs"]) == 5
    assert runs_command.runs.__doc__


def test_a_library_that_is_missing_is_one_sentence_that_leads_to_the_doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CLAF_DEBUG", raising=False)
    failing(ModuleNotFoundError("No module named 'torch'", name="torch"), monkeypatch)
    assert cli.run(["runs"]) == exit_codes.DEVICE
    said = capsys.readouterr().err
    assert said.startswith("error: a library is missing or does not fit (No module named 'torch'); ")
    assert install_line() in said
    assert said.count("\n") == 1


def test_a_module_of_ours_that_is_missing_is_a_mistake_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CLAF_DEBUG", raising=False)
    failing(ModuleNotFoundError("No module named 'claf_engine.x'", name="claf_engine.x"), monkeypatch)
    assert cli.run(["runs"]) == exit_codes.UNEXPECTED
    assert capsys.readouterr().err.startswith("error: unexpected ModuleNotFoundError")


def refused(code: str) -> str:
    """What a process says before it leaves, after this was done to it."""
    done = python("-c", f"import sys\n{code}\nfrom claf_tui.__main__ import main\nmain()")
    assert (done.returncode, done.stdout) == (exit_codes.DEVICE, "")
    return done.stderr


def test_windows_is_refused_in_one_sentence_before_anything_that_it_lacks_is_imported() -> None:
    lacks = "sys.platform = 'win32'; sys.modules.update(fcntl=None, termios=None); import signal; del signal.SIGHUP"
    assert refused(lacks) == f"error: {WINDOWS}\n"


def test_a_program_without_its_libraries_says_how_to_get_them() -> None:
    said = refused("sys.modules['typer'] = None")
    assert said.startswith("error: typer is not installed beside claf-tui; ")
    assert said.endswith(f"{install_line()} installs all that it needs\n")
