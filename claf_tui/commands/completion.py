"""What a shell offers when tab is pressed: runs, checkpoints, presets, settings with their values, methods, sources.

Nothing that is offered is run or trained, and nothing here needs torch. A folder that cannot be read offers nothing.
"""

import contextlib
import io
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import typer

from claf_engine.terms.errors import ClafError
from claf_engine.terms.names import EvaluationAttack, Method, Norm
from claf_tui.words import theme_names

if TYPE_CHECKING:
    from claf_engine.config.plugin_names import Kind

VARIABLE = "_CLAF_TUI_COMPLETE"
"""By which a shell asks; Typer makes it of the program's name."""
WORD_BREAKS = "=:"
"""Signs within a word of ours at which bash ends a word."""
RUN_PARAMETERS = ("resume", "run", "checkpoint")
"""What commands call the run that they are given; while a value is missing, it is an argument without a name."""
MAX_OFFERED = 200
SQUEEZERS = {
    "bit-depth:5": "round to 32 levels",
    "median:2": "median of 2x2 pixels",
    "nlm:13,3,2": "mean of pixels that look alike",
}
"""What a detector by squeezing compares with, and what each does."""
Offer = tuple[str, str]
"""A word, and what it means."""


def complete_runs(incomplete: str) -> list[str]:
    """Names of the runs that begin like this, newest first."""
    from claf_engine.runs import LATEST, run_names, runs_root

    latest = [LATEST] if LATEST.startswith(incomplete) else []
    return [*latest, *run_names(runs_root(), incomplete, MAX_OFFERED)]


def complete_checkpoints(incomplete: str) -> list[str]:
    """Runs, and after a slash the folders and checkpoint files of a path."""
    if "/" not in incomplete:
        return complete_runs(incomplete)
    folder, _, beginning = incomplete.rpartition("/")
    try:
        found = sorted(Path(folder or "/").expanduser().iterdir())[: 10 * MAX_OFFERED]
    except OSError:
        return []
    fits = [path for path in found if path.name.startswith(beginning) and (path.is_dir() or _is_checkpoint(path))]
    return [f"{folder}/{path.name}" + ("/" if path.is_dir() else "") for path in fits][:MAX_OFFERED]


def complete_steps(context: typer.Context, incomplete: str) -> list[Offer]:
    """Which checkpoint of the run that the line names: best, last, or the step of one."""
    from claf_engine.runs import find_run, list_checkpoints, runs_root
    from claf_engine.runs.header import step_in_name

    words = [("best", "the best by validation"), ("last", "the newest")]
    run = next(filter(None, (*map(context.params.get, RUN_PARAMETERS), *context.args)), None)
    with contextlib.suppress(ClafError, OSError):
        if isinstance(run, str):
            files = [entry.path for entry in list_checkpoints(find_run(run, runs_root()))]
            words += [(str(step), file.name) for file in files if (step := step_in_name(file.name)) is not None]
    return [word for word in words if word[0].startswith(incomplete)]


def complete_tags(incomplete: str) -> list[str]:
    """Tags of runs that begin like this."""
    from claf_engine.runs import run_names, runs_root
    from claf_engine.runs.labels import read_labels

    root = runs_root()
    tags = {tag for name in run_names(root, at_most=MAX_OFFERED) for tag in read_labels(root / name)[0].tags}
    return sorted(tag for tag in tags if tag.startswith(incomplete))


def complete_presets(incomplete: str) -> list[Offer]:
    """The presets that begin like this, each with what it is for."""
    from claf_engine.config.presets import preset_names, preset_summary

    return [(name, preset_summary(name)) for name in preset_names() if name.startswith(incomplete)]


def complete_settings(context: typer.Context, incomplete: str) -> list[Offer]:
    """Keys of settings that begin like this; after "=", or where one key is left, the values that it may have."""
    from claf_engine.config.fields import setting_fields

    key, equals, _ = incomplete.partition("=")
    fields = [each for each in setting_fields() if each.key == key or (not equals and each.key.startswith(key))]
    if len(fields) == 1:
        # A shell puts a space behind the only word that fits, which a key without its value cannot have.
        added = _of_plugins(context, "method", "loss") if fields[0].key == "method" else []
        values = [*fields[0].choices, *added, *(["none"] if fields[0].may_be_unset else [])]
        offers = [(f"{fields[0].key}={value}", "") for value in values]
        if equals or values:
            return [offer for offer in offers if offer[0].startswith(incomplete)]
    return [(f"{each.key}=", each.description or each.kind) for each in fields]


def complete_methods(context: typer.Context, incomplete: str) -> list[str]:
    """Methods that begin like this: ours, and those that plugins named on the line register."""
    known = (*get_args(Method), *_of_plugins(context, "method", "loss"))
    return [name for name in known if name.startswith(incomplete)]


def complete_norms(incomplete: str) -> list[str]:
    """Norms that begin like this."""
    return [name for name in get_args(Norm) if name.startswith(incomplete)]


def complete_attacks(context: typer.Context, incomplete: str) -> list[str]:
    """Attacks to measure with that begin like this: ours, and those that plugins named on the line register."""
    own = [name for part in get_args(EvaluationAttack) for name in (get_args(part) or (part,))]
    return [name for name in (*own, *_of_plugins(context, "attack")) if name.startswith(incomplete)]


def complete_detectors(incomplete: str) -> list[Offer]:
    """Detectors that begin like this, and after a plus the squeezers of one."""
    before, plus, beginning = incomplete.rpartition("+")
    if plus:
        return [(f"{before}+{name}", text) for name, text in SQUEEZERS.items() if name.startswith(beginning)]
    usual = {"squeezing": "bit depth, median and non-local means", "rectifier": "trained beside the network"}
    one = {f"squeezing:{name}": text for name, text in SQUEEZERS.items()}
    return [(name, text) for name, text in {**usual, **one}.items() if name.startswith(incomplete)]


def complete_sources(context: typer.Context, incomplete: str) -> list[str]:
    """Data sources that begin like this; after a form that a path follows, the folders there."""
    from claf_engine.config.sources import ON_DISK, TORCHVISION, TORCHVISION_NAMES

    form = next((form for form in ON_DISK if incomplete.startswith(form)), None)
    if form is not None:
        return [form + path for path in _folders(incomplete.removeprefix(form))]
    plugins = [f"{name}:" for name in _of_plugins(context, "data")]
    known = ["shapes", "cifar10", *ON_DISK, *(TORCHVISION + name for name in TORCHVISION_NAMES), *plugins]
    return [name for name in known if name.startswith(incomplete)]


def complete_themes(incomplete: str) -> list[Offer]:
    """Our themes of the console that begin like this; those of Textual would take as long as Textual to load."""
    return [(name, text) for name, text in theme_names.SUMMARIES.items() if name.startswith(incomplete)]


def _of_plugins(context: typer.Context, *kinds: "Kind") -> list[str]:
    from claf_engine.config.plugin_names import names_in

    files = context.params.get("plugin") or ()
    return [name for file in files for name in names_in(Path(file), *kinds)]


def _folders(beginning: str) -> list[str]:
    folder, slash, name = beginning.rpartition("/")
    try:
        found = sorted(Path(f"{folder}{slash}" or ".").expanduser().iterdir())
    except OSError:
        return []
    hidden = name.startswith(".")
    fits = [path.name for path in found if path.name.startswith(name) and hidden >= path.name.startswith(".")]
    return [f"{folder}{slash}{each}" for each in fits][:MAX_OFFERED]


def _is_checkpoint(path: Path) -> bool:
    return path.suffix == ".safetensors" and not path.name.startswith(".")


@contextlib.contextmanager
def words_whole() -> Iterator[None]:
    """While bash asks: take "attack.norm=l" as one word though bash breaks it at "=", and offer it the last part only.

    Without this a setting would be completed to nothing, because bash hands over three words.
    """
    if os.environ.get(VARIABLE) != "complete_bash":
        yield
        return
    words, current = _bash_words()
    joined, head = _rejoined(words, current)
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = shlex.join(joined), str(len(joined) - 1)
    offered, stdout = io.StringIO(), sys.stdout
    try:
        with contextlib.redirect_stdout(offered):
            yield
    finally:
        lines = offered.getvalue().splitlines()
        stdout.write("".join(f"{line.removeprefix(head)}\n" for line in lines))
        stdout.flush()


def _bash_words() -> tuple[list[str], int]:
    try:
        words = shlex.split(os.environ.get("COMP_WORDS", ""))
    except ValueError:  # an open quote
        words = os.environ.get("COMP_WORDS", "").split()
    number = os.environ.get("COMP_CWORD", "")
    return words, int(number) if number.isdecimal() else len(words)


def _rejoined(words: list[str], current: int) -> tuple[list[str], str]:
    """Words up to the one that is typed, with what bash broke at its signs joined again.

    Returns:
        The words, and the beginning of the last one that bash takes for words of their own.
    """
    typed = [*words[:current], words[current] if current < len(words) else ""]
    joined: list[str] = []
    ends_open = False
    for word in typed:
        is_break = bool(word) and not word.strip(WORD_BREAKS)
        if joined[1:] and (is_break or ends_open):
            joined[-1] += word
        else:
            joined.append(word)
        ends_open = is_break
    # Whoever took a sign out of bash's word breaks gets whole words, and nothing may be cut off them.
    kept = 0 if ends_open else len(typed[-1])
    return joined, joined[-1][: len(joined[-1]) - kept]
