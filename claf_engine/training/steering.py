"""Serves what other processes ask of a run: each request ends as a call on `Control`, or as a reason why not."""

from dataclasses import dataclass

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.runs.inbox import Received
from claf_engine.runs.requests import Request
from claf_engine.terms.errors import ConfigError
from claf_engine.training.live_edits import Trained, change_of

INBOX_SECONDS = 0.5
"""Between two looks at what other processes ask; also while the run is paused."""


@dataclass(frozen=True)
class Standing:
    """How a run stands when a request comes.

    Attributes:
        trained: what may be edited; None where there is nothing to edit, probe or save any more.
        has_ended: nor anything to pause.
    """

    step: int
    trained: Trained | None
    has_ended: bool = False


def served(received: Received, control: Control, standing: Standing) -> ev.RequestServed:
    """Hand a request on to `control`, or refuse it; what was done about it is in the event."""
    request = received.request
    refusal = received.refusal or _refusal(request, control, standing)
    answer = refusal or _do(request, control)
    return ev.RequestServed(
        standing.step, request.text, request.nonce, request.who, request.at, is_accepted=not refusal, answer=answer
    )


def _refusal(request: Request, control: Control, standing: Standing) -> str:
    if standing.has_ended:
        return "the run is over"
    if control.stop_requested and request.name != "stop":
        return "the run is stopping"
    if standing.trained is None and request.name in ("probe", "checkpoint", "set", "pause-later"):
        return "training is over: there is nothing to edit, probe or save any more"
    if request.name == "set" and standing.trained is not None:
        try:
            change_of(request.edit, standing.trained)
        except ConfigError as error:
            return str(error)
    return ""


def _do(request: Request, control: Control) -> str:
    """Ask `control` for it; gives what comes of that."""
    was = control.status
    match request.name:
        case "pause":
            control.pause()
            return "the run waits from here on" if was == "running" else "the run waits already"
        case "resume":
            control.resume()
            return "the run was not paused" if was == "running" else "the run goes on"
        case "probe":
            control.probe_now()
            return "a probe comes after this step"
        case "checkpoint":
            control.checkpoint_now()
            return "a checkpoint comes after this step"
        case "set":
            edit = request.edit
            control.edit(edit.name, edit.value, edit.who, edit.at)
            return "it takes effect after this step"
        case "pause-later" if request.later is not None:
            control.pause_later(request.later)
            return f"the run waits {request.later.text}"
        case _:
            control.stop()
            return "the run is stopping already" if was == "stopping" else "the run finishes its step, saves and ends"
