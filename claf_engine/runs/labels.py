"""What a person wrote about a run: a note, tags, and whether it was put away. No torch.

They lie in a small file of the run's folder, so that a copy of the folder takes them along.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from claf_engine.runs.durable import FolderNotFlushed, write_atomically
from claf_engine.runs.foreign import STATUS_CAP, StrPath, read_object
from claf_engine.terms.errors import ConfigError, ForeignFileError, MissingFile, RunError

LABELS = "labels.json"
MAX_NOTE = 2000
"""Characters of a note."""
MAX_TAGS = 16
TAG = re.compile(r"[\w][\w.+/-]{0,31}")
"""What a filter can name without quotes."""


@dataclass(frozen=True)
class Labels:
    """What a person wrote about a run; `is_archived` puts it away in lists."""

    note: str = ""
    tags: tuple[str, ...] = ()
    is_archived: bool = False


NO_LABELS = Labels()


def read_labels(run: StrPath) -> tuple[Labels, str]:
    """What is written about a run, and a sentence on what cannot be read; parts of a wrong type are left out."""
    try:
        record = read_object(f"{run}/{LABELS}", STATUS_CAP)
    except MissingFile:
        return NO_LABELS, ""
    except ForeignFileError as error:
        return NO_LABELS, str(error)
    note, tags = record.get("note"), record.get("tags")
    kept = [tag for tag in tags if isinstance(tag, str) and TAG.fullmatch(tag)] if isinstance(tags, list) else []
    return (
        Labels(
            note=note[:MAX_NOTE] if isinstance(note, str) else "",
            tags=tuple(dict.fromkeys(kept))[:MAX_TAGS],
            is_archived=record.get("archived") is True,
        ),
        "",
    )


def write_labels(run: Path, labels: Labels) -> None:
    """Replace what is written about a run.

    Raises:
        ConfigError: the note is too long, or a tag is none.
        RunError: the folder cannot be written.
    """
    record = {"note": checked_note(labels.note), "tags": checked_tags(labels.tags), "archived": labels.is_archived}
    try:
        write_atomically(run / LABELS, json.dumps(record, indent=1).encode())
    except FolderNotFlushed:
        return  # it is in its place; only a crash of the machine might undo it
    except OSError as error:
        raise RunError(f"cannot write {run / LABELS}: {error.strerror or error}; nothing was changed") from error


def checked_note(text: str) -> str:
    """A note without spaces at its ends.

    Raises:
        ConfigError: it is too long, or cannot be written as UTF-8.
    """
    note = text.strip()
    if len(note) > MAX_NOTE:
        raise ConfigError(f"a note has at most {MAX_NOTE:,} characters, and this one has {len(note):,}; shorten it")
    try:
        note.encode()
    except UnicodeEncodeError as error:
        raise ConfigError("the note holds a character that UTF-8 cannot; write it otherwise") from error
    return note


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags, each once.

    Raises:
        ConfigError: one is no tag, or there are too many.
    """
    chosen = tuple(dict.fromkeys(tags))
    for tag in chosen:
        if not TAG.fullmatch(tag):
            raise ConfigError(
                f"{tag!r} is no tag; use up to 32 letters, digits and . _ + / - and begin with a letter or a digit"
            )
    if len(chosen) > MAX_TAGS:
        raise ConfigError(f"a run has at most {MAX_TAGS} tags, and these are {len(chosen)}; leave some out")
    return chosen
