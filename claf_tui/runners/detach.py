"""A run in a process of its own, which no terminal ends; and the process that starts it and waits until it has begun.

The other process is this command once more, in a session of its own. Until its run has begun it prints to the terminal
of whoever starts it, who so sees what is loaded and what is wrong; from then on to the log of the run. It tells on a
pipe that it has begun.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from claf_engine import events as ev
from claf_engine.terms.errors import ConfigError
from claf_tui.reports import output
from claf_tui.reports.streams import send_to
from claf_tui.runners.lines import LOG
from claf_tui.words import exit_codes

BEGUN = "--begun-fd"
"""Option of the detached process that names the descriptor of the pipe; no person gives it."""


def require_detachable(ui: str, *, is_dry: bool = False, has_form: bool = False, has_others: bool = False) -> None:
    """Refuse to detach what could not go on alone.

    Raises:
        ConfigError: it is nothing that trains unseen, or it would end together with this process.
    """
    if ui == "tui":
        raise ConfigError("--detach leaves no console; leave --ui out and `claf-tui watch` the run")
    if is_dry:
        raise ConfigError("--dry-run trains nothing that could be detached; leave --detach out")
    if has_form:
        raise ConfigError("--form needs the terminal; leave --detach out, and leave the run going with q, then l")
    if has_others:
        raise ConfigError(
            "--detach is for one process, and torchrun started this one; detach torchrun itself: setsid torchrun"
        )
    if os.getpid() == 1:
        raise ConfigError(
            "a container ends with its first process, which this is; leave --detach out and detach the container"
        )


def start_detached(arguments: Sequence[str], *, as_json: bool = False) -> int:
    """Start a command that trains in a process of its own, and come back once its run has begun.

    Args:
        arguments: of the command line; `--detach` is one of them.
        as_json: say which run it is as JSON on stdout.

    Returns:
        0, or the exit code of a command whose run did not begin, which has said why.
    """
    reading, writing = os.pipe()
    # A module that happens to lie in the working folder must not take the place of one of Python's.
    safely = [] if os.getcwd() in sys.path else ["-P"]
    command = [sys.executable, *safely, "-m", "claf_tui", *arguments, BEGUN, str(writing)]
    with os.fdopen(reading, encoding="utf-8") as pipe:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(writing,), start_new_session=True)
        finally:
            os.close(writing)
        try:
            told = pipe.readline()
            code = 0 if told else process.wait()
        except (KeyboardInterrupt, SystemExit) as left:
            if getattr(left, "code", None) != exit_codes.of_signal(signal.SIGHUP):
                process.terminate()
            raise
    if not told:
        return code if code >= 0 else exit_codes.of_signal(-code)
    process.returncode = 0  # nobody waits for it any more
    begun = {**json.loads(told), "pid": process.pid}
    if as_json:
        output.record(begun, is_line=True)
    else:
        output.text(begun_text(begun["run"], process.pid))
    return exit_codes.OK


def begun_text(run: str, pid: int) -> str:
    """Say which run trains on, and how it is reached."""
    return (
        f"{run} trains in process {pid}, whatever becomes of this terminal\n"
        f"watch:  claf-tui watch {run}\n"
        f"stop:   claf-tui steer {run} stop"
    )


def telling_begun(show: Callable[[ev.Event], None], descriptor: int, directory: Path) -> Callable[[ev.Event], None]:
    """Show events, and when the run begins print to its log from then on and tell the process that waits.

    Args:
        show: prints one event.
        descriptor: of the pipe to that process, which may have left.
        directory: the run's folder.
    """
    os.set_inheritable(descriptor, False)

    def shown(event: ev.Event) -> None:
        if isinstance(event, ev.RunStarted):
            _tell(descriptor, directory)
        show(event)

    return shown


def _tell(descriptor: int, directory: Path) -> None:
    send_to(directory / LOG)
    with suppress(BrokenPipeError):
        os.write(descriptor, f"{json.dumps({'run': directory.name, 'directory': str(directory)})}\n".encode())
    os.close(descriptor)
