"""Tells a person's own command or webhook of alerts, from a thread of the process that trains. No torch.

Nothing of it may hold training up or end it: what is told waits in a short queue, one after the other, each with a
timeout, and what fails is a sentence. A stall is noticed here too, because then the thread that trains says nothing.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from claf_engine import events as ev
from claf_engine.config.alerts import AlertSettings, masked
from claf_engine.runs.alerting import DIVERGED, FAILED, FINISHED, PAUSED, STALL, level_of, rule_of, silence_finding

MAX_WAITING = 32
"""Messages in the queue; of more the oldest are left out, which the next one says."""
LOOK_SECONDS = 1.0
LEAVE_SECONDS = 8.0
"""How long the end of a run waits for what is still to be told."""


@dataclass(frozen=True)
class Message:
    """What is told of one alert; the figures are plain values."""

    alert: str
    level: str
    text: str
    step: int
    at: float
    has_ended: bool = False
    figures: Mapping[str, Any] | None = None

    def to_json(self, run: str, num_left_out: int) -> bytes:
        """The JSON object that a command reads from its stdin, and that a webhook is sent."""
        record = {
            "run": run,
            "alert": self.alert,
            "level": self.level,
            "text": self.text,
            "step": self.step,
            "time": self.at,
            "ended": self.has_ended,
            "figures": dict(self.figures or {}),
            "left_out": num_left_out,
        }
        return json.dumps(record, ensure_ascii=False).encode(errors="backslashreplace")


class Notifier:
    """The thread that tells, and what it is told itself of the run.

    Args:
        settings: what to tell of, and whom.
        run: its name.
        clock: counts seconds.
    """

    def __init__(self, settings: AlertSettings, run: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._run = run
        self._clock = clock
        self._wakes = threading.Condition()
        self._queue: deque[Message] = deque()
        self._num_left_out = 0
        self._failures: deque[str] = deque(maxlen=MAX_WAITING)
        self._figures: dict[str, Any] = {}
        self._standing: dict[str, tuple[Message, float]] = {}
        self._begun: dict[str, float] = {}
        self._step = 0
        self._alive_at = clock()
        self._is_excused = True
        self._is_stalled = False
        self._is_closing = False
        self._thread = threading.Thread(target=self._tell_all, name="alerts", daemon=True)

    def start(self) -> None:
        """Begin to tell, where there is anybody to tell."""
        if self._settings.notify:
            self._thread.start()

    def see(self, event: ev.Event) -> None:
        """Notice what the run says; never blocks."""
        self._alive_at = self._clock()
        match event:
            case ev.Progressed():
                self._step = event.step
            case ev.StepLogged():
                self._step, self._is_excused = event.step, False
                self._figures |= {"loss": event.loss, "epoch": event.epoch, "learning_rate": event.learning_rate}
            case ev.ProbeFinished():
                self._figures["natural"] = event.natural
                self._figures["robust"] = {figure.epsilon: figure.accuracy for figure in event.robust}
            case ev.Alert():
                self._put(Message(event.name, event.level, event.text, event.step, time.time()))
            case ev.AlertEnded():
                self._put(Message(event.name, "info", event.text, event.step, time.time(), has_ended=True))
            case ev.ControlChanged():
                self._is_excused = event.status == "paused"
                text = "the run is paused" if self._is_excused else "the run goes on"
                self._put(
                    Message(PAUSED, level_of(PAUSED), text, event.step, time.time(), has_ended=not self._is_excused)
                )
            case ev.RunFinished():
                self._is_excused = True
                self._put(_ended(event))
            case _:
                return

    def take_failures(self) -> list[str]:
        """Sentences about what could not be told, each once."""
        taken = []
        while self._failures:
            taken.append(self._failures.popleft())
        return taken

    def close(self) -> None:
        """Tell what is left, for as long as `LEAVE_SECONDS`, and end."""
        with self._wakes:
            self._is_closing = True
            self._wakes.notify_all()
        if self._thread.ident is not None:
            self._thread.join(LEAVE_SECONDS)

    def _put(self, message: Message) -> None:
        """Queue what begins, unless the same began a short while ago, and the end of what was told."""
        rule, now = rule_of(self._settings, message.alert), self._clock()
        if not rule.on or not self._settings.notify:
            return
        with self._wakes:
            if message.has_ended:
                if self._standing.pop(message.alert, None) is None:
                    return
            elif message.alert not in self._standing:
                if now - self._begun.get(message.alert, -math.inf) < rule.cooldown:
                    return
                self._begun[message.alert] = now
            if not message.has_ended:
                self._standing[message.alert] = message, now
            if len(self._queue) >= MAX_WAITING:
                self._queue.popleft()
                self._num_left_out += 1
            self._queue.append(message)
            self._wakes.notify_all()

    def _tell_all(self) -> None:
        last = -self._settings.notify_pause
        while (message := self._next()) is not None:
            pause = 0.0 if self._is_closing else self._settings.notify_pause - (self._clock() - last)
            if pause > 0:
                with self._wakes:
                    self._wakes.wait_for(lambda: self._is_closing, pause)
            left_out, self._num_left_out = self._num_left_out, 0
            told = replace(message, figures=dict(self._figures))
            failure = deliver(self._settings, told.to_json(self._run, left_out))
            last = self._clock()
            if failure:
                self._failures.append(f"the alert {message.alert!r} could not be told: {failure}")

    def _next(self) -> Message | None:
        """Wait for the next message; None once all is told and the run has ended."""
        while True:
            with self._wakes:
                self._wakes.wait_for(lambda: bool(self._queue) or self._is_closing, LOOK_SECONDS)
                if self._queue:
                    return self._queue.popleft()
                if self._is_closing:
                    return None
            self._look_for_stall()
            self._repeat()

    def _repeat(self) -> None:
        """Tell again of what stands, where its rule says so."""
        with self._wakes:
            standing = list(self._standing.values())
        for message, told_at in standing:
            repeat = rule_of(self._settings, message.alert).repeat
            if repeat is not None and self._clock() - told_at >= repeat:
                self._put(message)

    def _look_for_stall(self) -> None:
        rule = self._settings.stall
        seconds = self._clock() - self._alive_at
        finding = silence_finding(STALL, rule.seconds, seconds, is_excused=self._is_excused)
        if finding.begins and not self._is_stalled:
            self._put(Message(STALL, level_of(STALL), finding.text, self._step, time.time()))
        elif finding.ends and self._is_stalled:
            self._put(Message(STALL, "info", "the run goes on", self._step, time.time(), has_ended=True))
        self._is_stalled = finding.begins


def deliver(settings: AlertSettings, message: bytes) -> str:
    """Hand a message over; the reason why that failed, without secrets, or nothing."""
    if isinstance(settings.notify, tuple):
        return _run_command(settings.notify, message, settings.notify_timeout)
    return _post(settings.notify, message, settings.notify_timeout)


def _run_command(command: tuple[str, ...], message: bytes, timeout: float) -> str:
    """Run a command without a shell, in a session of its own, so that no key of the terminal reaches it."""
    name = masked(command)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"{name} cannot be run: {getattr(error, 'strerror', None) or error}"
    with process:
        try:
            process.communicate(message, timeout)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            return f"{name} did not end within {timeout:g} s and was ended"
        except OSError as error:
            return f"{name} cannot be told: {error.strerror}"
    # What it wrote may hold a secret, such as an address.
    return f"{name} ended with {process.returncode}" if process.returncode else ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A message goes to the address that a person named, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


def _post(address: str, message: bytes, timeout: float) -> str:
    name = masked(address)
    request = urllib.request.Request(address, message, {"Content-Type": "application/json"}, method="POST")  # noqa: S310 (https, or this machine)
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"{name} answered with {error.code}"
    except urllib.error.URLError as error:
        reason = error.reason
        return f"{name} cannot be reached: {getattr(reason, 'strerror', None) or type(reason).__name__}"
    except (OSError, ValueError) as error:
        return f"{name} cannot be reached: {getattr(error, 'strerror', None) or type(error).__name__}"


def _ended(event: ev.RunFinished) -> Message:
    name = {"diverged": DIVERGED, "failed": FAILED}.get(event.status, FINISHED)
    reason = f": {event.reason}" if event.reason else ""
    return Message(name, level_of(name), f"the run is {event.status}{reason}", event.step, time.time())
