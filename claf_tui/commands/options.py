"""Options that several commands share, and shell completion for them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from claf_engine.pixels import parse_distance

if TYPE_CHECKING:
    from claf_engine.config import RunConfig

KEYS = {"--data": "data.source", "--seed": "seed", "--device": "runtime.device", "--method": "method"}
"""Flags that stand for one key of the configuration."""


def complete_runs(incomplete: str) -> list[str]:
    """Names of the runs that begin like this, newest first."""
    from claf_engine.runs import LATEST, list_runs, runs_root

    names = [LATEST, *(run.name for run in list_runs(runs_root()))]
    return [name for name in names if name.startswith(incomplete)]


def complete_presets(incomplete: str) -> list[str]:
    """Names of the presets that begin like this."""
    from claf_engine.presets import preset_names

    return [name for name in preset_names() if name.startswith(incomplete)]


def resolve(
    preset: str | None,
    config_file: Path | None,
    values: Sequence[str] | None,
    flags: Mapping[str, object] | None = None,
) -> "RunConfig":
    """Build the configuration from the options of a command.

    Raises:
        ConfigError: a preset, file, key or value is wrong.
    """
    from claf_engine.presets import Override, parse_override, resolve_config

    overrides = [parse_override(value) for value in values or ()]
    overrides += [Override(KEYS[flag], value, flag) for flag, value in (flags or {}).items() if value is not None]
    return resolve_config(preset, config_file, overrides)


def distance(text: str) -> str:
    """Check a distance such as 8/255 and give it back as text, which Typer can show as a default.

    Raises:
        typer.BadParameter: it is no distance in [0, 1].
    """
    try:
        parse_distance(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


def share(text: str) -> float:
    """Read a fraction in [0, 1] such as 0.5 or 1/2.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return float(parse_distance(text))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a fraction in [0, 1], such as 0.5") from error


def which_checkpoint(text: str) -> Literal["best", "last"] | int:
    """Read which checkpoint of a run is meant.

    Raises:
        typer.BadParameter: it is neither best, last nor a step.
    """
    if text == "best":
        return "best"
    if text == "last":
        return "last"
    if text.isascii() and text.isdigit():
        return int(text)
    raise typer.BadParameter(f"{text!r} is neither best, last nor a step", param_hint="'--checkpoint'")


Run = Annotated[str, typer.Argument(help="A run: its folder, its name, or latest.", autocompletion=complete_runs)]
Checkpoint = Annotated[
    str,
    typer.Argument(
        metavar="RUN|CHECKPOINT",
        help="A run (its folder, its name, or latest) or a .safetensors file of one.",
        autocompletion=complete_runs,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(help="Packaged settings to begin with.", autocompletion=complete_presets, rich_help_panel="Settings"),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file on top of the preset.", rich_help_panel="Settings"),
]
Values = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="One setting, such as attack.epsilon=4/255; repeat it for several.",
        rich_help_panel="Settings",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
