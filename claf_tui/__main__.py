"""The program: `claf-tui`, and `python -m claf_tui`."""

import os
import signal
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; a signal that comes while it is loaded ends the process with the signal's code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave_at_once)
    from claf_tui import cli

    cli.main()


def _leave_at_once(number: int, _frame: FrameType | None) -> None:
    """There is nothing to clean up yet, and an exception raised in the middle of an import may be swallowed there."""
    os._exit(128 + number)


if __name__ == "__main__":
    main()
