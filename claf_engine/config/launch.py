"""How this process was launched: alone, or by torchrun as one of several. No torch.

torchrun tells each of its processes by variables which one it is. After a death it starts all of them anew, and the run
goes on in the folder that the first start made (`claf_engine.runs.relaunch`): run.json says which launch that was.
"""

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from claf_engine.terms.errors import ConfigError

_UNNAMED = ("", "none")
"""What torchrun calls work that nobody gave a name."""


@dataclass(frozen=True)
class Launch:
    """This process among those that train together.

    Attributes:
        rank: number of this process, 0 to `size` - 1; the first one owns the run's folder.
        size: how many there are, on all machines.
        local_rank: number among those of this machine, and of the accelerator that it takes.
        local_size: how many there are on this machine.
        num_restarts: how often torchrun has started them anew.
        work: the name that torchrun's user gave the work (--rdzv-id), or that torchrun drew; empty where neither did.
        agent: the process of torchrun that started this one; empty where none did.
        command: the words of the command line, which torchrun gives again when it starts the processes anew.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    num_restarts: int = 0
    work: str = ""
    agent: str = ""
    command: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Launch":
        """What the variables of torchrun say; alone where there are none.

        Raises:
            ConfigError: a variable is no number, or out of range.
        """
        if not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= environment.keys():
            return cls()
        rank, size = _count(environment, "RANK"), _count(environment, "WORLD_SIZE")
        local_rank = _count(environment, "LOCAL_RANK", rank)
        local_size = _count(environment, "LOCAL_WORLD_SIZE", size)
        if not (rank < size and local_rank < local_size <= size):
            raise ConfigError(
                f"RANK={rank} of WORLD_SIZE={size} and LOCAL_RANK={local_rank} of LOCAL_WORLD_SIZE={local_size} do not "
                "fit each other; start the processes with torchrun, which sets all four"
            )
        work = environment.get("TORCHELASTIC_RUN_ID", "")
        return cls(
            rank,
            size,
            local_rank,
            local_size,
            _count(environment, "TORCHELASTIC_RESTART_COUNT", 0),
            "" if work in _UNNAMED else work,
            _agent() if "TORCHELASTIC_RUN_ID" in environment else "",
            tuple(sys.argv[1:]),
        )

    @property
    def is_follower(self) -> bool:
        """Whether another process owns the run's folder and speaks for this one."""
        return self.rank > 0

    def require_single(self, command: str) -> None:
        """Refuse what one process does.

        Raises:
            ConfigError: there are several.
        """
        if self.size > 1:
            raise ConfigError(
                f"{command} runs in one process, and torchrun started {self.size}; start it without torchrun"
            )

    def record(self) -> dict[str, Any]:
        """What run.json says of it."""
        return {"processes": self.size, "work": self.work, "agent": self.agent, "command": list(self.command)}

    def began(self, record: object) -> bool:
        """Whether a run with this in its run.json was begun by this launch, before torchrun started it anew.

        What torchrun starts may be a script that trains several runs, each by a command of its own.
        """
        if not isinstance(record, Mapping) or record.get("command") != list(self.command):
            return False
        same_agent = bool(self.agent) and record.get("agent") == self.agent
        return same_agent or (self.num_restarts > 0 and bool(self.work) and record.get("work") == self.work)


def _agent() -> str:
    """The parent of this process, as no other process is called, even after its number is given away again."""
    import psutil

    parent = os.getppid()
    try:
        began = psutil.Process(parent).create_time()
    except psutil.Error:
        began = 0.0
    return f"{socket.gethostname()}:{parent}:{began:.0f}"


def _count(environment: Mapping[str, str], name: str, missing: int | None = None) -> int:
    text = environment.get(name, "" if missing is None else str(missing))
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"{name}={text!r} is no number; start the processes with torchrun, which sets it")
    return int(text)
