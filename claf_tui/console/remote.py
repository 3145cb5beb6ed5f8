"""Steers a run of another process: the wishes of `Control`, each left as a request in the run's folder."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from claf_engine import events as ev
from claf_engine.events.control import Later, Value
from claf_engine.runs.asking import Asked, ask, unanswered, withdraw
from claf_engine.terms.names import RequestName
from claf_tui.screens.steering import ASKED

PATIENCE = 10.0
"""Seconds after which a request that nobody took is withdrawn."""


@dataclass(frozen=True)
class _Awaited:
    """A request that is not answered yet, and since when, by the clock of `Remote`."""

    asked: Asked
    since: float


class Remote:
    """Asks, and remembers what is not answered yet.

    Args:
        run: the run's folder.
        clock: counts seconds.
    """

    def __init__(self, run: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        self._awaited: dict[str, _Awaited] = {}

    @property
    def status(self) -> str | None:
        """Whether an answer is awaited; what the run does beyond that, its events tell."""
        return ASKED if self._awaited else None

    def pause(self) -> None:
        """Ask the run to wait."""
        self._ask("pause")

    def resume(self) -> None:
        """Ask a waiting run to go on."""
        self._ask("resume")

    def stop(self) -> None:
        """Ask the run to finish its step, save and end."""
        self._ask("stop")

    def probe_now(self) -> None:
        """Ask for a probe."""
        self._ask("probe")

    def checkpoint_now(self) -> None:
        """Ask for a checkpoint."""
        self._ask("checkpoint")

    def edit(self, name: str, value: Value) -> None:
        """Ask for another value of a setting."""
        self._ask("set", name, value)

    def pause_later(self, later: Later) -> None:
        """Ask the run to go on until then, and to wait there."""
        self._ask("pause-later", later.unit, float(later.count))

    def hear(self, event: ev.Event) -> None:
        """Notice what the run answers, or that it has ended."""
        if isinstance(event, ev.RequestServed):
            self._awaited.pop(event.nonce, None)
        elif isinstance(event, ev.RunFinished):
            for awaited in self._awaited.values():
                withdraw(awaited.asked)
            self._awaited.clear()

    def give_up(self) -> list[str]:
        """Withdraw what nobody has answered for too long; a sentence about each."""
        late = [nonce for nonce, awaited in self._awaited.items() if self._clock() - awaited.since > PATIENCE]
        given_up = [self._awaited.pop(nonce).asked for nonce in late]
        return [unanswered(asked, PATIENCE, is_withdrawn=withdraw(asked)) for asked in given_up]

    def _ask(self, name: RequestName, setting: str = "", value: Value | None = None) -> None:
        asked = ask(self._run, name, setting, value)
        self._awaited[asked.request.nonce] = _Awaited(asked, self._clock())
