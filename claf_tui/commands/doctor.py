"""`claf-tui doctor`."""

from typing import TYPE_CHECKING, Annotated

import typer

from claf_tui.commands import options
from claf_tui.reports import output
from claf_tui.words import exit_codes

if TYPE_CHECKING:
    from claf_engine.selftest.findings import Row

Gpu = Annotated[
    bool,
    typer.Option("--gpu", help="Also run the engine on the GPU against the CPU's results, and measure how fast it is."),
]


def doctor(gpu: Gpu = False, json: options.Json = False) -> int:
    """Say what is here, whether it is fit to train on, and what to do where it is not.

    Exits with 5 when a check fails, or when --gpu finds no GPU; a warning alone is no failure.
    """
    from claf_engine.selftest.environment import look_around
    from claf_tui.reports import doctor as report
    from claf_tui.reports.terminal_fit import terminal_rows

    places, device = None, None
    checks: tuple[Row, ...] = ()
    if gpu:
        from claf_engine.selftest.checks import accelerator_places, device_steps

        places = accelerator_places()
    environment = (*look_around(), *terminal_rows())
    if not json:
        output.show(*report.doctor_tables("what is here", environment))
    if places is not None:
        checks, device = output.follow(device_steps(places)), places.compute.describe()
        if not json:
            output.show(*report.doctor_tables(f"{device} against the CPU", checks))
    if json:
        output.record(report.doctor_record(environment, device, checks))
    is_fit = report.overall((*environment, *checks)) != "fails"
    return exit_codes.OK if is_fit else exit_codes.DEVICE
