"""Which user interface a run gets."""

import os
import sys
from collections.abc import Mapping
from typing import Literal

from claf_engine.terms.errors import ConfigError

Ui = Literal["tui", "plain", "jsonl"]


def choose_ui(
    asked: str,
    environment: Mapping[str, str] = os.environ,
    *,
    is_terminal: bool | None = None,
    in_background: bool | None = None,
) -> Ui:
    """Pick the console where a person sits in front of a terminal, and plain lines otherwise.

    Args:
        asked: auto, tui, plain or jsonl.
        environment: TERM and CI are looked at.
        is_terminal: whether stdin, stdout and stderr all are terminals; looked up by default.
        in_background: whether the terminal is another job's now; looked up by default.

    Raises:
        ConfigError: the console was asked for where there is no terminal, or in the background of one.
    """
    if is_terminal is None:
        is_terminal = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    can_draw = is_terminal and environment.get("TERM", "dumb") not in {"", "dumb"}
    if asked == "tui" and not can_draw:
        raise ConfigError("--ui tui needs a terminal on stdin, stdout and stderr; use --ui plain or jsonl")
    if can_draw and asked in ("auto", "tui"):
        can_draw = not (is_in_background() if in_background is None else in_background)
    if asked == "tui" and not can_draw:
        raise ConfigError(
            "--ui tui would draw over the job that has the terminal now; leave the & out, or use --ui plain"
        )
    if asked == "auto":
        return "tui" if can_draw and not environment.get("CI") else "plain"
    return "tui" if asked == "tui" else "jsonl" if asked == "jsonl" else "plain"


def is_in_background(terminal: int = 0) -> bool:
    """Whether another job of this session has the terminal, so that nobody types to this one.

    A shell starts a job so with `&`. The system stops one that changes the terminal from there, but not in a sub-shell:
    there nobody could let it go on.
    """
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # a terminal that controls nobody here has no jobs
        return False
