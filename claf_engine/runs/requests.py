"""What a person asks a run for from another process: one small JSON file in its folder. No torch.

Whoever asks writes the file (`asking`), the process that trains takes it (`inbox`) and says in the journal what came of
it. Plain files, so that it works wherever the folder can be written: over NFS, over SSH, from a script.
"""

import json
import os
import pwd
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self, cast, get_args

from claf_engine.events.control import Later, LiveEdit, Unit, Value
from claf_engine.events.records import build
from claf_engine.runs.foreign import parse_object

CONTROL = "control"
"""Folder of a run that holds the requests which nobody has taken yet."""
REQUEST_CAP = 4096
"""Largest file of a request, in bytes; ours are a tenth of that."""
MAX_STEPS = 2**53
"""No run takes so many."""


def this_process() -> str:
    """Who asks, where that is a person at this very process."""
    return who_of(user_name(os.geteuid()), socket.gethostname(), os.getpid())


def who_of(user: str, host: str, pid: int) -> str:
    """Who asks, as a person reads it."""
    return f"{user} on {host}, process {pid}"


def user_name(number: int) -> str:
    """The name of a user, or the number where this machine knows none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


@dataclass(frozen=True)
class Request:
    """One wish of a person.

    Attributes:
        name: one of `claf_engine.terms.names.RequestName`, in a request that is served.
        nonce: tells it from every other request.
        owner: token of the process that is asked (`claf_engine.runs.Holder`); no other one serves it.
        user, host, pid: who asks, by their own account.
        at: when, in seconds since the epoch, by the clock of whoever asks.
        setting: of "set", the dotted key; of "pause-later", the unit of `claf_engine.events.control.Later`.
        value: of "set", what it is to become; of "pause-later", how many of them.
    """

    name: str
    nonce: str
    owner: str
    user: str
    host: str
    pid: int
    at: float
    setting: str = ""
    value: Value | None = None

    @property
    def text(self) -> str:
        """The request as a person says it: "pause", "pause after 12 more steps", "set learning_rate=0.05"."""
        if self.later is not None:
            return f"pause {self.later.text}"
        if self.value is None:
            return self.name
        return f"{self.name} {self.setting}={self.value if isinstance(self.value, str) else f'{self.value:g}'}"

    @property
    def who(self) -> str:
        """Who asks, as a person reads it."""
        return who_of(self.user, self.host, self.pid)

    @property
    def edit(self) -> LiveEdit:
        """The live edit that "set" asks for."""
        return LiveEdit(self.setting, float("nan") if self.value is None else self.value, self.who, self.at)

    @property
    def later(self) -> Later | None:
        """What "pause-later" asks for; None where it does not say that, or another name asks for something else."""
        count = 1 if self.value is None else self.value
        if self.name != "pause-later" or self.setting not in get_args(Unit) or isinstance(count, str):
            return None
        return Later(cast("Unit", self.setting), int(count)) if 1 <= count < MAX_STEPS and count == int(count) else None

    @property
    def file_name(self) -> str:
        """Of its file: later requests sort after earlier ones."""
        return f"{max(0, int(self.at * 1e9)):020d}-{self.nonce}.json"

    def to_bytes(self) -> bytes:
        """The content of its file."""
        return json.dumps(asdict(self), allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, path: Path, data: bytes) -> Self:
        """Read the content of a file.

        Raises:
            ForeignFileError: it is no JSON object of plain values.
            ValueError: a field is missing or of another type.
        """
        request: Self = build(cls, parse_object(path, data))
        return request
