"""`claf-tui train`."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from claf_engine.terms.errors import ConfigError
from claf_tui.commands import completion, options
from claf_tui.reports import output
from claf_tui.words import exit_codes

if TYPE_CHECKING:
    from claf_engine.config import RunConfig
    from claf_engine.config.launch import Launch
    from claf_engine.runs import RunDirectory
    from claf_tui.runners.trackers.choosing import TrackerName
    from claf_tui.runners.train import Manner

Data = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="shapes, cifar10, folder:PATH, torchvision:NAME, hf:PATH, parquet:PATH, wds:PATH, FILE.py:FUNCTION, or a "
        "plugin's.",
        autocompletion=completion.complete_sources,
        rich_help_panel="Settings",
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of everything random.", rich_help_panel="Settings")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel="Settings")]
MethodName = Annotated[
    str | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help="How to train: claf, the paper's; at, adversarial training; natural, without an attack; and more, of "
        "which claf-tui config methods tells what each is and costs; or the name that a plugin registers.",
        autocompletion=completion.complete_methods,
        rich_help_panel="Settings",
    ),
]
Resume = Annotated[
    str | None,
    typer.Option(
        metavar="RUN|CHECKPOINT",
        help="Go on with a run that was stopped, or begin a new one at an older checkpoint.",
        autocompletion=completion.complete_checkpoints,
        rich_help_panel="Run",
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="best|last|STEP",
        help="With --resume RUN: branch off from that checkpoint into a new run, which may --set other values; the way "
        "back for a run that diverged.",
        autocompletion=completion.complete_steps,
        rich_help_panel="Run",
    ),
]
Restart = Annotated[
    bool,
    typer.Option(
        "--restart",
        help="With --resume: begin a run anew whose checkpoints are lost; its records are kept under other names.",
        rich_help_panel="Run",
    ),
]
Name = Annotated[str | None, typer.Option(help="Name of the run's folder, after its date.", rich_help_panel="Run")]
Alerts = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What to be told of, and how: a TOML file (docs/alerts.md); by default alerts.toml in your own settings.",
        rich_help_panel="Run",
    ),
]
Ui = Annotated[
    Literal["auto", "tui", "plain", "jsonl"],
    typer.Option(help="Live console, lines, or JSON lines; auto: the console in a terminal.", rich_help_panel="Run"),
]
Detach = Annotated[
    bool,
    typer.Option(
        "--detach",
        help="Train in a process of its own, which no terminal ends, and come back once the run has begun; `claf-tui "
        "watch` shows and steers it. In the console: q, then l.",
        rich_help_panel="Run",
    ),
]
Hangup = Annotated[
    Literal["leave", "save", "stop"] | None,
    typer.Option(
        "--on-hangup",
        help="When the terminal or the connection is lost: leave the run going; save, then end with 129 (as it is "
        "without this option); stop at once, back to the last checkpoint.",
        show_default=False,
        rich_help_panel="Run",
    ),
]
Begun = Annotated[int | None, typer.Option("--begun-fd", hidden=True)]
TensorBoard = Annotated[
    bool,
    typer.Option(
        "--tensorboard", help="Write event files for TensorBoard below the run's folder.", rich_help_panel="Trackers"
    ),
]
WeightsAndBiases = Annotated[
    bool,
    typer.Option(
        "--wandb",
        help="Record the run with Weights & Biases too; offline where nobody is logged in.",
        rich_help_panel="Trackers",
    ),
]
MlFlow = Annotated[
    bool,
    typer.Option(
        "--mlflow", help="Record the run with MLflow too, where its variables say.", rich_help_panel="Trackers"
    ),
]
NoTrackers = Annotated[
    bool,
    typer.Option(
        "--no-trackers",
        help="With --resume: forget the trackers that the run has had, which are taken over otherwise.",
        rich_help_panel="Trackers",
    ),
]
Form = Annotated[
    bool,
    typer.Option(
        "--form",
        help="Put the run together in a form first, from the options beside it; in the runs screen: N.",
        rich_help_panel="Run",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the settings and the plan; write nothing.", rich_help_panel="Run")
]


def train(  # noqa: PLR0913 (Typer declares one parameter per option)
    preset: options.Preset = None,
    config_file: options.ConfigFile = None,
    data: Data = None,
    values: options.Values = None,
    seed: Seed = None,
    device: Device = None,
    method: MethodName = None,
    plugin: options.Plugins = None,
    model: options.Model = None,
    weights: options.Weights = None,
    resume: Resume = None,
    start: From = None,
    accept_changed_data: options.AcceptChangedData = False,
    restart: Restart = False,
    name: Name = None,
    alerts: Alerts = None,
    ui: Ui = "auto",
    detach: Detach = False,
    on_hangup: Hangup = None,
    begun: Begun = None,
    form: Form = False,
    tensorboard: TensorBoard = False,
    wandb: WeightsAndBiases = False,
    mlflow: MlFlow = False,
    no_trackers: NoTrackers = False,
    dry_run: DryRun = False,
) -> int:
    """Train an image classifier with CLAF, or with a method that it is compared with, and show it live.

    Settings come from the preset (demo unless told otherwise), then --config, then --set and the other options.
    """
    from claf_engine.config.launch import Launch

    launch = Launch.from_environment()
    if detach and begun is None:
        return _detached(ui, launch, is_dry=dry_run, has_form=form)
    options.load_plugins(plugin, data, values)
    architecture = options.load_model(model)
    from claf_engine.config.registry import library_of
    from claf_tui.runners import train as runner

    trackers = chosen_trackers(tensorboard=tensorboard, wandb=wandb, mlflow=mlflow)
    on_hangup = on_hangup or ("leave" if detach else "save")
    manner = runner.Manner(ui, on_hangup, begun, trackers, no_trackers, alerts)
    typed = sys.argv if begun is None else sys.argv[:-2]
    flags = {
        "--data": data,
        "--seed": seed,
        "--device": device,
        "--method": method,
        "--weights": None if weights is None else str(weights.expanduser().absolute()),
    }
    if form:
        others = {"--config": config_file, "--model": model, "--weights": weights, "--resume": resume, "--from": start}
        refuse_beside_form({**others, "--dry-run": dry_run, "--no-trackers": no_trackers})
        draft = options.drafted(preset, values, flags, name, plugin)
        return runner.in_form(draft, lambda begin: _train_in(begin, manner, launch))
    if resume is not None:
        of_library = architecture if library_of(architecture or "") else None
        refuse_changes(
            {"--preset": preset, "--config": config_file, "--dry-run": dry_run, "--model": of_library, **flags}
        )
        at = None if start is None else options.which_checkpoint(start, "--from")
        way = runner.WayOn(resume, at, tuple(values or ()), name, accept_changed_data, restart)
        return _train_in(lambda: runner.reopen(way, typed), manner, launch)
    refuse_without_resume(
        start, accepts_changed_data=accept_changed_data, restarts=restart, declines_trackers=no_trackers
    )
    flags["--model"] = architecture
    config = options.resolve(preset, config_file, values, flags)
    if architecture is not None and (usual := usual_settings(config, values)):
        config = options.resolve(preset, config_file, [*usual, *(values or ())], flags)
        if not launch.is_follower:
            output.note(f"{architecture} brings settings with it, which --set overrides: {', '.join(usual)}")
    if weights is not None and not weights.expanduser().is_file():
        raise ConfigError(f"--weights: there is no file {weights}; name one that is there")
    run_name = name or preset or (runner.folder_name(config_file.stem) if config_file else None)
    if dry_run:
        return exit_codes.OK if launch.is_follower else runner.dry_run(config, run_name)
    return _train_in(lambda: runner.begin(config, run_name, typed), manner, launch)


def refuse_without_resume(
    start: str | None, *, accepts_changed_data: bool, restarts: bool, declines_trackers: bool
) -> None:
    """Refuse what says how a run is gone on with, where none is.

    Raises:
        ConfigError: one of them was given.
    """
    if start is not None:
        raise ConfigError("--from goes with --resume RUN: it branches off from a checkpoint of that run")
    if accepts_changed_data:
        raise ConfigError("--accept-changed-data goes with --resume: a new run takes the images that are there")
    if restarts:
        raise ConfigError("--restart is for --resume RUN: it begins a run anew whose checkpoints are lost")
    if declines_trackers:
        raise ConfigError("--no-trackers goes with --resume: a new run has those alone that are named")


def _detached(ui: str, launch: "Launch", *, is_dry: bool, has_form: bool) -> int:
    """Have a process of its own do what was asked."""
    from claf_tui.runners.detach import require_detachable, start_detached

    require_detachable(ui, is_dry=is_dry, has_form=has_form, has_others=launch.size > 1 or bool(launch.agent))
    return start_detached(sys.argv[1:], as_json=ui == "jsonl")


def _train_in(open_directory: "Callable[[], RunDirectory]", manner: "Manner", launch: "Launch") -> int:
    """Train in this process, or together with those that torchrun started with it."""
    if launch.size > 1 or launch.agent:
        from claf_engine.config.alerts import read_alerts
        from claf_tui.runners.together import train_together
        from claf_tui.runners.train import with_alerts

        if manner.on_hangup != "save":
            raise ConfigError(
                "torchrun ends its processes when it loses its terminal; leave --on-hangup out: setsid torchrun"
            )
        told = read_alerts(manner.alerts)
        return train_together(
            lambda: with_alerts(open_directory(), told),
            manner.ui,
            launch,
            manner.trackers,
            declines_trackers=manner.declines_trackers,
        )
    from claf_tui.runners.train import train_in

    return train_in(open_directory, manner)


def chosen_trackers(**chosen: bool) -> "tuple[TrackerName, ...]":
    """The trackers whose flags were given, by their names.

    Raises:
        DeviceError: what one needs is not installed.
    """
    from claf_tui.runners.trackers.choosing import LIBRARIES, require_installed

    names = tuple(name for name in LIBRARIES if chosen[name])
    require_installed(names)
    return names


def usual_settings(config: "RunConfig", values: Sequence[str] | None) -> list[str]:
    """Settings that `--model` brings with it, as far as `--set` does not say otherwise.

    A library's published weights expect a normalisation of their own, and a module of a file may ask for the usual
    layout of images in memory, which presets do not choose.

    Raises:
        ConfigError: the library has no such model, or is not installed.
    """
    from claf_engine.config.registry import library_of

    architecture, chosen = config.model.architecture, {value.partition("=")[0].strip() for value in values or ()}
    usual = {"runtime.layout": "contiguous"}
    if library_of(architecture):
        from claf_engine.models.library import require_known, usual_normalisation

        require_known(architecture)
        mean, std = usual_normalisation(architecture)
        is_chosen = config.model.is_normalisation_chosen
        usual = {} if is_chosen else {"model.mean": str(list(mean)), "model.std": str(list(std))}
    return [f"{key}={value}" for key, value in usual.items() if key not in chosen]


def refuse_beside_form(options_given: Mapping[str, object]) -> None:
    """Refuse options that the form has no line for.

    Raises:
        ConfigError: one was given.
    """
    given = [flag for flag, value in options_given.items() if value is not None and value is not False]
    if given:
        raise ConfigError(
            f"--form cannot be combined with {', '.join(given)}: it puts together a new run from a preset"
        )


def refuse_changes(options_given: Mapping[str, object]) -> None:
    """Refuse to resume a run under other settings.

    Raises:
        ConfigError: an option beside --resume was given.
    """
    given = [flag for flag, value in options_given.items() if value is not None and value is not False]
    if given:
        raise ConfigError(
            f"--resume cannot be combined with {', '.join(given)}: a resumed run keeps its configuration; --from STEP "
            "with --set branches off from it, and some values can be edited while it goes on (key e, claf-tui steer)"
        )
