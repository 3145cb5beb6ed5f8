"""A file that a person asked for: written whole or not at all, and never over one that is there unless they said so."""

import os
from collections.abc import Iterable
from pathlib import Path

from claf_engine.runs.durable import FolderNotFlushed, write_parts_atomically
from claf_engine.terms.errors import RunError


def write_new(target: Path, parts: Iterable[bytes], *, force: bool = False) -> None:
    """Write a file from its parts, which need not fit into memory together.

    Args:
        target: where to.
        parts: of it, in their order.
        force: replace one that is there.

    Raises:
        RunError: there is one already, or it cannot be written; nothing was changed.
    """
    if os.path.isdir(target):
        raise RunError(f"{target} is a folder; name a file in it")
    if os.path.lexists(target) and not force:
        raise RunError(f"{target} is there already; name another file, or replace it with --force")
    try:
        write_parts_atomically(target, parts)
    except FolderNotFlushed:
        pass  # The file is whole in its place; a crash of the machine might undo that, and it can be made again.
    except OSError as error:
        raise RunError(f"cannot write {target}: {error.strerror}; name another file") from error
