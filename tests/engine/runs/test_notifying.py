"""Telling a person's own command or webhook; nothing of it may hold the run up."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.config.alerts import AlertSettings
from claf_engine.runs import notifying
from claf_engine.runs.notifying import MAX_WAITING, Notifier

ALERT = ev.Alert(7, "disk", "the disk is full", "warning")
OVER = ev.AlertEnded(9, "disk", "a full disk, told at step 7, has ended")
STEP = ev.StepLogged(7, 0, 1, "encoder", "supcon", 2.5, 0.1, None, 3.0)
END = ev.RunFinished("diverged", 9, 1.0, reason="training diverged: the loss of step 9 is nan")


def settings(notify: str | tuple[str, ...], **changes: Any) -> AlertSettings:
    return AlertSettings.model_validate({"notify": notify, "notify_pause": 0, **changes})


def told(rules: AlertSettings, *events: ev.Event) -> list[str]:
    """Tell of events to the end, and give what failed."""
    notifier = Notifier(rules, "a run")
    notifier.start()
    for event in events:
        notifier.see(event)
    notifier.close()
    return notifier.take_failures()


@pytest.fixture
def keeper(tmp_path: Path) -> tuple[tuple[str, ...], Path]:
    """A command that keeps what it reads, and the file where."""
    file = tmp_path / "told.jsonl"
    return ("/bin/sh", "-c", 'cat >> "$0"; echo >> "$0"', str(file)), file


def messages(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_command_reads_run_alert_step_and_figures_as_json(keeper: tuple[tuple[str, ...], Path]) -> None:
    command, file = keeper
    assert told(settings(command), STEP, ALERT, OVER, END) == []
    first, over, end = messages(file)
    assert (first["run"], first["alert"], first["step"], first["level"]) == ("a run", "disk", 7, "warning")
    assert first["figures"] == {"loss": 2.5, "epoch": 1, "learning_rate": 0.1}
    assert (over["ended"], first["ended"]) == (True, False)
    assert (end["alert"], end["text"]) == (
        "diverged",
        "the run is diverged: training diverged: the loss of step 9 is nan",
    )
    assert first.keys() == {"run", "alert", "level", "text", "step", "time", "ended", "figures", "left_out"}


def test_words_of_a_command_are_no_shell_s(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    told(settings(("/bin/true", f"; touch {trap}", f"$(touch {trap})")), ALERT)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("command", "failure"),
    [
        (("/nowhere/tell", "--token", "secret"), "tell (and 2 more words) cannot be run: No such file or directory"),
        (("/bin/sh", "-c", "echo secret >&2; exit 3"), "sh (and 2 more words) ended with 3"),
        (("/bin/sh", "-c", "exec sleep 60"), "did not end within 0.2 s and was ended"),
    ],
)
def test_a_command_that_fails_is_a_sentence_without_secrets(command: tuple[str, ...], failure: str) -> None:
    (said,) = told(settings(command, notify_timeout=0.2 if "sleep" in command[-1] else 20), ALERT)
    assert failure in said
    assert "secret" not in said


def test_a_command_that_hangs_does_not_hold_the_run_up() -> None:
    notifier = Notifier(settings((sys.executable, "-c", "import time; time.sleep(60)"), notify_timeout=0.3), "a run")
    notifier.start()
    started = time.monotonic()
    for _ in range(1000):
        notifier.see(STEP)
    notifier.see(ALERT)
    assert time.monotonic() - started < 0.25
    notifier.close()


def test_a_rule_that_is_off_tells_nobody(keeper: tuple[tuple[str, ...], Path]) -> None:
    command, file = keeper
    told(settings(command, disk={"on": False}), ALERT)
    assert not file.exists()


def test_a_pause_is_told_where_that_is_asked_for(keeper: tuple[tuple[str, ...], Path]) -> None:
    command, file = keeper
    pause, on = ev.ControlChanged(3, "paused"), ev.ControlChanged(3, "resumed", 2.0)
    told(settings(command), pause)
    assert not file.exists()
    told(settings(command, paused={"on": True}), pause, on)
    assert [(one["alert"], one["ended"]) for one in messages(file)] == [("paused", False), ("paused", True)]


def queued(notifier: Notifier) -> list[tuple[str, bool]]:
    return [(message.alert, message.has_ended) for message in notifier._queue]


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def notifier(clock: list[float]) -> Notifier:
    """One that nobody has started."""
    rules = settings(("true",), disk={"cooldown": 100, "repeat": 50}, stall={"seconds": 60})
    return Notifier(rules, "a run", lambda: clock[0])


def test_what_begins_again_and_again_is_told_once_in_its_cooldown(notifier: Notifier, clock: list[float]) -> None:
    for _ in range(5):
        notifier.see(ALERT)
        notifier.see(OVER)
    assert queued(notifier) == [("disk", False), ("disk", True)]
    clock[0] += 101
    notifier.see(ALERT)
    assert queued(notifier)[2:] == [("disk", False)]


def test_what_stands_is_repeated_where_its_rule_says_so(notifier: Notifier, clock: list[float]) -> None:
    notifier.see(ALERT)
    notifier._repeat()
    assert len(queued(notifier)) == 1
    clock[0] += 51
    notifier._repeat()
    notifier._repeat()
    assert len(queued(notifier)) == 2
    notifier.see(OVER)
    clock[0] += 51
    notifier._repeat()
    assert len(queued(notifier)) == 3


def test_a_stall_is_noticed_though_the_run_says_nothing(notifier: Notifier, clock: list[float]) -> None:
    clock[0] += 500
    notifier._look_for_stall()
    assert queued(notifier) == [], "a run that is loading its images takes no steps yet"
    notifier.see(STEP)
    clock[0] += 61
    notifier._look_for_stall()
    notifier._look_for_stall()
    notifier.see(STEP)
    notifier._look_for_stall()
    assert queued(notifier) == [("stall", False), ("stall", True)]


def test_a_paused_run_is_no_stall(notifier: Notifier, clock: list[float]) -> None:
    notifier.see(STEP)
    notifier.see(ev.ControlChanged(7, "paused"))
    clock[0] += 1000
    notifier._look_for_stall()
    assert queued(notifier) == []


def test_of_a_flood_the_oldest_are_left_out_and_counted(clock: list[float]) -> None:
    notifier = Notifier(settings(("true",)), "a run", lambda: clock[0])
    for number in range(MAX_WAITING + 5):
        notifier.see(ev.Alert(number, f"alert-{number}", "text"))
    assert len(notifier._queue) == MAX_WAITING
    assert notifier._num_left_out == 5


@pytest.fixture
def webhook() -> Iterator[Callable[[int], tuple[str, list[dict[str, Any]]]]]:
    """Serves an address that answers with a code; gives it and what it was sent."""
    servers: list[HTTPServer] = []

    def serve(code: int) -> tuple[str, list[dict[str, Any]]]:
        received: list[dict[str, Any]] = []

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(code)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Hook)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/T000/secret", received

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("code", "failure"), [(200, ""), (307, "answered with 307"), (500, "answered with 500")])
def test_a_webhook_is_sent_the_same_and_nowhere_else(
    webhook: Callable[[int], tuple[str, list[dict[str, Any]]]], code: int, failure: str
) -> None:
    address, received = webhook(code)
    said = told(settings(address), ALERT)
    assert [one["alert"] for one in received] == ["disk"]
    assert (failure in said[0] and "secret" not in said[0]) if failure else not said


def test_a_webhook_that_is_not_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "LEAVE_SECONDS", 20.0)
    (said,) = told(settings("http://127.0.0.1:9/T000/secret"), ALERT)
    assert "http://127.0.0.1/… cannot be reached" in said
    assert "secret" not in said
