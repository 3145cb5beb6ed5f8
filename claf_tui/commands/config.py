"""`claf-tui config show` and `claf-tui config presets`."""

import typer

from claf_tui.commands import options
from claf_tui.reports import output
from claf_tui.words import exit_codes

app = typer.Typer(help="Settings: what they are, and what presets make of them.", no_args_is_help=True)


@app.command()
def show(
    preset: options.Preset = None,
    config_file: options.ConfigFile = None,
    values: options.Values = None,
    plugin: options.Plugins = None,
) -> int:
    """Print the resolved settings as TOML, each with what it means."""
    options.load_plugins(plugin, values=values)
    from claf_tui.reports.config import annotated_toml

    output.text(annotated_toml(options.resolve(preset, config_file, values)))
    return exit_codes.OK


@app.command()
def presets() -> int:
    """List the presets."""
    from claf_engine.config.presets import preset_names, preset_summary

    width = max(map(len, preset_names()))
    output.text("\n".join(f"{name:{width}}  {preset_summary(name)}" for name in preset_names()))
    return exit_codes.OK
