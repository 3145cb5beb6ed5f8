"""Real processes whose standard streams are closed, full, broken or of another encoding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from claf_tui.words import exit_codes
from tests.engine.runs.folders import old_run

PREPARE = "from claf_tui.reports.streams import prepare_streams; prepare_streams(); "
NEXT = "import os; number = os.open('/dev/null', 0); os._exit(number)"
SHOW = ("-m", "claf_tui", "config", "show")


def shell(redirection: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with its streams as a shell redirects them."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        encoding="latin-1",
    )


@pytest.mark.parametrize("number", [0, 1, 2])
def test_no_file_gets_the_number_of_a_standard_stream(number: int) -> None:
    redirection = f"{number}{'<' if number == 0 else '>'}&-"
    assert shell(redirection, "-c", NEXT).returncode == number, "without preparation it does"
    assert shell(redirection, "-c", PREPARE + NEXT).returncode > 2


def test_with_all_streams_closed_reading_ends_at_once_and_errors_are_dropped() -> None:
    code = "import sys; sys.exit(7 if sys.stdin.read() == '' and sys.stderr.write('x') == 1 else 1)"
    assert shell("<&- >&- 2>&-", "-c", PREPARE + code).returncode == 7
    assert shell("<&- >&- 2>&-", "-c", code).returncode == 1, "without preparation there are none"


def test_a_child_finds_three_streams() -> None:
    code = "import subprocess, sys; sys.exit(subprocess.call(['sh', '-c', 'echo x >&2']))"
    assert shell("2>&-", "-c", PREPARE + code).returncode == 0


def test_open_streams_are_left_as_they_are() -> None:
    done = shell("", *SHOW)
    assert (done.returncode, done.stderr) == (0, "")
    assert "[attack]" in done.stdout


@pytest.mark.parametrize(
    ("redirection", "sentence"),
    [(">/dev/full", "cannot write to stdout: No space left on device"), (">&-", "stdout is closed")],
)
def test_data_that_cannot_be_written_is_a_sentence_and_an_exit_code(redirection: str, sentence: str) -> None:
    done = shell(redirection, *SHOW)
    assert done.returncode == exit_codes.OUTPUT_LOST
    assert done.stderr.startswith(f"error: {sentence}")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_is_gone_is_a_sentence_and_an_exit_code() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, *SHOW], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode == exit_codes.OUTPUT_LOST
    assert done.stderr == "error: the reader of stdout has left before the end; let it read on, or write to a file\n"


def test_an_error_that_nobody_can_read_keeps_its_exit_code() -> None:
    assert shell("2>/dev/full", "-m", "claf_tui", "config", "show", "--set", "sede=1").returncode == exit_codes.USAGE
    assert shell("2>&-", "-m", "claf_tui", "config", "show", "--set", "sede=1").returncode == exit_codes.USAGE


ENCODINGS = [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
ENCODINGS += [{"PYTHONIOENCODING": "latin-1"}]


@pytest.mark.parametrize("environment", ENCODINGS)
def test_what_an_encoding_lacks_is_written_as_an_escape(tmp_path: Path, environment: dict[str, str]) -> None:
    old_run(tmp_path, "1-demo", status="finished", phase_title="2 \u2605 adversarial", data="folder:im\udce9")
    done = shell("", "-m", "claf_tui", "runs", CLAF_RUNS_DIR=str(tmp_path), **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 \\u2605 adversarial" in done.stdout
    raw = shell("", "-c", "print('\\u2605')", **{"PYTHONIOENCODING": "ascii", **environment})
    assert "UnicodeEncodeError" in raw.stderr, "without preparation it is an error"


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "<&- >&- 2>&-"])
def test_a_run_trains_without_streams_and_nothing_lands_in_its_files(tmp_path: Path, redirection: str) -> None:
    phases = ("contrastive", "adversarial", "linear_evaluation")
    shorter = [word for phase in phases for word in ("--set", f"{phase}.epochs=1")]
    command = ("-m", "claf_tui", "train", "--preset", "smoke", "--ui", "plain", "--set", "data.num_train=64")
    done = shell(redirection, *command, *shorter, CLAF_RUNS_DIR=str(tmp_path), PYTHONWARNINGS="always")
    assert done.returncode == 0, done.stderr
    (run,) = tmp_path.iterdir()
    for name in ("metrics.jsonl", "events.jsonl"):
        assert all(isinstance(json.loads(line), dict) for line in (run / name).read_text().splitlines())
    assert json.loads((run / "status.json").read_text())["status"] == "finished"
