"""Titles and questions of the checkpoint browser. Pure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from textual.content import Content

from claf_tui.screens.checkpoints.actions import Entry
from claf_tui.screens.confirm_dialog import CANCEL, Answer, ConfirmScreen
from claf_tui.state.outcome import probed_notice
from claf_tui.words import attack_words
from claf_tui.words.attack_words import PIXEL
from claf_tui.words.safe_text import safe


def browser_title(directory: Path, entries: Sequence[Entry], *, is_live: bool) -> Content:
    """Name the run and say how many checkpoints it has."""
    return Content.assemble(
        (" checkpoints ", "bold $primary"),
        (safe(directory.name, 60), "$foreground"),
        (f" · {len(entries)} files{' · this run is live' if is_live else ''}", "$foreground 60%"),
    )


def list_title(entries: Sequence[Entry]) -> Content:
    """Head the list of checkpoints, with a warning where its robust accuracies are not what they seem."""
    warning = robust_caveat(entries)
    doubts = dict.fromkeys(probed_notice(entry.info) for entry in entries if entry.info is not None)
    told = [f" · robust is {warning}"] * bool(warning)
    told += [f" · {attack_words.DOUBTED} {text}" for text in doubts if text]
    return Content.assemble("checkpoints, newest first", ("".join(told), "bold $warning"))


def robust_caveat(entries: Sequence[Entry]) -> str:
    """Say that the robust accuracies of a list of checkpoints are not accuracy in a ball; empty where they are."""
    for entry in entries:
        config = entry.info.metadata.get("claf.config") if entry.info is not None else None
        probe = config.get("probe") if isinstance(config, Mapping) else None
        space = probe.get("space", PIXEL) if isinstance(probe, Mapping) else PIXEL
        if space != PIXEL:
            return attack_words.caveat_text(space, None)
    return ""


def classifier_question(names: Sequence[str], verb: str = "evaluate") -> ConfirmScreen:
    """Ask which classifier to evaluate, or to do something else with; ends with its name."""
    answers = [*(Answer(str(number), name, name) for number, name in enumerate(names, 1)), CANCEL]
    text = f"This checkpoint has {len(names)} trained classifiers; it was measured with the first."
    return ConfirmScreen(f"{verb} which classifier?", text, answers)


def deletion_question(entry: Entry) -> ConfirmScreen:
    """Ask whether to delete a checkpoint; ends with "delete" if so."""
    kept = f", kept as {', '.join(entry.kept_as)}" if entry.kept_as else ""
    text = f"{entry.path.name}{kept}\nThere is no way to get it back."
    return ConfirmScreen("delete this checkpoint?", text, [Answer("y", "delete", "delete", "error"), CANCEL])
