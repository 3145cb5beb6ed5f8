"""The program: `claf-tui`, and `python -m claf_tui`."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

UNFIT = 5
"""The exit code of `claf_tui.words.exit_codes.DEVICE`, which cannot be imported yet."""
WINDOWS = "claf-tui needs Linux, and does not run on Windows itself; install WSL (wsl --install), and claf-tui in there"


def main() -> NoReturn:
    """Run the command line; a signal that comes while it is loaded ends the process with the signal's code."""
    if sys.platform == "win32":  # which lacks signals, file locks and terminal modes that modules import
        _refuse(WINDOWS)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave_at_once)
    try:
        from claf_tui import cli
    except ModuleNotFoundError as error:
        if _is_ours(error.name or "claf_tui"):
            raise
        from claf_engine.terms.installation import install_line

        _refuse(f"{error.name} is not installed beside claf-tui; {install_line()} installs all that it needs")
    cli.main()


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in {"claf_engine", "claf_tui"}


def _refuse(sentence: str) -> NoReturn:
    sys.stderr.write(f"error: {sentence}\n")
    sys.exit(UNFIT)


def _leave_at_once(number: int, _frame: FrameType | None) -> None:
    """There is nothing to clean up yet, and an exception raised in the middle of an import may be swallowed there."""
    os._exit(128 + number)


if __name__ == "__main__":
    main()
