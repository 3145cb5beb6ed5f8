"""The requests that other processes have left in a run's folder, taken by the process that trains. No torch.

What lies there may be anybody's and anything. A file counts only when it belongs to the owner of the run's folder, is
small, regular and whole, and is addressed to this very process; it is removed before it is served, so that nothing is
served twice, be it by this process or by the next one. A request to a process that died stays unserved.
"""

import heapq
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from claf_engine.runs.requests import CONTROL, REQUEST_CAP, Request, user_name
from claf_engine.terms.errors import ForeignFileError, RunError
from claf_engine.terms.names import RequestName

NAMES = get_args(RequestName)
MAX_TAKEN = 64
"""Requests of one look; the others are taken at the next."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class Received:
    """A request that was taken; `refusal` is the reason why it is not to be served, or empty."""

    request: Request
    refusal: str = ""


class Inbox:
    """Takes requests, each once.

    Args:
        token: of the process that owns the run; see `claf_engine.runs.RunDirectory`.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._stuck: set[str] = set()

    def take(self, run: Path) -> list[Received]:
        """Take what was asked since the last look, in the order in which it was asked.

        Args:
            run: the folder of the run.

        Raises:
            RunError: the folder of requests belongs to somebody else than the run.
            OSError: it cannot be read.
        """
        try:
            folder = os.open(run / CONTROL, _FOLDER)
        except FileNotFoundError:
            return []
        try:
            with os.scandir(folder) as entries:
                # What begins with a dot is still being written, or is a file system's own.
                names = [entry.name for entry in entries if not entry.name.startswith(".")]
            fresh = heapq.nsmallest(MAX_TAKEN, set(names) - self._stuck)
            owner = _owner_of_both(run, folder) if fresh else -1
            taken = [self._take(folder, name, owner) for name in fresh]
        finally:
            os.close(folder)
        return [received for received in taken if received is not None]

    def _take(self, folder: int, name: str, owner: int) -> Received | None:
        """Take one file out of the folder; None where whoever asked was quicker and withdrew it."""
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            received = self._read(folder, name, status, owner)
        except FileNotFoundError:
            return None
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._stuck.add(name)
            reason = received.refusal or f"it cannot be taken out of {CONTROL}: {error.strerror}"
            return Received(received.request, reason)
        return received

    def _read(self, folder: int, name: str, status: os.stat_result, owner: int) -> Received:
        if status.st_uid != owner:
            return Received(_stranger(name, status), "only the owner of the run's folder may ask")
        if not stat.S_ISREG(status.st_mode):
            return Received(_stranger(name, status), "it is no regular file")
        if status.st_size > REQUEST_CAP:
            return Received(_stranger(name, status), f"it is larger than {REQUEST_CAP} bytes")
        try:
            request = Request.from_bytes(Path(CONTROL, name), _content(folder, name))
        except FileNotFoundError:
            raise
        except (ForeignFileError, ValueError, OSError) as error:
            return Received(_stranger(name, status), f"it is no request: {error}")
        return Received(request, self._refusal(request))

    def _refusal(self, request: Request) -> str:
        if request.owner != self._token:
            return "it was meant for a process that has trained in this run before; ask again"
        if request.name not in NAMES:
            return f"there is no such request; there are {', '.join(NAMES)}"
        if request.name == "set" and (not request.setting or request.value is None):
            return "it does not say what to set to which value"
        if request.name == "pause-later" and request.later is None:
            return "it does not say when to pause: after a number of steps, or at the end of the epoch or phase"
        return ""


def _owner_of_both(run: Path, folder: int) -> int:
    """The user who owns the run's folder and the folder of requests in it.

    Raises:
        RunError: these are two.
    """
    owner = os.stat(run).st_uid
    if os.fstat(folder).st_uid != owner:
        raise RunError(f"{run / CONTROL} does not belong to the owner of the run; remove it")
    return owner


def _content(folder: int, name: str) -> bytes:
    descriptor = os.open(name, _FILE, dir_fd=folder)
    try:
        return os.read(descriptor, REQUEST_CAP + 1)
    finally:
        os.close(descriptor)


def _stranger(name: str, status: os.stat_result) -> Request:
    """What can be said of a file that is no request of ours: its name, its owner, its time."""
    return Request(
        name=os.fsencode(name).decode(errors="replace"),
        nonce="",
        owner="",
        user=user_name(status.st_uid),
        host="an unknown machine",
        pid=0,
        at=status.st_mtime,
    )
