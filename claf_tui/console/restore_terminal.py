"""Brings a terminal back as the console found it; run as a program, when the process that began it dies.

A process that is killed, or aborted by a C library, cannot clean up after itself. A small one beside it can: it waits
for a byte, which says that all is well, or for the end of the pipe, which says that nobody is left to write one. It
imports next to nothing, so that it is up within milliseconds.
"""

import os
import select
import signal
import sys
import termios
from collections.abc import Mapping

RESET = (
    "\x1b[?2026l"  # what was drawn in part is shown
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  # mouse reports off
    "\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[<u"  # bracketed paste, reports of focus and size, extended keys off
    "\x1b[?1049l\x1b[?7h\x1b[?25h\x1b[0m"  # main screen, long lines wrapped, cursor on, plain colours
)
POP_TITLE = "\x1b[23;2t"
"""Gives the window the title that it had when the console came."""
NO_PROGRESS = "\x1b]9;4;0;0\x07"
NEWEST_QUIET_VTE = 7900
"""VTE shows progress from this version on."""
LOOK_SECONDS = 1.0
"""How often is looked whether the parent lives; a child of it may hold the pipe open after its death."""
WRITE_SECONDS = 1
"""How long a terminal that does not read is waited for."""
INPUT, LOCAL = 0, 3
"""Places of the two modes in what termios gives that the console changes."""

Modes = tuple[int, int]


def shows_progress(environment: Mapping[str, str]) -> bool:
    """Whether a terminal is known to show OSC 9;4 as progress; others take it for a message to the person's desktop."""
    vte = environment.get("VTE_VERSION", "")
    if environment.get("TMUX"):
        return False
    return (
        "WT_SESSION" in environment
        or environment.get("ConEmuANSI") == "ON"
        or environment.get("TERM_PROGRAM") == "ghostty"
        or (vte.isdecimal() and int(vte) >= NEWEST_QUIET_VTE)
    )


def wrapped(sequence: str, environment: Mapping[str, str]) -> str:
    """A sequence as the terminal around tmux gets it, where tmux is told to pass such on."""
    if not environment.get("TMUX"):
        return sequence
    return f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"


def modes_of(keyboard: int) -> Modes:
    """Read the input and the local modes of a terminal.

    Raises:
        termios.error: the descriptor is no terminal, or one that is gone.
    """
    attributes = termios.tcgetattr(keyboard)
    return attributes[INPUT], attributes[LOCAL]


def restore_modes(keyboard: int, modes: Modes) -> None:
    """Set the modes again, unless somebody else has set his own.

    The console takes away that keys make signals, which no shell does: where they do again, a shell has the terminal.

    Raises:
        termios.error: the descriptor is no terminal, or one that is gone.
    """
    attributes = termios.tcgetattr(keyboard)
    if not attributes[LOCAL] & termios.ISIG:
        attributes[INPUT], attributes[LOCAL] = modes
        termios.tcsetattr(keyboard, termios.TCSANOW, attributes)


def _parent_died(pipe: int) -> bool:
    parent = os.getppid()
    while not select.select([pipe], [], [], LOOK_SECONDS)[0]:
        if os.getppid() != parent:
            return True
    return not os.read(pipe, 1)


def main(pipe: int, screen: int, keyboard: int, modes: Modes) -> None:
    """Wait for the parent's word or its death, and restore the terminal after the latter."""
    if not _parent_died(pipe):
        return
    signal.alarm(WRITE_SECONDS)  # ends this process where it waits for a terminal that does not read
    try:
        restore_modes(keyboard, modes)
        progress = NO_PROGRESS if shows_progress(os.environ) else ""
        os.write(screen, f"{RESET}{POP_TITLE}{progress}".encode())
    except (OSError, termios.error):
        return  # the terminal is gone as well: there is nothing to bring back


if __name__ == "__main__":
    _keyboard, _input, _local = (int(argument) for argument in sys.argv[1:])
    main(0, 1, _keyboard, (_input, _local))
