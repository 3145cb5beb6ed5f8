"""One will for all processes of a run: what is asked of it is agreed on where all of them stand at the same point.

The first process is the one that is steered; a stop may be asked of any of them, for signals reach them all. At every
step one message of three numbers goes round, and a second one only where something was asked.
"""

from dataclasses import asdict
from typing import Any

from claf_engine.compute.world import World
from claf_engine.events.control import WAITING, Control, Later, LiveEdit, Requests, Unit, Value

SHORTEST = 1e-9
"""Seconds of a wait that was none, which the run must not take for the end of a pause."""


class Agreement(Control):
    """What all processes have agreed on.

    Whoever asks it for something asks the control of this process, and the run learns of it when all agree.

    Args:
        asked: the control of this process.
        world: the processes.
    """

    def __init__(self, asked: Control, world: World) -> None:
        super().__init__()
        self._asked = asked
        self._world = world

    def agree(self) -> None:
        """Come to what the first process was asked, or to a stop that any was."""
        world, asked = self._world, self._asked
        is_first = world.rank == 0
        requests = asked.take_requests() if is_first else Requests()
        is_pausing = is_first and asked.status in WAITING
        stop, pause, has_asked = world.largest([asked.stop_requested, is_pausing, requests != Requests()])
        if has_asked:
            requests = _from_record(world.tell(asdict(requests)))
        with self._changed():
            self._stop, self._pause = self._stop or bool(stop), bool(pause)
            self._probe = self._probe or requests.probe
            self._checkpoint = self._checkpoint or requests.checkpoint
            self._edits += requests.edits

    def wait_while_paused(self, timeout: float | None = None) -> float:
        """Wait as a control does; all processes meet again after `timeout` seconds at the latest."""
        with self._condition:
            self._waiting = self._must_wait()
            if not self._waiting:
                return 0.0
        seconds = self._asked.wait_while_paused(timeout) if self._world.rank == 0 else 0.0
        self.agree()
        return max(seconds, SHORTEST)

    def pause(self) -> None:
        """Ask this process."""
        self._asked.pause()

    def resume(self) -> None:
        """Ask this process."""
        self._asked.resume()

    def stop(self) -> None:
        """Ask this process."""
        self._asked.stop()

    def probe_now(self) -> None:
        """Ask this process."""
        self._asked.probe_now()

    def checkpoint_now(self) -> None:
        """Ask this process."""
        self._asked.checkpoint_now()

    def edit(self, name: str, value: Value, who: str = "", at: float = 0.0) -> None:
        """Ask this process."""
        self._asked.edit(name, value, who, at)

    @property
    def later(self) -> Later | None:
        """When this process was asked to pause, if later."""
        return self._asked.later

    def pause_later(self, later: Later) -> None:
        """Ask this process."""
        self._asked.pause_later(later)

    def passed(self, *units: Unit) -> None:
        """Count in this process; where the first comes to its pause, all agree on it next."""
        self._asked.passed(*units)


def _from_record(plain: dict[str, Any]) -> Requests:
    edits = tuple(LiveEdit(**edit) for edit in plain["edits"])
    return Requests(bool(plain["probe"]), bool(plain["checkpoint"]), edits)
