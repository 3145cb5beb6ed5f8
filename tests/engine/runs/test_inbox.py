import itertools
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from claf_engine.runs import RunDirectory, holder
from claf_engine.runs.asking import ask
from claf_engine.runs.inbox import MAX_TAKEN, Inbox, Received
from claf_engine.runs.requests import CONTROL, REQUEST_CAP, Request
from claf_engine.terms.errors import RunError

numbers = itertools.count()


def take(run: RunDirectory) -> list[Received]:
    return run.inbox.take(run.path)


def leave(run: RunDirectory, content: bytes | None = None, **changes: object) -> Path:
    """Put a file into the folder of requests: a whole request with some fields changed, or any content."""
    folder = run.path / CONTROL
    folder.mkdir(mode=0o700, exist_ok=True)
    whole = Request("probe", "00" * 16, holder(run.path).token, "ann", "node1", 12, 1_790_000_000.0)
    path = folder / f"{next(numbers):020d}.json"
    path.write_bytes(replace(whole, **changes).to_bytes() if content is None else content)  # type: ignore[arg-type]
    return path


def left(run: RunDirectory) -> list[str]:
    return os.listdir(run.path / CONTROL)


def test_requests_are_taken_in_the_order_in_which_they_were_asked(run: RunDirectory) -> None:
    for name in ("pause", "checkpoint", "resume"):
        ask(run.path, name)  # type: ignore[arg-type]
    assert [received.request.name for received in take(run)] == ["pause", "checkpoint", "resume"]


def test_a_request_is_taken_once(run: RunDirectory) -> None:
    ask(run.path, "pause")
    assert [len(take(run)), len(take(run)), left(run)] == [1, 0, []]


def test_a_request_says_who_asked_and_when(run: RunDirectory) -> None:
    asked = ask(run.path, "set", "learning_rate", 0.25).request
    (received,) = take(run)
    assert received == Received(asked)
    assert f"process {os.getpid()}" in received.request.who


def test_a_run_that_nobody_asks_has_no_folder_of_requests(run: RunDirectory) -> None:
    assert take(run) == []
    assert not (run.path / CONTROL).exists()


def test_only_so_many_are_taken_at_once_and_the_others_afterwards(run: RunDirectory) -> None:
    for _ in range(MAX_TAKEN + 3):
        leave(run)
    assert [len(take(run)), len(take(run))] == [MAX_TAKEN, 3]


def test_a_file_that_is_still_being_written_is_left_alone(run: RunDirectory) -> None:
    leave(run).rename(run.path / CONTROL / ".tmp-half")
    assert [take(run), left(run)] == [[], [".tmp-half"]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no request"),
        (b"pause", "no request"),
        (b"[]", "no JSON object"),
        (b'{"name": "pause"}', "lacks a field"),
        (b"\xff\xfe\x00", "no request"),
        (b"[" * REQUEST_CAP, "nested too deeply"),
        (b" " * (REQUEST_CAP + 1), "larger than 4096 bytes"),
        (b'{"at": NaN}', "no number of JSON"),
    ],
)
def test_what_is_no_request_is_refused_and_gone(run: RunDirectory, content: bytes, reason: str) -> None:
    leave(run, content)
    (received,) = take(run)
    assert reason in received.refusal
    assert left(run) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"owner": "ee" * 16}, "meant for a process that has trained in this run before"),
        ({"owner": ""}, "meant for a process that has trained in this run before"),
        ({"name": "rm"}, "no such request; there are pause, resume, probe, checkpoint, stop, set"),
        ({"name": "set"}, "does not say what to set"),
        ({"name": "set", "setting": "learning_rate"}, "does not say what to set"),
    ],
)
def test_a_request_that_is_not_for_this_process_or_unknown_is_refused(
    run: RunDirectory, changes: dict[str, str], reason: str
) -> None:
    leave(run, **changes)
    leave(run)
    refused, whole = take(run)
    assert reason in refused.refusal
    assert whole.refusal == ""


def test_the_leftovers_of_a_copied_run_are_refused(run: RunDirectory) -> None:
    asked = ask(run.path, "stop")
    (received,) = Inbox("the token of the process that goes on").take(run.path)
    assert received.request == asked.request
    assert "trained in this run before" in received.refusal


def test_a_symlink_is_refused_and_what_it_leads_to_stays(run: RunDirectory, tmp_path: Path) -> None:
    target = leave(run).rename(tmp_path / "elsewhere.json")
    (run.path / CONTROL / "link.json").symlink_to(target)
    (received,) = take(run)
    assert received.refusal == "it is no regular file"
    assert [left(run), target.exists()] == [[], True]


def test_a_pipe_does_not_hold_the_run_up(run: RunDirectory) -> None:
    leave(run).unlink()
    os.mkfifo(run.path / CONTROL / "pipe")
    (received,) = take(run)
    assert received.refusal == "it is no regular file"
    assert left(run) == []


def test_a_folder_that_cannot_be_taken_is_refused_once(run: RunDirectory) -> None:
    leave(run).unlink()
    (run.path / CONTROL / "folder").mkdir()
    (received,) = take(run)
    assert received.refusal == "it is no regular file"
    assert take(run) == []


def test_a_request_that_cannot_be_removed_is_never_served(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be served again by whoever looks next."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    leave(run)
    with monkeypatch.context() as patch:
        patch.setattr("claf_engine.runs.inbox.os.unlink", refuse)
        (received,) = take(run)
        assert received.refusal == "it cannot be taken out of control: Permission denied"
    assert take(run) == []


def test_a_request_that_was_withdrawn_meanwhile_is_not_served(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leave(run)
    monkeypatch.setattr("claf_engine.runs.inbox.Inbox._refusal", lambda *_: path.unlink() or "")
    assert take(run) == []


def test_a_file_of_another_user_is_refused_by_the_name_of_that_user(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leave(run)
    monkeypatch.setattr("claf_engine.runs.inbox._owner_of_both", lambda *_: path.stat().st_uid + 1)
    (received,) = take(run)
    assert received.refusal == "only the owner of the run's folder may ask"
    assert left(run) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
def test_a_folder_of_requests_that_is_another_users_is_not_looked_into(run: RunDirectory) -> None:
    leave(run)
    os.chown(run.path / CONTROL, 12345, 12345)
    with pytest.raises(RunError, match="does not belong to the owner of the run; remove it"):
        take(run)


def test_a_folder_of_requests_that_is_a_link_is_not_looked_into(run: RunDirectory, tmp_path: Path) -> None:
    leave(run)
    (run.path / CONTROL).rename(tmp_path / "moved")
    (run.path / CONTROL).symlink_to(tmp_path / "moved")
    with pytest.raises(OSError, match="Not a directory|Too many levels"):
        take(run)


def test_extra_fields_of_a_later_version_are_passed_over(run: RunDirectory) -> None:
    whole = Request("probe", "00" * 16, holder(run.path).token, "ann", "node1", 12, 1.0)
    leave(run, json.dumps({**asdict(whole), "mood": "good"}).encode())
    assert take(run) == [Received(whole)]
