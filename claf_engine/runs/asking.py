"""Asking a run of another process for something, and hearing what it answers. No torch."""

import contextlib
import os
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from claf_engine import events as ev
from claf_engine.events.control import Value
from claf_engine.events.records import from_record
from claf_engine.runs.durable import TEMPORARY_PREFIX
from claf_engine.runs.journal import EVENTS, record_of
from claf_engine.runs.listing import GOING_ON, holder, is_live, summarise
from claf_engine.runs.requests import CONTROL, Request, user_name
from claf_engine.runs.status import read_status
from claf_engine.runs.tail import Tail
from claf_engine.terms.errors import NotAnswered, RequestRefused, RunError
from claf_engine.terms.names import RequestName

SILENT_SECONDS = 15.0
"""Since its last sign of life, after which a run is taken to have no process, where its lock does not tell."""
LOOK_SECONDS = 0.2
"""Between two looks for an answer."""
ANSWER_SECONDS = 5.0
"""How long an answer may take to appear once the request was taken."""


@dataclass(frozen=True)
class Asked:
    """A request that was left in a run's folder; `tail` reads the journal from then on."""

    run: Path
    request: Request
    tail: Tail


def why_not_asked(run: Path) -> str:
    """The reason why this user may not ask anything of a run, or nothing."""
    try:
        owner = run.stat().st_uid
    except OSError as error:
        return f"cannot look into {run}: {error.strerror}"
    if owner == os.geteuid():
        return ""
    return f"run {run.name} belongs to {user_name(owner)}, who alone may steer it; you are {user_name(os.geteuid())}"


def ask(run: Path, name: RequestName, setting: str = "", value: Value | None = None) -> Asked:
    """Ask the process that trains in a run for something; returns at once.

    Args:
        run: the run's folder.
        name: what is asked for.
        setting: of "set", the dotted key, such as "learning_rate"; of "pause-later", see `Request`.
        value: of "set", what it is to become; of "pause-later", how many steps.

    Raises:
        RequestRefused: the run belongs to another user.
        NotAnswered: no process trains in it, or one of an earlier version, which takes no requests.
        RunError: the request cannot be written.
    """
    if reason := why_not_asked(run):
        raise RequestRefused(reason)
    if not is_served(run):
        raise NotAnswered(_unserved(run))
    owner = holder(run)
    if not owner.token:
        raise NotAnswered(f"{owner} trains in {run.name} with an earlier version, which takes no requests")
    me = user_name(os.geteuid()), socket.gethostname(), os.getpid()
    request = Request(name, secrets.token_hex(16), owner.token, *me, time.time(), setting, value)
    asked = Asked(run, request, Tail(run / EVENTS, from_end=True))
    try:
        _leave(run / CONTROL, request)
    except OSError as error:
        raise RunError(f"cannot ask {run.name} to {request.text}: {error.strerror} ({run / CONTROL})") from error
    return asked


def answer_to(asked: Asked, seconds: float) -> ev.RequestServed:
    """Wait for the answer to a request; one that nobody takes is withdrawn, so that it is not served later.

    Args:
        asked: what `ask` gave.
        seconds: how long to wait.

    Raises:
        NotAnswered: nobody took the request in that time, or the run ended meanwhile.
    """
    answer, is_withdrawn = _awaited(asked, seconds), False
    if answer is None and not (is_withdrawn := withdraw(asked)):
        # Whoever removes the file first has it: this one was taken, and its answer is on its way.
        answer = _awaited(asked, ANSWER_SECONDS)
    if answer is None:
        raise NotAnswered(unanswered(asked, seconds, is_withdrawn=is_withdrawn))
    return answer


def withdraw(asked: Asked) -> bool:
    """Take a request back.

    Returns:
        Whether nobody has taken it, and nobody will.
    """
    try:
        (asked.run / CONTROL / asked.request.file_name).unlink()
    except OSError:
        return False
    return True


def is_served(run: Path) -> bool:
    """Whether a process trains in a run, for all that its lock and its last sign of life tell from here."""
    if is_live(run):
        return True
    # The lock of another machine is not seen through every file system.
    record, _ = read_status(run / "status.json")
    is_going_on = record.get("status") in GOING_ON
    seconds = silence(run)
    is_elsewhere = holder(run).host not in (None, socket.gethostname())
    return is_going_on and is_elsewhere and seconds is not None and seconds < SILENT_SECONDS


def silence(run: Path) -> float | None:
    """Seconds since the last sign of life of the process that trains; None where there was none."""
    heartbeat = read_status(run / "status.json")[0].get("heartbeat")
    return None if heartbeat is None else max(0.0, time.time() - heartbeat)


def heard(asked: Asked) -> ev.RequestServed | None:
    """The answer to a request, if it was written since the last look."""
    for line in (line for batch in asked.tail.batches() for line in batch):
        record = record_of(line)
        if record is None or record.get("nonce") != asked.request.nonce:
            continue
        with contextlib.suppress(ValueError):
            event = from_record(record)
            if isinstance(event, ev.RequestServed):
                return event
    return None


def _awaited(asked: Asked, seconds: float) -> ev.RequestServed | None:
    """Look for an answer until there is one, the time is over, or there is no process to give it."""
    until = time.monotonic() + seconds
    while True:
        has_left = not is_served(asked.run)
        answer = heard(asked)
        if answer is not None or has_left or time.monotonic() >= until:
            return answer
        time.sleep(LOOK_SECONDS)


def _unserved(run: Path) -> str:
    status = summarise(run).status
    if status in ("finished", "imported"):
        return f"run {run.name} is {status}, and no process trains in it"
    return f"no process trains in {run.name}; `claf-tui train --resume {run.name}` goes on with it"


def unanswered(asked: Asked, seconds: float, *, is_withdrawn: bool) -> str:
    """Say that a request was not answered in that time, and what has become of it."""
    name, text = asked.run.name, asked.request.text
    fate = "it was withdrawn" if is_withdrawn else "it was taken, and what came of it is not known"
    if not is_served(asked.run):
        return f"{name} ended before it answered {text!r}; {fate}"
    return f"{name} did not answer {text!r} within {seconds:g} s, {_since_life(asked.run)}; {fate}"


def _since_life(run: Path) -> str:
    seconds = silence(run)
    return (
        "and it has given no sign of life yet" if seconds is None else f"its last sign of life is {seconds:.0f} s old"
    )


def _leave(folder: Path, request: Request) -> None:
    """Put a request where it is seen once it is whole; a crash of the machine may lose it, and the run as well."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    temporary = folder / f"{TEMPORARY_PREFIX}{request.file_name}"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(request.to_bytes())
        temporary.rename(folder / request.file_name)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
