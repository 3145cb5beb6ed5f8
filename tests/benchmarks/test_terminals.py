import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks.terminals import Terminal, environment_in

ECHO = """
import shutil, sys, time
print("size", shutil.get_terminal_size(), flush=True)
for line in sys.stdin:
    sys.stdout.write("ans"); sys.stdout.flush(); time.sleep(0.2); print("wer", flush=True)
"""


def terminal(program: str, folder: Path) -> Terminal:
    return Terminal([sys.executable, "-c", program], {**environment_in(folder), "COLUMNS": "", "LINES": ""})


def test_the_process_has_a_terminal_of_140_by_45_cells(tmp_path: Path) -> None:
    with terminal(ECHO, tmp_path) as shown:
        assert shown.arrival_of(b"size os.terminal_size(columns=140, lines=45)", 10) > shown.began


def test_a_text_arrives_with_its_last_piece(tmp_path: Path) -> None:
    with terminal(ECHO, tmp_path) as shown:
        shown.arrival_of(b"size", 10)
        pressed = shown.send(b"x\n")
        assert shown.arrival_of(b"answer", 10) - pressed >= 0.2
        assert shown.arrival_of(b"ans", 0) < shown.arrival_of(b"answer", 0)


def test_waiting_ends_when_the_process_has_left(tmp_path: Path) -> None:
    began = time.perf_counter()
    with terminal("print('bye')", tmp_path) as shown, pytest.raises(TimeoutError, match="bye"):
        shown.arrival_of(b"hello", 60)
    assert time.perf_counter() - began < 30


def test_waiting_ends_after_its_seconds(tmp_path: Path) -> None:
    with terminal(ECHO, tmp_path) as shown, pytest.raises(TimeoutError):
        shown.arrival_of(b"hello", 0.1)


def test_a_process_that_still_runs_is_killed(tmp_path: Path) -> None:
    with terminal(ECHO, tmp_path) as shown:
        shown.arrival_of(b"size", 10)
    assert shown.process.returncode == -9


def test_runs_and_images_are_kept_in_the_folder(tmp_path: Path) -> None:
    environment = environment_in(tmp_path)
    assert environment["CLAF_RUNS_DIR"].startswith(str(tmp_path))
    assert environment["CLAF_CACHE_DIR"].startswith(str(tmp_path))
    assert environment["PATH"] == os.environ["PATH"]
