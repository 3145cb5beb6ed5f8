"""Textual's way to the terminal, and back to it after a stop."""

import os
import signal

from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from claf_tui.console.attention import PUSH_TITLE, Shown, sequences, taken_back


class KeyboardLost(Message):
    """The terminal can be read no more."""


class ConsoleDriver(LinuxDriver):
    """Stops and goes on in the screen's loop, and leaves the terminal's mode before it enters it anew.

    Textual does both in the signal's handler, where a lock of what was interrupted is never released. And after a stop
    that it cannot notice (`kill -STOP`) it enters the mode twice: two threads then read the keys, and what is restored
    in the end is the console's own mode.

    A terminal that gives an error to a reader, as it does to a process whose shell has gone, ends the keys and not the
    console.

    What the terminal shows around the console is taken back whenever the console leaves it.
    """

    _shown = Shown()

    def attend(self, now: Shown, message: str = "") -> None:
        """Let the terminal show this around the console from now on, and pass a message on once."""
        before, self._shown = self._shown, now
        push = PUSH_TITLE if now.title and not before.title else ""
        if written := f"{push}{sequences(before, now)}{message}":
            self.write(written)
            self.flush()

    def stop_application_mode(self) -> None:
        """Leave the terminal as it was, its title and progress too."""
        if text := taken_back(self._shown, os.environ):
            self.write(text)
        self._shown = Shown()
        super().stop_application_mode()

    def run_input_thread(self) -> None:
        """Read keys until the mode is left, or the terminal."""
        try:
            super().run_input_thread()
        except OSError:
            self.send_message(KeyboardLost())

    def _sigtstp_application(self, *_: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)

    def _sigcont_application(self, *_: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._go_on)

    @property
    def _is_up(self) -> bool:
        return self._key_thread is not None and self._key_thread.is_alive()

    def _stop(self) -> None:
        if self._auto_restart and self._is_up:
            self.suspend_application_mode()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self) -> None:
        if not self._auto_restart or not self._app.is_running:
            return
        if self._is_up:
            self.suspend_application_mode()
        self._must_signal_resume = True
        self.resume_application_mode()
        self._app.refresh(layout=True)
