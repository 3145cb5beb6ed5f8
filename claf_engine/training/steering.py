"""Serves what other processes ask of a run: each request ends as a call on `Control`, or as a reason why not."""

import math
from dataclasses import dataclass

from claf_engine import events as ev
from claf_engine.events.control import LEARNING_RATE, PROBE_EVERY, Control, LiveEdit
from claf_engine.runs.inbox import Received
from claf_engine.runs.requests import Request

INBOX_SECONDS = 0.5
"""Between two looks at what other processes ask; also while the run is paused."""


@dataclass(frozen=True)
class Standing:
    """How a run stands when a request comes.

    Attributes:
        is_trained: there is nothing to edit, probe or save any more.
        has_ended: nor anything to pause.
        has_rate: the phase has taken a step, and so has a learning rate.
    """

    step: int
    is_trained: bool = False
    has_ended: bool = False
    has_rate: bool = True


def served(received: Received, control: Control, standing: Standing) -> ev.RequestServed:
    """Hand a request on to `control`, or refuse it; what was done about it is in the event."""
    request = received.request
    refusal = received.refusal or _refusal(request, control, standing)
    answer = refusal or _do(request, control)
    return ev.RequestServed(
        standing.step, request.text, request.nonce, request.who, request.at, is_accepted=not refusal, answer=answer
    )


def why_not_edited(edit: LiveEdit, *, has_rate: bool) -> str:
    """The reason why a value cannot be changed while the run goes on, or nothing.

    Args:
        edit: the value, and what it is of.
        has_rate: whether the phase has a learning rate by now.
    """
    if edit.name == LEARNING_RATE and 0 < edit.value < math.inf:
        return "" if has_rate else "the learning rate can be edited once the phase has taken a step"
    if edit.name == PROBE_EVERY and 0 <= edit.value < math.inf:
        return ""
    return f"{edit.name} cannot be set to {edit.value} while the run goes on"


def _refusal(request: Request, control: Control, standing: Standing) -> str:
    if standing.has_ended:
        return "the run is over"
    if control.stop_requested and request.name != "stop":
        return "the run is stopping"
    if standing.is_trained and request.name in ("probe", "checkpoint", "set"):
        return "training is over: there is nothing to edit, probe or save any more"
    return why_not_edited(request.edit, has_rate=standing.has_rate) if request.name == "set" else ""


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
            control.edit(request.setting, request.value or 0.0)
            return "it takes effect after this step"
        case _:
            control.stop()
            return "the run is stopping already" if was == "stopping" else "the run finishes its step, saves and ends"
