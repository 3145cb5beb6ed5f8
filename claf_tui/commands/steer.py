"""`claf-tui steer`."""

from typing import Annotated, Literal, get_args

import typer

from claf_engine.events.control import LIVE_NAMES, Later
from claf_engine.terms.errors import ConfigError, RequestRefused
from claf_engine.terms.names import SteerName
from claf_tui.commands import completion
from claf_tui.reports import output
from claf_tui.words import exit_codes
from claf_tui.words.live_values import parse_change
from claf_tui.words.safe_text import safe

WAIT_SECONDS = 10.0

What = Annotated[SteerName, typer.Argument(metavar="REQUEST", help=f"One of {', '.join(get_args(SteerName))}.")]
Change = Annotated[
    str | None,
    typer.Argument(metavar="[KEY=VALUE]", help=f"With set; KEY is one of {', '.join(LIVE_NAMES)}."),
]
AfterSteps = Annotated[
    int | None,
    typer.Option(min=1, max=10**12, metavar="N", help="With pause: go on for N more steps, then wait."),
]
At = Annotated[Literal["epoch", "phase"] | None, typer.Option(help="With pause: go on to the end of that, then wait.")]
Wait = Annotated[
    float,
    typer.Option(min=0, max=86400, metavar="SECONDS", help="How long to wait for the answer; 0 asks and leaves."),
]


def steer(
    run: Annotated[
        str, typer.Argument(help="A run: its folder, its name, or latest.", autocompletion=completion.complete_runs)
    ],
    what: What,
    change: Change = None,
    after_steps: AfterSteps = None,
    at: At = None,
    wait: Wait = WAIT_SECONDS,
) -> int:
    """Ask a run of another process to pause, go on, probe, save, stop, or change a value, and print its answer.

    Only the owner of the run's folder may; a request that nobody takes in time is withdrawn. To resume cancels a pause
    that is yet to come.
    """
    from claf_engine.runs import find_run, runs_root
    from claf_engine.runs.asking import answer_to, ask

    if (change is None) is (what == "set"):
        raise ConfigError("KEY=VALUE goes with set, and set with KEY=VALUE: claf-tui steer RUN set learning_rate=0.05")
    later = pause_later(what, after_steps, at)
    if later is not None:
        asked = ask(find_run(run, runs_root()), "pause-later", later.unit, float(later.count))
    else:
        setting, value = ("", None) if change is None else parse_change(change)
        asked = ask(find_run(run, runs_root()), what, setting, value)
    if not wait:
        output.note(f"asked {asked.run.name} to {asked.request.text}; its answer will be in its journal")
        return exit_codes.OK
    answer = answer_to(asked, wait)
    said = f"{answer.request} at step {answer.step}: {safe(answer.answer, 400)}"
    if not answer.is_accepted:
        raise RequestRefused(f"{asked.run.name} refused {said}")
    output.text(f"{asked.run.name} accepted {said}")
    return exit_codes.OK


def pause_later(what: SteerName, after_steps: int | None, at: Literal["epoch", "phase"] | None) -> Later | None:
    """When a pause is to come, if it is one that comes later.

    Raises:
        ConfigError: the options say so twice, or go with something else than a pause.
    """
    if after_steps is None and at is None:
        return None
    if what != "pause" or (after_steps is not None and at is not None):
        raise ConfigError("--after-steps N and --at epoch|phase go with pause, one of them at a time")
    return Later("steps", after_steps) if after_steps is not None else Later(at or "epoch")
