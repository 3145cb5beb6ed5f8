"""What a run that broke off has saved, and the command that a person most likely wants next, ready to be pasted."""

import shlex
from pathlib import Path

from claf_engine.events import RunFinished
from claf_engine.runs.header import step_in_name
from claf_tui.words import figures
from claf_tui.words.safe_text import safe


def next_command(finished: RunFinished | None, run: str, folder: str | Path) -> str:
    """What to type next.

    Args:
        finished: how the run ended; None where it broke off without a word.
        run: what commands call it, quoted.
        folder: the run's.
    """
    # It loads what checks settings, which a list of runs, that needs other words of this module, has no use for.
    from claf_tui.words.plugin_options import plugin_options

    plugins = safe("".join(f" {shlex.quote(word)}" for word in plugin_options()), 400)
    match finished.status if finished is not None else "failed":
        case "finished":
            return f"claf-tui eval {run} --eps 16/255{plugins}"
        case "stopped":
            restart = "" if finished is not None and finished.checkpoint else " --restart"
            return f"claf-tui train --resume {run}{restart}{plugins}"
        case "diverged":
            return f"claf-tui train {_way_back(finished, run, folder)}{plugins}"
    return "claf-tui runs"


def saved_text(finished: RunFinished) -> str:
    """Where a run that was stopped can go on from: its newest checkpoint, which may be older than its last step."""
    if not finished.checkpoint:
        return "nothing was saved that can be read; the run can only begin anew"
    step = step_in_name(finished.checkpoint)
    place = f"at step {figures.count(step)}" if step is not None else f"in {safe(Path(finished.checkpoint).name, 60)}"
    lost = finished.step - step if step is not None else 0
    later = f", {figures.count(lost)} {'step' if lost == 1 else 'steps'} before the end" if lost > 0 else ""
    return f"saved {place}{later}; the run can go on from there"


def _way_back(finished: RunFinished | None, run: str, folder: str | Path) -> str:
    """The options that branch off from the newest checkpoint, or that begin anew where there is none."""
    proposed = finished.way_back if finished is not None else ()
    settings = "".join(f" --set {shlex.quote(safe(setting, 100))}" for setting in proposed)
    step = step_in_name(finished.checkpoint) if finished is not None and finished.checkpoint else None
    if step is None:
        return f"--config {shlex.quote(safe(Path(folder) / 'config.toml', 400))}{settings}"
    return f"--resume {run} --from {step}{settings}"
