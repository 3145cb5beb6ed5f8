import json
import os
import threading
import time
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.runs import RunDirectory
from claf_engine.runs.asking import Asked, answer_to, ask, is_served, why_not_asked, withdraw
from claf_engine.runs.journal import Journal
from claf_engine.runs.requests import CONTROL
from claf_engine.terms.errors import NotAnswered, RequestRefused, RunError
from tests.engine.runs.folders import old_run


def served(asked: Asked, answer: str = "yes") -> ev.RequestServed:
    request = asked.request
    return ev.RequestServed(3, request.text, request.nonce, request.who, request.at, is_accepted=True, answer=answer)


def in_journal(run: RunDirectory, *events: ev.Event) -> None:
    journal = Journal(run.path)
    journal.open()
    for event in events:
        journal.append(event)
    journal.close()


def test_a_request_lies_in_a_folder_that_only_its_owner_can_look_into(run: RunDirectory) -> None:
    asked = ask(run.path, "pause")
    folder = run.path / CONTROL
    assert os.listdir(folder) == [asked.request.file_name]
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / asked.request.file_name)] == [0o700, 0o600]


def test_an_answer_is_heard(run: RunDirectory) -> None:
    in_journal(run, ev.Notice("info", "earlier"))
    asked = ask(run.path, "pause")
    in_journal(run, served(asked))
    assert answer_to(asked, 0) == served(asked)


def test_an_answer_that_comes_later_is_waited_for(run: RunDirectory) -> None:
    asked = ask(run.path, "probe")

    def answer() -> None:
        time.sleep(0.1)
        run.inbox.take(run.path)
        in_journal(run, served(asked))

    thread = threading.Thread(target=answer)
    thread.start()
    assert answer_to(asked, 10).answer == "yes"
    thread.join()


def test_two_who_ask_at_once_each_hear_their_own_answer(run: RunDirectory) -> None:
    first, second = ask(run.path, "pause"), ask(run.path, "pause")
    in_journal(run, served(second, "yours"), served(first, "mine"))
    assert [answer_to(first, 0).answer, answer_to(second, 0).answer] == ["mine", "yours"]


def test_a_request_that_nobody_takes_is_withdrawn(run: RunDirectory) -> None:
    asked = ask(run.path, "stop")
    with pytest.raises(NotAnswered, match="did not answer 'stop' within 0 s, .*no sign of life yet; it was withdrawn"):
        answer_to(asked, 0)
    assert run.inbox.take(run.path) == []


def test_a_request_that_was_taken_and_not_answered_is_said_to_be_open(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_engine.runs.asking.ANSWER_SECONDS", 0.0)
    run.write_status({"status": "running"})
    asked = ask(run.path, "stop")
    run.inbox.take(run.path)
    with pytest.raises(NotAnswered, match="sign of life is 0 s old; it was taken, and what came of it is not known"):
        answer_to(asked, 0)


def test_a_run_that_ends_before_it_answers_is_not_waited_for(run: RunDirectory) -> None:
    asked = ask(run.path, "pause")
    run.close()
    started = time.monotonic()
    with pytest.raises(NotAnswered, match="ended before it answered 'pause'; it was withdrawn"):
        answer_to(asked, 60)
    assert time.monotonic() - started < 5


def test_only_who_withdraws_first_has_it(run: RunDirectory) -> None:
    asked = ask(run.path, "pause")
    assert [withdraw(asked), withdraw(asked)] == [True, False]


def test_a_run_without_a_process_is_not_asked(tmp_path: Path) -> None:
    folder = old_run(tmp_path, "demo", status="running", heartbeat=time.time())
    with pytest.raises(NotAnswered, match=r"no process trains in demo; `claf-tui train --resume demo` goes on"):
        ask(folder, "pause")
    assert not (folder / CONTROL).exists()


def test_a_process_of_an_earlier_version_is_not_asked(run: RunDirectory) -> None:
    (run.path / "holder.json").write_text(json.dumps({"pid": 12, "host": "node1", "since": 1.0}))
    with pytest.raises(NotAnswered, match="process 12 on node1 trains in .* with an earlier version"):
        ask(run.path, "pause")


@pytest.mark.parametrize(("age", "expected"), [(0.0, True), (60.0, False)])
def test_on_another_machine_a_young_heartbeat_counts_as_well(tmp_path: Path, age: float, expected: bool) -> None:
    """Not every file system shows the locks of other machines."""
    folder = old_run(tmp_path, "demo", status="paused", heartbeat=time.time() - age)
    (folder / "holder.json").write_text(json.dumps({"pid": 12, "host": "elsewhere", "token": "aa"}))
    assert is_served(folder) is expected


def test_the_run_of_another_user_is_not_asked(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not_asked(run.path) == ""
    monkeypatch.setattr("claf_engine.runs.asking.os.geteuid", lambda: 54321)
    with pytest.raises(RequestRefused, match=r"belongs to \w+, who alone may steer it; you are user 54321"):
        ask(run.path, "pause")
    assert not (run.path / CONTROL).exists()


def test_a_request_that_cannot_be_written_is_said_in_a_sentence(run: RunDirectory) -> None:
    (run.path / CONTROL).write_text("in the way")
    with pytest.raises(RunError, match=r"cannot ask .* to pause: Not a directory"):
        ask(run.path, "pause")


def test_a_run_that_is_gone_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="cannot look into .*: No such file"):
        ask(tmp_path / "gone", "pause")


def test_two_requests_of_one_moment_lie_side_by_side(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two machines, say: neither the time nor a process number tells them apart."""
    monkeypatch.setattr("claf_engine.runs.asking.time.time", lambda: 1_790_000_000.0)
    asked = {ask(run.path, "pause").request.nonce, ask(run.path, "resume").request.nonce}
    assert {received.request.nonce for received in run.inbox.take(run.path)} == asked


def test_a_disk_that_complains_only_at_the_end_is_noticed(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network file systems tell of a full disk when a file is closed or renamed."""

    def refuse(*_: object) -> None:
        raise OSError(122, "Disk quota exceeded")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(RunError, match="Disk quota exceeded"):
        ask(run.path, "pause")
    assert os.listdir(run.path / CONTROL) == []


def test_a_burst_of_requests_is_taken_in_order_and_soon(run: RunDirectory) -> None:
    asked = [ask(run.path, "checkpoint").request.nonce for _ in range(200)]
    taken: list[str] = []
    for _ in range(4):
        taken += [received.request.nonce for received in run.inbox.take(run.path)]
    assert taken == asked
