"""Keeps the terminal sane beyond the death of this process: by SIGKILL, SIGSEGV, SIGABRT, or for want of memory."""

import os
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from claf_tui.console import restore_terminal
from claf_tui.console.terminal import KEYBOARD

PATIENCE = 3.0
"""Seconds that the small process gets to leave; it needs a hundredth of one."""


class TerminalKeeper:
    """The small process beside this one that restores the terminal when this one dies (see `restore_terminal`).

    It has a session of its own: no signal to this process or its group reaches it, and no terminal can stop it.

    Args:
        screen: descriptor that is drawn on.

    Raises:
        OSError: the process cannot be started.
        termios.error: nothing is typed on a terminal here.
    """

    def __init__(self, screen: int) -> None:
        self._screen = screen
        self._modes = restore_terminal.modes_of(KEYBOARD)
        keyboard = os.dup(KEYBOARD)
        arguments = [keyboard, *self._modes]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", restore_terminal.__file__, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=screen,
                stderr=subprocess.DEVNULL,
                pass_fds=(keyboard,),
                start_new_session=True,
                cwd="/",
            )
        finally:
            os.close(keyboard)

    def restore(self) -> None:
        """Have the terminal restored as after a death; nothing that this process draws shows any more."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._screen)
        os.close(null)
        self._end()

    def release(self) -> None:
        """Set the modes of the terminal again, whatever became of them meanwhile, and let the process go."""
        with suppress(termios.error):  # the terminal is gone
            restore_terminal.restore_modes(KEYBOARD, self._modes)
        assert self._process.stdin is not None
        if self._process.stdin.closed:
            return
        with suppress(BrokenPipeError):  # somebody ended it, which takes nothing away from a proper end
            self._process.stdin.write(b".")
            self._process.stdin.flush()
        self._end()

    def _end(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()


@contextmanager
def kept_terminal(screen: int, log_file: TextIO) -> Iterator[TerminalKeeper | None]:
    """Keep the terminal while the console has it; it is restored too when an error ends the block.

    Args:
        screen: descriptor that is drawn on.
        log_file: is told when the terminal cannot be kept.

    Yields:
        The keeper, or None where there is no terminal or the keeper cannot be started.
    """
    keeper = None
    try:
        keeper = TerminalKeeper(screen)
    except termios.error:
        pass  # no terminal: nothing of it can be left behind
    except OSError as error:
        log_file.write(f"the terminal will not be restored should this process be killed: {error}\n")
    try:
        yield keeper
    except BaseException:
        if keeper is not None:
            keeper.restore()
        raise
    if keeper is not None:
        keeper.release()
