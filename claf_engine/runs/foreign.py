"""The one reader of files that somebody else may have written: status, journal, cards, settings, states. No torch.

A run's folder is copied, mounted, edited and damaged. What lies at a path is therefore read as if it were hostile: only
regular files, never more than the cap of their kind, and from their text only plain values that a terminal, a table and
JSON can take. Whatever is there, only `ForeignFileError` comes out.
"""

import contextlib
import json
import os
import stat
import tomllib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

from claf_engine.events.plain import require_plain
from claf_engine.terms.errors import ForeignFileError, MissingFile

Parsed = TypeVar("Parsed")

MEBIBYTE = 2**20
STATUS_CAP, SETTINGS_CAP, CARD_CAP, STATE_CAP = MEBIBYTE, MEBIBYTE, 16 * MEBIBYTE, 256 * MEBIBYTE
"""Largest file of each kind, in bytes: status.json, holder.json and run.json; config.toml; cards and measurements; what
an audit, a reproduction or AutoAttack has done so far. Ours are a hundredth of that."""
LINE_CAP = MEBIBYTE
"""Longest line of a journal, in bytes; ours are a few KiB."""


def open_foreign(path: Path) -> BufferedReader:
    """Open a file for reading, and never wait for it.

    Raises:
        MissingFile: there is none.
        ForeignFileError: it is a folder, a pipe or a device, or cannot be opened.
    """
    with _said(path):
        _require_regular(path, os.stat(path))
        # It may have become a pipe since, and the opening of a pipe waits for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _require_regular(path, os.fstat(descriptor))
        except ForeignFileError:
            os.close(descriptor)
            raise
        return open(descriptor, "rb")


def read_foreign(path: Path, cap: int) -> bytes:
    """Read a whole file of at most `cap` bytes.

    Raises:
        MissingFile: there is none.
        ForeignFileError: see `open_foreign`; or it is larger, or cannot be read.
    """
    with _said(path), open_foreign(path) as file:
        data = file.read(cap + 1)
    if len(data) > cap:
        raise ForeignFileError(f"{path} is larger than {cap} bytes, which no file of its kind is; remove it")
    return data


def whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a journal, each with its end; one longer than `LINE_CAP` comes empty, a torn last one not at all."""
    is_long = False
    while part := file.readline(LINE_CAP):
        if part.endswith(b"\n"):
            yield b"\n" if is_long else part
        is_long = not part.endswith(b"\n")


def read_json(path: Path, cap: int) -> Any:
    """Read a file of JSON; numbers are finite and of a size that a float has, nesting ends.

    Raises:
        ForeignFileError: see `read_foreign`; or it is damaged, or holds what is no plain value.
    """
    return _parsed(path, read_foreign(path, cap), parse_json)


def read_object(path: Path, cap: int) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        ForeignFileError: see `read_json`; or it holds something else.
    """
    value = read_json(path, cap)
    if not isinstance(value, dict):
        raise ForeignFileError(f"{path} is damaged: it holds no JSON object; remove it or put a whole one there")
    return value


def read_toml(path: Path, cap: int = SETTINGS_CAP) -> dict[str, Any]:
    """Read a file of TOML.

    Raises:
        ForeignFileError: see `read_foreign`; or it is damaged, or holds what is no plain value.
    """
    return _parsed(path, read_foreign(path, cap), parse_toml)


def parse_json(text: bytes | str) -> Any:
    """Read JSON that may be hostile.

    Raises:
        ValueError: it is no JSON, or holds a number or a nesting that is no plain value.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("lists or objects are nested too deeply") from error
    require_plain(value)
    return value


def parse_toml(text: bytes) -> dict[str, Any]:
    """Read TOML that may be hostile.

    Raises:
        ValueError: it is no TOML, or holds a number or a nesting that is no plain value.
    """
    try:
        value = tomllib.loads(text.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("lists or tables are nested too deeply") from error
    require_plain(value)
    return value


def _parsed(path: Path, data: bytes, parse: Callable[[bytes], Parsed]) -> Parsed:
    try:
        return parse(data)
    except ValueError as error:
        raise ForeignFileError(f"{path} is damaged: {error}; remove it or put a whole one there") from error


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """Say as an error of ours what keeps a file from being read."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFile(f"cannot read {path}: {error.strerror}; name one that is there") from error
    except OSError as error:
        raise ForeignFileError(f"cannot read {path}: {error.strerror or error}; make it readable") from error
    except ValueError as error:
        raise ForeignFileError(f"cannot read {str(path)!r}: {error}; give another name") from error


def _require_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ForeignFileError(f"cannot read {path}: Is a directory; put a file there")
    if not stat.S_ISREG(status.st_mode):
        raise ForeignFileError(f"cannot read {path}: it is no regular file; remove it")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
