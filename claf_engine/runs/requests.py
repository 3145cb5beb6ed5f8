"""What a person asks a run for from another process: one small JSON file in its folder. No torch.

Whoever asks writes the file (`asking`), the process that trains takes it (`inbox`) and says in the journal what came of
it. Plain files, so that it works wherever the folder can be written: over NFS, over SSH, from a script.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from claf_engine.events.control import LiveEdit
from claf_engine.events.records import build
from claf_engine.runs.foreign import parse_object

CONTROL = "control"
"""Folder of a run that holds the requests which nobody has taken yet."""
REQUEST_CAP = 4096
"""Largest file of a request, in bytes; ours are a tenth of that."""


@dataclass(frozen=True)
class Request:
    """One wish of a person.

    Attributes:
        name: one of `claf_engine.terms.names.RequestName`, in a request that is served.
        nonce: tells it from every other request.
        owner: token of the process that is asked (`claf_engine.runs.Holder`); no other one serves it.
        user, host, pid: who asks, by their own account.
        at: when, in seconds since the epoch, by the clock of whoever asks.
        setting: of "set", the dotted key.
        value: of "set", what it is to become.
    """

    name: str
    nonce: str
    owner: str
    user: str
    host: str
    pid: int
    at: float
    setting: str = ""
    value: float | None = None

    @property
    def text(self) -> str:
        """The request as a person types it: "pause", "set learning_rate=0.05"."""
        return self.name if self.value is None else f"{self.name} {self.setting}={self.value:g}"

    @property
    def who(self) -> str:
        """Who asks, as a person reads it."""
        return f"{self.user} on {self.host}, process {self.pid}"

    @property
    def edit(self) -> LiveEdit:
        """The live edit that "set" asks for."""
        return LiveEdit(self.setting, float("nan") if self.value is None else self.value)

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
