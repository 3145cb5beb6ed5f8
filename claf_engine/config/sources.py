"""Where the images of a source lie, whatever folder one stands in."""

import os
from pathlib import Path

FOLDER = "folder:"


def is_relative(source: str) -> bool:
    """Whether a data source names a folder that depends on where one stands."""
    path = source.removeprefix(FOLDER)
    return source.startswith(FOLDER) and path != "" and not os.path.isabs(os.path.expanduser(path))


def absolute_source(source: str, base: Path) -> str:
    """The same source with an absolute path; whatever is no relative folder stays as it is, "~" too.

    Args:
        source: such as "folder:images".
        base: the folder that it is relative to.
    """
    if not is_relative(source):
        return source
    path = Path(source.removeprefix(FOLDER))
    placed = base.absolute() / path
    # What ".." means depends on links, so that it is followed and not cut out of the text.
    return FOLDER + str(placed.resolve() if ".." in path.parts else placed)
