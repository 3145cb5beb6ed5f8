"""Options of commands: how each reads its value, what its help says, and shell completion for it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import Norm as NormName
from claf_engine.terms.names import PointName, SpaceName
from claf_engine.terms.pixels import LONGEST, parse_distance, parse_radii
from claf_tui.commands.completion import (
    complete_attacks,
    complete_checkpoints,
    complete_detectors,
    complete_norms,
    complete_presets,
    complete_runs,
    complete_settings,
    complete_sources,
    complete_steps,
)
from claf_tui.reports import output

if TYPE_CHECKING:
    from claf_engine.config import RunConfig
    from claf_engine.evaluation.model_source import ModelSource
    from claf_tui.state.draft import Draft

KEYS = {
    "--data": "data.source",
    "--seed": "seed",
    "--device": "runtime.device",
    "--method": "method",
    "--model": "model.architecture",
    "--weights": "model.weights",
}
"""Flags that stand for one key of the configuration."""


def load_plugins(files: Sequence[Path] | None, source: str | None = None, values: Sequence[str] | None = None) -> None:
    """Load the plugins of a command, before anything that they may add is named; one that adds nothing is told.

    Args:
        files: the plugins.
        source: a data source that the command names; where it is a function of a file, that file is loaded too.
        values: settings of the command, which may name one.

    Raises:
        ConfigError: one cannot be loaded.
    """
    from claf_engine.config.launch import Launch
    from claf_engine.config.sources import file_of

    set_to = [value.partition("=")[2].strip() for value in values or () if value.startswith("data.source=")]
    named = [file for text in (source, *set_to) if text is not None and (file := file_of(text)) is not None]
    if not files and not named:
        return
    from claf_engine.config.plugins import load_plugin

    for file in named:
        load_plugin(Path(file), as_data=True)
    for path in files or ():
        is_empty = not load_plugin(path).registered and str(path) not in named
        if is_empty and not Launch.from_environment().is_follower:
            output.note(
                f"warning: the plugin {path} registers nothing; decorate a function with register_loss or the like, "
                "unless its functions give data"
            )


def load_model(text: str | None) -> str | None:
    """The name of the architecture that `--model` stands for, whose file is run; None where it was not given.

    Raises:
        ConfigError: it names no model.
    """
    if text is None:
        return None
    from claf_engine.config.plugins import load_model

    return load_model(text)


def model_source(
    checkpoint: str | None, model: str | None, weights: Path | None, out: Path | None
) -> "ModelSource | None":
    """The model that is measured in place of a checkpoint; None where a checkpoint is named.

    A file is run in both cases: a checkpoint of a run that trained its model needs it.

    Raises:
        ConfigError: neither is named, or both are and do not go together.
    """
    if checkpoint is None and model is None:
        raise ConfigError("name a run or a checkpoint, or a model with --model and --data")
    name = load_model(model)
    if checkpoint is None and name is not None:
        from claf_engine.evaluation.model_source import ModelSource

        if out is not None:
            make_folder(out)
        return ModelSource(name, weights, out)
    given = [flag for flag, value in (("--weights", weights), ("--out", out)) if value is not None]
    if given:
        raise ConfigError(
            f"{' and '.join(given)} go with --model and no checkpoint, and {checkpoint} is one; leave it out"
        )
    return None


def make_folder(path: Path) -> None:
    """Make the folder that was named with `--out`, where it is not there.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out: cannot make the folder {path}: {error.strerror}; name another") from error


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
    from claf_engine.config.presets import Override, parse_override, resolve_config

    overrides = [parse_override(value) for value in values or ()]
    overrides += [Override(KEYS[flag], value, flag) for flag, value in (flags or {}).items() if value is not None]
    return resolve_config(preset, config_file, overrides)


def drafted(
    preset: str | None,
    values: Sequence[str] | None,
    flags: Mapping[str, object],
    name: str | None,
    plugins: Sequence[Path] | None,
) -> "Draft":
    """The options of a command as the beginning of a form.

    Raises:
        ConfigError: a value is not KEY=VALUE, or a setting is wrong.
    """
    from claf_engine.config.presets import DEFAULT_PRESET, parse_override
    from claf_tui.state.draft import Draft

    typed = {parse_override(value).key: value.partition("=")[2].strip() for value in values or ()}
    typed |= {KEYS[flag]: str(value) for flag, value in flags.items() if value is not None}
    return Draft(preset or DEFAULT_PRESET, typed, name or "", tuple(plugins or ())).tidy()


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


def step_length(text: str) -> str:
    """Check the length of a step in any norm and give it back as text.

    Raises:
        typer.BadParameter: it is no distance.
    """
    try:
        parse_distance(text, LONGEST)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


def norm_name(text: str) -> str:
    """The name of a norm.

    Raises:
        typer.BadParameter: there is none of this name.
    """
    if text not in get_args(NormName):
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(get_args(NormName))}")
    return text


def radii(text: str) -> str:
    """Check one radius, or a range of them such as 0:16/255:2/255, and give it back as text.

    Whether it is too long depends on the norm, which is another option.

    Raises:
        typer.BadParameter: it is neither.
    """
    try:
        parse_radii(text, LONGEST)
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


def percentage(text: str) -> float:
    """Read a share strictly between 0 and 1, such as 5% or 0.05.

    Raises:
        typer.BadParameter: it is none.
    """
    number = text.removesuffix("%")
    try:
        value = float(number) / (100 if number != text else 1)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise typer.BadParameter(f"{text!r} is not a share between 0 and 1, such as 5% or 0.05")
    return value


def which_checkpoint(text: str, flag: str = "--checkpoint") -> Literal["best", "last"] | int:
    """Read which checkpoint of a run is meant; a complaint names the flag.

    Raises:
        typer.BadParameter: it is neither best, last nor a step.
    """
    if text == "best":
        return "best"
    if text == "last":
        return "last"
    if text.isascii() and text.isdigit():
        return int(text)
    raise typer.BadParameter(f"{text!r} is neither best, last nor a step", param_hint=f"'{flag}'")


Run = Annotated[str, typer.Argument(help="A run: its folder, its name, or latest.", autocompletion=complete_runs)]
NamedRun = Annotated[
    str, typer.Argument(metavar="RUN", help="A run: its folder, its name, or latest.", autocompletion=complete_runs)
]
"""The same where something follows, so that it must be named."""
Checkpoint = Annotated[
    str,
    typer.Argument(
        metavar="RUN|CHECKPOINT",
        help="A run (its folder, its name, or latest) or a .safetensors file of one.",
        autocompletion=complete_checkpoints,
    ),
]
CheckpointOrModel = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN|CHECKPOINT",
        help="A run (its folder, its name, or latest) or a .safetensors file of one; or none, with --model.",
        autocompletion=complete_checkpoints,
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="FILE.py:FUNCTION|LIBRARY:NAME",
        help="A function of yours that builds a module from pixels in [0, 1] to logits, whose file is run; or "
        "torchvision:NAME or timm:NAME.",
        rich_help_panel="Model",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Its weights: .safetensors, .pt or .pth of a state dict.",
        rich_help_panel="Model",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="Below which the cards of a --model are kept; by default beside its weights, else beside its file.",
        rich_help_panel="Model",
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
        autocompletion=complete_settings,
        help="One setting, such as attack.epsilon=4/255; repeat it for several.",
        rich_help_panel="Settings",
    ),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE.py",
        help="Run a Python file of yours that registers a method, model, data source or attack; repeat it for several.",
        rich_help_panel="Settings",
    ),
]
Last = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Only the N newest; all by default.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

Attack = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="pgd, fgsm, mi-fgsm, or autoattack, which takes hours; universal or universal-deepfool, one perturbation "
        "for all images, crafted on training images; or the name that a plugin registers.",
        autocompletion=complete_attacks,
        rich_help_panel="Attack",
    ),
]
Epsilons = Annotated[
    list[str] | None,
    typer.Option(
        "--eps",
        metavar="N/255|START:STOP:STEP",
        parser=radii,
        help="Radius of the attack; repeat it for several, or give a range for a robustness curve. "
        "8/255 and 16/255 by default; 0.25 and 0.5 in L2, 6 and 12 in L1.",
        rich_help_panel="Attack",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Attack steps; by default as many as cross the ball of each radius, at least 10. Of a universal "
        "perturbation passes over the images that it is crafted on, 10.",
        show_default=False,
        rich_help_panel="Attack",
    ),
]
CraftedOn = Annotated[
    int | None,
    typer.Option(
        "--crafted-on",
        min=1,
        metavar="N",
        help="Training images that a universal perturbation is crafted on; 1,000 by default, or all.",
        show_default=False,
        rich_help_panel="Attack",
    ),
]
AsPaper = Annotated[
    bool,
    typer.Option(
        "--as-paper",
        help="Attack as the paper does: ten steps of 2/255 from one start, the last point decides. Where they cannot "
        "cross the ball, a second figure from steps that can stands beside.",
        rich_help_panel="Attack",
    ),
]
StepSize = Annotated[
    str | None,
    typer.Option(
        metavar="N/255",
        parser=step_length,
        help="Length of one step; by default 2/255 (pgd), epsilon / steps (mi-fgsm), or 2.5 epsilon / steps in L2 and "
        "L1.",
        rich_help_panel="Attack",
    ),
]
Restarts = Annotated[
    int | None,
    typer.Option(min=1, help="Random starts, the worst one counts; 1 by default.", rich_help_panel="Attack"),
]
Decides = Annotated[
    PointName | None,
    typer.Option(
        metavar="last|any",
        help="Point of an attack that decides: its last one, by default; or any, which is stricter and cheaper.",
        rich_help_panel="Attack",
    ),
]
Norms = Annotated[
    list[str] | None,
    typer.Option(
        "--norm",
        metavar="linf|l2|l1",
        parser=norm_name,
        autocompletion=complete_norms,
        help="Norm of the epsilon-ball, linf by default; repeat it, each with its own --eps in the same order, for the "
        "worst case over several balls too.",
        rich_help_panel="Attack",
    ),
]
Space = Annotated[
    SpaceName,
    typer.Option(
        help="What is attacked: the image, or the clamped normalised values of the paper's released code, "
        "whose figures are not accuracy in an epsilon-ball.",
        rich_help_panel="Attack",
    ),
]
Defence = Annotated[
    str | None,
    typer.Option(
        metavar="bit-depth:N|median:N|nlm:S,P,H|rectifier|defense-gan",
        help="What changes images before the classifier, which is attacked with and without knowledge of it: a "
        "squeezer, or what its run trained beside it, a rectifier or a generator (defense-gan:R,L: R restarts of L "
        "steps).",
        rich_help_panel="What",
    ),
]
Detector = Annotated[
    str | None,
    typer.Option(
        "--detector",
        metavar="squeezing[:SQUEEZER+...]|rectifier",
        help="Reject suspicious images, such as those that squeezing:bit-depth:5+median:2 makes the classifier change "
        "its mind about; attacked with and without knowledge of that.",
        autocompletion=complete_detectors,
        rich_help_panel="What",
    ),
]
FalsePositiveRate = Annotated[
    float | None,
    typer.Option(
        "--fpr",
        metavar="SHARE",
        parser=percentage,
        help="Share of natural images that a --detector may reject, which its threshold is set by on validation "
        "images; 5% by default.",
        rich_help_panel="What",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the random starts.", rich_help_panel="Attack")]
Classifier = Annotated[
    Literal["attack", "natural", "adversarial"] | None,
    typer.Option(
        metavar="NAME",
        help="attack, natural or adversarial; by default the one the checkpoint was measured with.",
        rich_help_panel="What",
    ),
]
WhichMeasured = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="best|last|STEP",
        help="Which checkpoint of the run; best by default, and last with a defence or detector that is trained "
        "beside the network, which earlier ones may lack.",
        autocompletion=complete_steps,
        show_default=False,
        rich_help_panel="What",
    ),
]
Which = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        metavar="best|last|STEP",
        help="Which checkpoint of the run.",
        autocompletion=complete_steps,
        rich_help_panel="What",
    ),
]
NumExamples = Annotated[int | None, typer.Option(min=1, help="Test images; all by default.", rich_help_panel="What")]
TestData = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help="Other test images than the run's own.",
        autocompletion=complete_sources,
        rich_help_panel="What",
    ),
]
AcceptChangedData = Annotated[
    bool,
    typer.Option(
        "--accept-changed-data",
        help="Go on although the run's own images are not those that it was trained with; the change is recorded.",
        rich_help_panel="What",
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Images at a time.", rich_help_panel="What")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel="What")]
