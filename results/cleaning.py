"""What a file for others does not say: where things lie on the machine that made it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claf_engine.config.sources import published_source

FOLDERS = re.compile(r"(?<![\w./])~?/(?=[^\s/])(?:[^\s/\"'`:;,()]+/)*")
"""The folders of an absolute path, up to its last part; no fraction, no address of the web."""
PLATFORM = "platform"
"""Key of the operating system, which is kept without its build."""


def cleaned(value: Any) -> Any:
    """The same plain value, with the last part of every absolute path alone: "folder:/home/me/cats", "folder:cats"."""
    if isinstance(value, str):
        return FOLDERS.sub("", published_source(value).replace(f"{Path.home()}/", ""))
    if isinstance(value, Mapping):
        kept = {key: cleaned(item) for key, item in value.items()}
        if isinstance(kept.get(PLATFORM), str):
            kept[PLATFORM] = kept[PLATFORM].partition("-")[0]
        return kept
    if isinstance(value, list | tuple):
        return [cleaned(item) for item in value]
    return value
