"""`claf-tui steer`."""

from typing import Annotated, get_args

import typer

from claf_engine.terms.errors import ConfigError, RequestRefused
from claf_engine.terms.names import RequestName
from claf_tui.commands import completion
from claf_tui.reports import output
from claf_tui.words import exit_codes
from claf_tui.words.live_values import parse_change
from claf_tui.words.safe_text import safe

WAIT_SECONDS = 10.0

What = Annotated[RequestName, typer.Argument(metavar="REQUEST", help=f"One of {', '.join(get_args(RequestName))}.")]
Change = Annotated[
    str | None,
    typer.Argument(metavar="[KEY=VALUE]", help="With set: learning_rate=NUMBER or probe.every_epochs=NUMBER."),
]
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
    wait: Wait = WAIT_SECONDS,
) -> int:
    """Ask a run of another process to pause, go on, probe, save, stop, or change a value, and print its answer.

    Only the owner of the run's folder may; a request that nobody takes in time is withdrawn.
    """
    from claf_engine.runs import find_run, runs_root
    from claf_engine.runs.asking import answer_to, ask

    if (change is None) is (what == "set"):
        raise ConfigError("KEY=VALUE goes with set, and set with KEY=VALUE: claf-tui steer RUN set learning_rate=0.05")
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
