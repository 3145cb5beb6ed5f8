"""Weights & Biases: figures go where its own variables say, and stay on this machine where nobody is logged in."""

import netrc
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from claf_engine import events as ev

PROJECT = "claf-tui"


class WeightsAndBiases:
    """One run of theirs for a run of ours, under its name; steps that it has already are not recorded again."""

    name = "wandb"

    def __init__(self) -> None:
        self._run: Any = None

    def begin(self, run: ev.RunStarted) -> str:
        """Begin, or go on with, the run of this name."""
        import wandb

        directory = Path(run.directory)
        is_offline = not has_key(dict(os.environ))
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=directory.name,
            name=directory.name,
            dir=str(directory),
            config=dict(run.config),
            resume="allow",
            mode="offline" if is_offline else None,
            settings=wandb.Settings(console="off", silent=True),
        )
        if is_offline:
            return f"records offline below {directory / 'wandb'}; `wandb sync` sends that"
        return f"records run {directory.name}"

    def scalars(self, step: int, values: dict[str, float], at: float) -> None:
        """Send numbers of one step."""
        self._run.log({**values, "time": at}, step=step)

    def probed(self, step: int) -> None:
        """Pictures stay here."""

    def end(self, status: str) -> None:
        """Finish their run."""
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status in ("finished", "stopped") else 1)


def has_key(environment: dict[str, str]) -> bool:
    """Whether somebody is logged in here, or nobody need be; otherwise the library would ask at the keyboard."""
    if environment.get("WANDB_API_KEY") or environment.get("WANDB_MODE") in ("offline", "disabled"):
        return True
    host = urlsplit(environment.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    try:
        return netrc.netrc(environment.get("NETRC") or None).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
