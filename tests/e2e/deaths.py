"""How a process kills itself with SIGKILL exactly before, in the middle of or after one of its calls on a run's folder.

Nothing of the program knows of it: `die_at` wraps the calls of the operating system, in a process of a test.
"""

import fnmatch
import io
import os
import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

Call = Literal["create", "write", "fsync", "replace", "rename", "unlink"]
When = Literal["before", "halfway", "after", "soon after"]


class Death(NamedTuple):
    """Where a process dies.

    Attributes:
        call: what it does; "create" opens a new file.
        file: pattern of the file's path from the folder of runs on; the new path where a file is renamed.
        when: "halfway" writes half of the bytes and no more; "soon after" is `delay` seconds later.
        number: at the how manieth such call, from 1.
        holds: what is written, or what the renamed file holds, must hold this text.
        delay: seconds.
    """

    call: Call
    file: str
    when: When = "before"
    number: int = 1
    holds: str = ""
    delay: float = 0.0


@dataclass
class _Watch:
    """Looks at every call, writes it to a trace, and ends the process where that is due."""

    death: Death | None
    trace: int
    root: str
    seen: int = 0

    def call(self, name: Call, target: Any, act: Callable[[], Any], data: bytes = b"", half: Any = None) -> Any:
        path = os.path.relpath(os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else target, self.root)
        if path.startswith(".."):
            return act()
        write(self.trace, f"{name} {path}\n".encode())
        due = self._due(name, path, data)
        if due is None or due.when in {"after", "soon after"}:
            result = act()
        if due is None:
            return result
        if due.when == "soon after":
            threading.Timer(due.delay, self._die).start()
            os._exit = lambda _: self._die()  # where the process is done before
            return result
        if due.when == "halfway":
            half()
        return self._die()

    def _due(self, name: Call, path: str, data: bytes) -> Death | None:
        death = self.death
        if death is None or death.call != name or not fnmatch.fnmatch(path, death.file):
            return None
        self.seen += death.holds.encode() in data
        return death if self.seen == death.number and death.holds.encode() in data else None

    def _die(self) -> None:
        write(self.trace, b"died\n")
        os.kill(os.getpid(), signal.SIGKILL)


class _Written:
    """A new file whose writing is watched."""

    def __init__(self, watch: _Watch, path: Any, file: BinaryIO) -> None:
        self._watch, self._path, self._file = watch, path, file

    def write(self, data: bytes) -> int:
        return int(self._watch.call("write", self._path, lambda: self._all(data), data, lambda: self._half(data)))

    def writelines(self, parts: Iterable[bytes]) -> None:
        for part in parts:
            self.write(part)

    def _all(self, data: bytes) -> int:
        count = self._file.write(data)
        self._file.flush()
        return count

    def _half(self, data: bytes) -> None:
        self._all(data[: len(data) // 2])

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


write, fsync, replace, rename, unlink, open_file = os.write, os.fsync, os.replace, os.rename, os.unlink, io.open


def die_at(death: Death | None, trace: Path) -> None:
    """Wrap what this process does with files below CLAF_RUNS_DIR.

    Args:
        death: where it dies; None for nowhere.
        trace: a file that takes a line for each call, and "died" as the last.
    """
    watch = _Watch(death, os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), os.environ["CLAF_RUNS_DIR"])

    def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "x" not in mode:
            return open_file(file, mode, *arguments, **options)
        made = watch.call("create", file, lambda: open_file(file, mode, *arguments, **options))
        return _Written(watch, file, made)

    def written(descriptor: int, data: bytes) -> Any:
        half = data[: len(data) // 2]
        if not os.path.isfile(f"/proc/self/fd/{descriptor}"):
            return write(descriptor, data)
        return watch.call("write", descriptor, lambda: write(descriptor, data), data, lambda: write(descriptor, half))

    io.open = opened
    os.write = written
    os.fsync = lambda file: watch.call("fsync", file, lambda: fsync(file))
    os.replace = lambda old, new: watch.call("replace", new, lambda: replace(old, new), Path(old).read_bytes())
    os.rename = lambda old, new: watch.call("rename", new, lambda: rename(old, new))
    os.unlink = lambda path, **more: watch.call("unlink", path, lambda: unlink(path, **more))
