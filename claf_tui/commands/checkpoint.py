"""`claf-tui checkpoint show`, `browse`, `export` and `import`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import NamingName
from claf_tui.commands import completion, options
from claf_tui.reports import output
from claf_tui.words import exit_codes
from claf_tui.words.safe_text import safe

if TYPE_CHECKING:
    from claf_engine.evaluation.export_weights import Exported
    from claf_engine.evaluation.import_weights import Imported

app = typer.Typer(
    help="Look into checkpoints without loading them, export networks, and take over foreign weights.",
    no_args_is_help=True,
)

Which = Annotated[
    str, typer.Option("--checkpoint", metavar="best|last|STEP", help="Which checkpoint of a run; a file needs none.")
]
File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE|FOLDER",
        help="Weights saved by torch.save or as safetensors; or a folder with them and a config.json, as the Hub has.",
    ),
]
Arch = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Architecture, as of model.architecture: resnet18, wrn-34-10, torchvision:NAME, timm:NAME, ...; by "
        "default as config.json, or names and shapes, say.",
        show_default=False,
    ),
]
Name = Annotated[str | None, typer.Option(help="Name of the run's folder, after its date; the file's by default.")]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="What it was trained on: shapes, cifar10, folder:PATH or any other source of images; cifar10 unless "
        "config.json says otherwise.",
        autocompletion=completion.complete_sources,
        show_default=False,
    ),
]
Mean = Annotated[
    str | None, typer.Option(metavar="R,G,B", help="Channel means it normalises by; 0,0,0 unless the file says.")
]
Std = Annotated[str | None, typer.Option(metavar="R,G,B", help="Channel deviations; 1,1,1 unless the file says.")]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,C", help="Classes in the order of its outputs; alphabetical, as folders are, by default."
    ),
]

To = Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for config.json and the network; made if need be.")]
Format = Annotated[
    Literal["safetensors", "onnx", "hub"],
    typer.Option(help="Tensors; the network itself; or tensors and a README that is its robustness card."),
]
Names = Annotated[
    NamingName | None,
    typer.Option(help="What the tensors are called; by default as here.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="Replace files of an earlier export; others are left alone.")]


@app.command()
def show(checkpoint: options.Checkpoint, which: Which = "best", json: options.Json = False) -> int:
    """Show what a checkpoint's header says: where it is from, its figures, its tensors."""
    from claf_engine.runs import list_checkpoints, runs_root
    from claf_engine.runs.choosing import open_chosen
    from claf_engine.runs.header import read_info
    from claf_tui.reports import runs

    info = open_chosen(checkpoint, runs_root(), options.which_checkpoint(which), read_info)
    siblings = list_checkpoints(info.path.absolute().parent.parent)
    kept_as = next((entry.kept_as for entry in siblings if entry.path.name == info.path.name), ())
    imported = info.metadata.get("claf.imported")
    if json:
        output.record({**runs.checkpoint_record(info, kept_as), "imported": imported})
    else:
        output.show(*runs.checkpoint_tables(info, kept_as))
        if imported is not None:
            output.text(_origin(imported))
    return exit_codes.OK


@app.command()
def browse(run: options.Run = "latest", plugin: options.Plugins = None) -> int:
    """Browse the checkpoints of a run; evaluate, resume from or delete one."""
    options.load_plugins(plugin)
    from claf_engine.runs import find_run, is_live, runs_root
    from claf_tui.runners.ui_mode import choose_ui

    directory = find_run(run, runs_root())
    if choose_ui("auto") != "tui":
        raise ConfigError("the checkpoint browser needs a terminal; `claf-tui checkpoint show RUN` prints instead")
    from claf_tui.console.browser_app import BrowserApp

    request = BrowserApp(directory, is_live=lambda: is_live(directory)).run()
    from claf_tui.screens.checkpoints.actions import ResumeRequest

    if not isinstance(request, ResumeRequest):
        return exit_codes.OK
    from claf_tui.runners import train

    way, _ = train.asked_way(request)
    return train.train_in(lambda: train.reopen(way, sys.argv))


@app.command()
def export(  # noqa: PLR0913 (Typer declares one parameter per option)
    checkpoint: options.Checkpoint,
    to: To,
    format: Format = "safetensors",
    names: Names = None,
    classifier: options.Classifier = None,
    which: Which = "best",
    force: Force = False,
    json: options.Json = False,
    plugin: options.Plugins = None,
    model: options.Model = None,
) -> int:
    """Write the network of a checkpoint for other programs: safetensors, ONNX, or a folder for a model hub.

    What is written is opened again, and kept only if it gives the same logits. Nothing is uploaded.
    """
    options.load_plugins(plugin)
    options.load_model(model)
    from claf_engine.evaluation.export_weights import ExportRequest, export_checkpoint
    from claf_engine.runs import runs_root
    from claf_engine.runs.choosing import open_chosen

    def write(path: Path) -> "Exported":
        return export_checkpoint(ExportRequest(path, to, format, names, classifier, force))

    exported = open_chosen(checkpoint, runs_root(), options.which_checkpoint(which), write)
    if json:
        output.record(exported.to_record())
    else:
        output.text(_written(exported))
    return exit_codes.OK


@app.command("import")
def take_over(  # noqa: PLR0913 (Typer declares one parameter per option)
    file: File,
    arch: Arch = None,
    name: Name = None,
    data: Data = None,
    mean: Mean = None,
    std: Std = None,
    classes: Classes = None,
    json: options.Json = False,
    plugin: options.Plugins = None,
    model: options.Model = None,
) -> int:
    """Take over the weights of a network that was trained elsewhere, to evaluate it.

    Names are understood as torchvision, timm, kuangliu's CIFAR models, TRADES and RobustBench have them.

    The file is read as tensors and plain values, so that nothing in it is run. A tensor that does not fit is an error.
    """
    options.load_plugins(plugin, data)
    arch = arch or options.load_model(model)
    channels = _channels(mean, "--mean"), _channels(std, "--std")
    from claf_engine.evaluation.import_weights import ImportRequest, import_checkpoint
    from claf_engine.runs import runs_root
    from claf_tui.runners.train import folder_name

    chosen = name if name is not None else folder_name(file.name if file.is_dir() else file.stem)[:64]
    order = None if classes is None else tuple(name.strip() for name in classes.split(","))
    request = ImportRequest(file, arch, chosen, data, *channels, order, tuple(sys.argv))
    imported = import_checkpoint(request, runs_root())
    for notice in imported.notices:
        output.note(notice)
    if json:
        output.record(imported.to_record())
    else:
        output.text(_summary(imported))
    return exit_codes.OK


def _written(exported: "Exported") -> str:
    """What was written, and how it was checked."""
    naming = f", in the names of {exported.names}" if exported.names else ""
    card = "" if exported.has_card else "robustness: no card was there; `claf-tui eval` or `audit` makes one\n"
    return safe(
        f"exported: the {exported.classifier} classifier to {exported.folder}{naming}: {', '.join(exported.files)}", 400
    ) + (
        f"\n{card}checked:  opened by {exported.compared_with}, logits differ by at most {exported.difference:.1e} on "
        f"{exported.num_images} random images"
    )


def _channels(text: str | None, flag: str) -> tuple[float, ...] | None:
    """Read three numbers such as 0.49,0.48,0.45, or one for gray images.

    Raises:
        typer.BadParameter: they are not three numbers, nor one.
    """
    if text is None:
        return None
    try:
        values = tuple(map(float, text.split(",")))
    except ValueError:
        values = ()
    if len(values) not in (1, 3):
        raise typer.BadParameter(
            f"{text!r} is not three numbers, such as 0,0,0, nor one for gray images", param_hint=f"'{flag}'"
        )
    return values


def _summary(imported: "Imported") -> str:
    """What was taken over, where it lies, and the next command."""
    import shlex

    from claf_engine.config.sources import file_of
    from claf_tui.words.plugin_options import plugin_options

    by = f"by mean {_joined(imported.mean)} and deviation {_joined(imported.std)}"
    plugins = "".join(f" {shlex.quote(word)}" for word in plugin_options())
    lines = [
        f"imported: {imported.num_tensors} tensors of {imported.file}, SHA-256 {imported.file_sha256}",
        f"normalises {'by itself' if file_of(imported.arch) else by}",
        f"outputs: {', '.join(imported.output_order)}",
        f"untrained: {', '.join(imported.untrained)}",
        f"folder: {imported.directory}",
        f"next:   claf-tui eval {shlex.quote(imported.directory.name)}{plugins}",
    ]
    return "\n".join(safe(line, 400) for line in lines)


def _joined(channels: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in channels)


def _origin(imported: Any) -> str:
    """Where foreign weights come from; another writer may have put anything there."""
    said = imported if isinstance(imported, dict) else {}
    return safe(f"imported from {said.get('file')} ({said.get('arch')}), SHA-256 {said.get('sha256')}", 400)
