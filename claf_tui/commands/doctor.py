"""`claf-tui doctor`."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from claf_engine.terms.errors import ConfigError
from claf_tui.commands import options
from claf_tui.reports import output
from claf_tui.words import exit_codes

if TYPE_CHECKING:
    from claf_engine.selftest.findings import Row

Gpu = Annotated[
    bool,
    typer.Option("--gpu", help="Also run the engine on the GPU against the CPU's results, and measure how fast it is."),
]
Speed = Annotated[
    bool,
    typer.Option(
        "--speed",
        help="Also measure each piece of training: how fast it is, what this machine attains at most, and where the "
        "rest of the time goes.",
    ),
]


def doctor(
    gpu: Gpu = False,
    speed: Speed = False,
    preset: options.Preset = None,
    values: options.Values = None,
    json: options.Json = False,
) -> int:
    """Say what is here, whether it is fit to train on, and what to do where it is not.

    --speed measures the network, batch and device of --preset (demo unless told otherwise) and --set.
    Exits with 5 when a check fails, or when --gpu finds no GPU; a warning alone is no failure.
    """
    from claf_engine.selftest.environment import look_around
    from claf_tui.reports import doctor as report
    from claf_tui.reports.terminal_fit import terminal_rows

    places, device = None, None
    checks: tuple[Row, ...] = ()
    speeds: tuple[Row, ...] = ()
    if not speed and (preset or values):
        raise ConfigError("--preset and --set say what --speed measures; add it, or leave them out")
    settings = options.resolve(preset, None, values, {}) if speed else None
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
    if settings is not None:
        from claf_engine.config.presets import DEFAULT_PRESET
        from claf_engine.selftest.checks import device_steps
        from claf_engine.selftest.speed import Bench, speed_checks

        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler tells of its own beginning and end otherwise
        bench = Bench(settings)
        speeds = output.follow(device_steps(bench.places, speed_checks(bench)))
        if not json:
            output.show(*report.doctor_tables(report.speed_title(preset or DEFAULT_PRESET, bench.compute), speeds))
    if json:
        output.record(report.doctor_record(environment, device, checks, speeds))
    is_fit = report.overall((*environment, *checks, *speeds)) != "fails"
    return exit_codes.OK if is_fit else exit_codes.DEVICE
