"""Files that survive a crash: written whole or not at all, and on the disk before we say so."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash at any moment, sees the old content or the new, never a mixture.

    Temporary name in the same folder, fsync, rename, fsync of the folder.

    Raises:
        FolderNotFlushed: the new file is in its place, and only a crash of the machine might undo that.
        OSError: the disk is full, the folder is read-only, ...; the old file is untouched and nothing is left behind.
    """
    write_parts_atomically(path, (data,))


def write_parts_atomically(path: Path, parts: Iterable[bytes]) -> None:
    """The same for a file that need not fit into memory; see `write_atomically`."""
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise FolderNotFlushed(*error.args) from error


class FolderNotFlushed(OSError):
    """A file was written and renamed, but its folder could not be flushed to the disk."""


def sync_folder(folder: Path) -> None:
    """Make renames and deletions inside a folder durable, where its file system can.

    Raises:
        OSError: it cannot be flushed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems know no flushing of folders; there is nothing to try again.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> int:
    """Delete temporary files that a killed process left in a folder; call it only while holding the run's lock.

    Returns:
        How many were deleted.
    """
    leftovers = list(folder.glob(f"{TEMPORARY_PREFIX}*"))
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    return len(leftovers)
