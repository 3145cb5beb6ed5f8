"""`claf-tui config`: settings, presets, alerts, and a person's own keys and theme."""

from pathlib import Path
from typing import Annotated

import typer

from claf_engine.terms.errors import ConfigError
from claf_tui.commands import completion, options
from claf_tui.reports import output
from claf_tui.words import exit_codes, theme_names

app = typer.Typer(help="Settings and presets; keys and themes of the console.", no_args_is_help=True)


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


@app.command()
def methods(
    name: Annotated[
        str | None,
        typer.Argument(help="The method whose page is shown.", autocompletion=completion.complete_methods),
    ] = None,
    plugin: options.Plugins = None,
    json: options.Json = False,
) -> int:
    """List the methods, or print the page of one: what it is, what it costs, what is known of it under attack.

    The form for a new run (`claf-tui train --form`, or N in `claf-tui runs`) shows the same page below its methods.
    """
    import shutil

    options.load_plugins(plugin)
    from claf_tui.reports import methods as pages

    sheets = pages.method_sheets() if name is None else (pages.method_sheet(name),)
    width = min(120, shutil.get_terminal_size().columns)
    if json:
        records = [sheet.to_record() for sheet in sheets]
        output.record(records[0] if name is not None else records)
    elif name is None:
        output.text("\n".join(pages.list_lines(sheets, width)))
    else:
        output.text("\n".join(pages.page_lines(sheets[0], width)))
    return exit_codes.OK


@app.command()
def keys() -> int:
    """List what keys do in the console, each with the id by which console.toml gives it another key.

    Ends with 2 where a key of that file cannot be taken.
    """
    from claf_tui.console.keymap import all_actions, checked
    from claf_tui.console.preferences import preferences_file, read_preferences
    from claf_tui.reports.config import key_lines

    wanted, actions = read_preferences(), all_actions()
    keymap = checked(wanted.keys, actions, preferences_file().name)
    output.text("\n".join(key_lines([(each.id, each.keys, each.text) for each in actions], keymap.keys)))
    complaints = (*wanted.notices, *keymap.complaints)
    for complaint in complaints:
        output.error(complaint)
    return exit_codes.USAGE if complaints else exit_codes.OK


@app.command()
def theme(
    name: Annotated[
        str | None,
        typer.Argument(help="The theme to begin with from now on.", autocompletion=completion.complete_themes),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Forget the theme that was chosen.")] = False,
) -> int:
    """List the themes of the console, or choose one, as the palette (ctrl+p) does.

    CLAF_THEME, or a line theme = "NAME" in console.toml, names one for every start.
    """
    from textual.theme import BUILTIN_THEMES

    from claf_engine.config.suggestion import suggestion
    from claf_tui.console import preferences

    known = [*theme_names.SUMMARIES, *BUILTIN_THEMES]
    if reset and name is not None:
        raise ConfigError("--reset goes without a name: it forgets the theme that was chosen")
    if reset:
        preferences.forget_look()
    elif name is not None:
        if name not in known:
            raise ConfigError(f"there is no theme {name!r}{suggestion(name, known)}; `claf-tui config theme` lists all")
        preferences.keep_theme(name)
    wanted = preferences.read_preferences()
    for notice in wanted.notices:
        output.error(notice)
    if name is not None or reset:
        if wanted.named_by:
            output.note(f"{wanted.named_by} names {wanted.theme}, which wins")
        return exit_codes.OK
    width = max(map(len, known))
    current = wanted.theme or next(iter(theme_names.SUMMARIES))
    lines = [
        f"{'*' if each == current else ' '} {each:{width}}  {theme_names.SUMMARIES.get(each, '')}".rstrip()
        for each in known
    ]
    output.text("\n".join(lines))
    return exit_codes.OK


@app.command("alerts")
def alerts(
    file: Annotated[
        Path | None,
        typer.Option("--alerts", metavar="FILE", help="The file; by default alerts.toml in your own settings."),
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Tell the command or address of an alert that is none.")] = False,
) -> int:
    """Print what you are told of and how (docs/alerts.md), with what may be a secret left out."""
    import time

    from claf_engine.config.alerts import masked, own_file, read_alerts
    from claf_engine.runs.notifying import Message, deliver
    from claf_tui.reports.config import annotated_toml

    settings = read_alerts(file)
    output.note(f"from {file or own_file()}" if file or own_file().exists() else f"there is no {own_file()}")
    output.text(annotated_toml(settings.model_copy(update={"notify": masked(settings.notify)})))
    if not test:
        return exit_codes.OK
    if not settings.notify:
        raise ConfigError("there is nobody to tell: set notify to a command or an https address")
    message = Message("test", "info", "a test, and no alert", 0, time.time())
    if failure := deliver(settings, message.to_json("test", 0)):
        raise ConfigError(f"it could not be told: {failure}")
    output.note(f"told {masked(settings.notify)}")
    return exit_codes.OK
