"""Two watchers in processes of their own and the owner of a run ask it for things at once; so does another user."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from claf_engine import events as ev
from claf_engine.config.presets import resolve_config
from claf_engine.events.control import Control
from claf_engine.runs import RunDirectory, create_run
from claf_engine.runs.journal import Journal
from claf_engine.training.live_edits import Trained
from claf_engine.training.methods import phases_of
from claf_engine.training.state import Cursor
from claf_engine.training.steering import Standing, served
from tests.tui.consoles import HANG

CONFIG = resolve_config("smoke", None)
NOW = Standing(1, Trained(CONFIG, phases_of(CONFIG), Cursor()))
NUM_EACH = 25
STRANGER = 65534
WATCHER = """
import sys
from pathlib import Path
from claf_engine.runs.asking import answer_to, ask
run, first = Path(sys.argv[1]), int(sys.argv[2])
asked = [ask(run, "set", "probe.every_epochs", float(first + number)) for number in range(int(sys.argv[3]))]
for one in asked:
    assert answer_to(one, 60).is_accepted
    print(one.request.nonce)
"""
INTRUDER = """
import os, sys
from dataclasses import replace
from pathlib import Path
from claf_engine.runs import asking
from claf_engine.runs.requests import CONTROL, Request
from claf_engine.terms.errors import RequestRefused
run, uid, mode = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.chmod(run / CONTROL, 0o777 if mode == "open" else 0o700)
os.setgroups([])
os.setgid(uid)
os.setuid(uid)
try:
    asking.ask(run, "stop")
except RequestRefused as refusal:
    print(refusal)
request = Request("stop", "f" * 32, sys.argv[4], "root", "here", 1, 2e9)
try:
    (run / CONTROL / request.file_name).write_bytes(request.to_bytes())
except PermissionError:
    print("may not write")
"""


class Served:
    """A run that takes what is asked, from its folder and from its owner's `Control`, as a training process does."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.control = Control()
        self.answers: list[ev.RequestServed] = []
        self.edits: list[float] = []
        self._journal = Journal(directory.path)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Served":
        self._journal.open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.control.stop()
        self._thread.join()
        self._journal.close()
        self.directory.close()

    def until(self, num_answers: int) -> None:
        """Wait until so many requests of other processes were answered."""
        deadline = time.monotonic() + HANG
        while len(self.answers) < num_answers:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _serve(self) -> None:
        while not self.control.stop_requested:
            for received in self.directory.inbox.take(self.directory.path):
                answer = served(received, self.control, NOW)
                self._journal.append(answer)
                self.answers.append(answer)
            self.edits += [edit.value for edit in self.control.take_requests().edits]
            time.sleep(0.005)


@contextmanager
def served_run() -> Iterator[Served]:
    """A run in a folder that every user may look into, as that of a test may not be."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with Served(create_run(Path(folder), "together", CONFIG, [])) as run:
            (run.directory.path / "control").mkdir(mode=0o700)
            yield run


def python(code: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_what_two_watchers_and_the_owner_ask_at_once_is_done_and_answered_once() -> None:
    with served_run() as run:
        watchers = [python(WATCHER, run.directory.path, first, NUM_EACH) for first in (1000, 2000)]
        for number in range(NUM_EACH):
            run.control.edit("probe.every_epochs", 3000.0 + number)
            time.sleep(0.01)
        told = [watcher.communicate(timeout=HANG)[0].split() for watcher in watchers]
        run.until(2 * NUM_EACH)
    assert [watcher.returncode for watcher in watchers] == [0, 0]
    assert Counter(answer.nonce for answer in run.answers) == Counter(told[0] + told[1])
    assert len(set(told[0] + told[1])) == 2 * NUM_EACH
    assert Counter(run.edits) == Counter(first + number for first in (1000, 2000, 3000) for number in range(NUM_EACH))
    for watcher in watchers:
        assert sum(f"process {watcher.pid}" in answer.who for answer in run.answers) == NUM_EACH


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("mode", "num_refused"), [("closed", 0), ("open", 1)])
def test_another_user_is_refused_even_where_the_folder_of_requests_was_opened_to_all(
    mode: str, num_refused: int
) -> None:
    with served_run() as run:
        token = run.directory.inbox._token
        intruder = python(INTRUDER, run.directory.path, STRANGER, mode, token)
        said = intruder.communicate(timeout=HANG)[0]
        assert intruder.returncode == 0
        assert "who alone may steer it; you are" in said
        assert ("may not write" in said) is (mode == "closed")
        run.until(num_refused)
        assert run.control.status == "running"
    assert [answer.is_accepted for answer in run.answers] == [False] * num_refused
    assert all("only the owner of the run's folder may ask" in answer.answer for answer in run.answers)
