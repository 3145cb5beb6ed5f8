"""What a reader of files is tested with, and the kinds of damage that files of text have."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

from tests.fuzz.damage import damaged, json_lines, json_text, restructured, toml_text

Damage = Callable[[bytes], st.SearchStrategy[bytes]]


class Reader(NamedTuple):
    """One reader.

    Attributes:
        make: is given a folder with a finished run, puts a whole file there, and says where.
        read: is given the folder and the file, and says whether the file was taken for whole.
        damage: what may become of the bytes besides any others.
        writes: it repairs what it reads, as it promises.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path, Path], object]
    damage: Damage = damaged
    writes: bool = False


def any_json(whole: bytes) -> st.SearchStrategy[bytes]:
    """Damaged bytes, or JSON with other values."""
    return damaged(whole) | restructured(json.loads(whole), json_text)


def any_lines(whole: bytes) -> st.SearchStrategy[bytes]:
    """Damaged bytes, or lines of JSON with other values."""
    return damaged(whole) | restructured([json.loads(line) for line in whole.splitlines()], json_lines)


def any_toml(whole: bytes) -> st.SearchStrategy[bytes]:
    """Damaged bytes, or TOML with other values."""
    return damaged(whole) | restructured(tomllib.loads(whole.decode()), toml_text)
