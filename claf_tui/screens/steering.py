"""What a dashboard steers a run through: `Control` of the same process, or the folder of a run of another one."""

from typing import Protocol

from claf_engine.events.control import Later, Value

ASKED = "asked"
"""What a run is said to be doing while its process has not answered a wish yet."""


class Steering(Protocol):
    """Takes the wishes of a person; each may raise a `ClafError` that says why it cannot be passed on."""

    @property
    def status(self) -> str | None:
        """What the run is doing about the last wish; None where only its events tell."""

    def pause(self) -> None:
        """Ask the run to wait."""

    def resume(self) -> None:
        """Ask a waiting run to go on."""

    def stop(self) -> None:
        """Ask the run to finish its step, save and end."""

    def probe_now(self) -> None:
        """Ask for a probe."""

    def checkpoint_now(self) -> None:
        """Ask for a checkpoint."""

    def edit(self, name: str, value: Value) -> None:
        """Ask for another value of a setting."""

    def pause_later(self, later: Later) -> None:
        """Ask the run to go on until then, and to wait there."""
