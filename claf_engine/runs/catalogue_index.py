"""The memory of a catalogue between two programs: a small database in the user's cache folder. No torch.

Nothing depends on it: what it holds is compared with the folders before it counts, a file that is damaged or of another
version is made anew, and where it cannot be written, the folders are read again the next time.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from claf_engine.runs.overview import Digest
from claf_engine.terms.places import cache_dir

FORMAT = 2
"""Of what is kept; a file of another one is not read."""
PATIENCE = 1.0
"""Seconds to wait for another console that writes."""
_DIGEST: TypeAdapter[Digest] = TypeAdapter(Digest)


def index_of(root: Path) -> Path:
    """Where the memory of a folder of runs lies."""
    name = hashlib.sha256(str(root.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return cache_dir() / "runs" / f"{name}.sqlite"


def remembered(index: Path, num_last: int | None = None) -> dict[str, Digest]:
    """What is remembered of each run, by its folder's name; nothing where there is no such file, or it is damaged.

    Args:
        index: the file.
        num_last: of only so many, the last ones in the order of their names; None is all.
    """
    if not index.is_file():
        return {}
    found = {}
    try:
        with closing(_opened(index)) as connection:
            if connection.execute("PRAGMA user_version").fetchone() != (FORMAT,):
                return {}
            number = -1 if num_last is None else num_last
            rows = connection.execute("SELECT name, digest FROM runs ORDER BY name DESC LIMIT ?", (number,))
            for name, text in rows:
                if (digest := _digest_in(text)) is not None and isinstance(name, str):
                    found[name] = digest
    except sqlite3.Error:
        return found
    return found


def remember(index: Path, changed: Mapping[str, Digest], gone: Iterable[str]) -> str:
    """Keep what was read since the last time.

    Returns:
        Why nothing could be kept, or an empty string.
    """
    rows = [(name, _DIGEST.dump_json(digest).decode()) for name, digest in changed.items() if _is_writable(name)]
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(index, rows, gone)
        except sqlite3.OperationalError:
            raise  # such as a full disk, or another console that writes for long
        except sqlite3.DatabaseError:
            index.unlink(missing_ok=True)
            _write(index, rows, gone)
    except (OSError, sqlite3.Error) as error:
        return f"what was read of the runs is not kept in {index}: {error}"
    return ""


def _write(index: Path, rows: list[tuple[str, str]], gone: Iterable[str]) -> None:
    with closing(_opened(index)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone() != (FORMAT,):
            connection.execute("DROP TABLE IF EXISTS runs")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("CREATE TABLE IF NOT EXISTS runs (name TEXT PRIMARY KEY, digest TEXT) WITHOUT ROWID")
        connection.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?)", rows)
        connection.executemany("DELETE FROM runs WHERE name = ?", [(name,) for name in gone if _is_writable(name)])


def _opened(index: Path) -> sqlite3.Connection:
    return sqlite3.connect(index, timeout=PATIENCE, isolation_level=None)


def _is_writable(name: str) -> bool:
    """Whether a database can hold a name; one that is no UTF-8 is read from its folder every time."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest_in(text: object) -> Digest | None:
    if not isinstance(text, str):
        return None
    try:
        return _DIGEST.validate_json(text, strict=True)
    except ValidationError:
        return None
