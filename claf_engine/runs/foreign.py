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
from typing import Any, NoReturn, TypeVar

from claf_engine.events.plain import require_plain
from claf_engine.terms.errors import ForeignFileError, MissingFile

Parsed = TypeVar("Parsed")
StrPath = str | os.PathLike[str]

MEBIBYTE = 2**20
STATUS_CAP, SETTINGS_CAP, CARD_CAP, STATE_CAP = MEBIBYTE, MEBIBYTE, 16 * MEBIBYTE, 256 * MEBIBYTE
"""Largest file of each kind, in bytes: status.json, holder.json and run.json; config.toml; cards and measurements; what
an audit, a reproduction or AutoAttack has done so far. Ours are a hundredth of that."""


def open_foreign(path: StrPath) -> BufferedReader:
    """Open a file for reading, and never wait for it.

    Raises:
        MissingFile: there is none.
        ForeignFileError: it is a folder, a pipe or a device, or cannot be opened.
    """
    with _said(path):
        return open(_descriptor_of(path)[0], "rb")


def read_foreign(path: StrPath, cap: int) -> bytes:
    """Read a whole file of at most `cap` bytes.

    Raises:
        MissingFile: there is none.
        ForeignFileError: see `open_foreign`; or it is larger, or cannot be read.
    """
    with _said(path):
        descriptor, num_bytes = _descriptor_of(path)
        try:
            data = _read_all(descriptor, num_bytes, cap + 1)
        finally:
            os.close(descriptor)
    if len(data) > cap:
        raise ForeignFileError(f"{path} is larger than {cap} bytes, which no file of its kind is; remove it")
    return data


def read_json(path: StrPath, cap: int) -> Any:
    """Read a file of JSON; numbers are finite and of a size that a float has, nesting ends.

    Raises:
        ForeignFileError: see `read_foreign`; or it is damaged, or holds what is no plain value.
    """
    return _parsed(path, read_foreign(path, cap), parse_json)


def read_object(path: StrPath, cap: int) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        ForeignFileError: see `read_json`; or it holds something else.
    """
    return parse_object(path, read_foreign(path, cap))


def parse_object(path: StrPath, data: bytes) -> dict[str, Any]:
    """Read what `read_foreign` gave of a file that holds one JSON object.

    Raises:
        ForeignFileError: it is damaged, or holds something else or what is no plain value.
    """
    value = _parsed(path, data, parse_json)
    if not isinstance(value, dict):
        raise ForeignFileError(f"{path} is damaged: it holds no JSON object; remove it or put a whole one there")
    return value


def read_toml(path: StrPath, cap: int = SETTINGS_CAP) -> dict[str, Any]:
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
        value = _DECODER.decode(_decoded(text) if isinstance(text, bytes) else text)
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


def _parsed(path: StrPath, data: bytes, parse: Callable[[bytes], Parsed]) -> Parsed:
    try:
        return parse(data)
    except ValueError as error:
        raise ForeignFileError(f"{path} is damaged: {error}; remove it or put a whole one there") from error


@contextlib.contextmanager
def _said(path: StrPath) -> Iterator[None]:
    """Say as an error of ours what keeps a file from being read."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFile(f"cannot read {path}: {error.strerror}; name one that is there") from error
    except OSError as error:
        raise ForeignFileError(f"cannot read {path}: {error.strerror or error}; make it readable") from error
    except ValueError as error:
        raise ForeignFileError(f"cannot read {str(path)!r}: {error}; give another name") from error


def _descriptor_of(path: StrPath) -> tuple[int, int]:
    """Open a regular file; gives its descriptor and how many bytes it says it has."""
    _require_regular(path, os.stat(path))
    # It may have become a pipe since, and the opening of a pipe waits for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        _require_regular(path, status)
    except (OSError, ForeignFileError):
        os.close(descriptor)
        raise
    return descriptor, status.st_size


def _read_all(descriptor: int, num_bytes: int, room: int) -> bytes:
    """At most `room` bytes of a file that says it has `num_bytes`, in one call where it tells the truth."""
    at_once = min(num_bytes + 1, room)
    data = os.read(descriptor, at_once)
    while len(data) != num_bytes and (part := os.read(descriptor, min(at_once, room - len(data)))):
        data += part
    return data


def _require_regular(path: StrPath, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ForeignFileError(f"cannot read {path}: Is a directory; put a file there")
    if not stat.S_ISREG(status.st_mode):
        raise ForeignFileError(f"cannot read {path}: it is no regular file; remove it")


def _decoded(data: bytes) -> str:
    return data.decode(json.detect_encoding(data), "surrogatepass")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
"""Made once, because making it takes as long as reading a short file."""
