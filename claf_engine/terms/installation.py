"""How claf-tui is installed here, and the command that installs more of it from the same place.

No advice names an entry of a package index: whoever follows it must get this project from where it was had, which pip
and uv note beside it (PEP 610).
"""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

PROJECT = "claf-tui"
CHECKOUT = "."
"""Stands for a checkout that the reader must be in, where nothing noted where this one is."""


def install_line(extra: str = "") -> str:
    """The command that installs claf-tui again, with all that it needs, into the Python that runs this.

    Args:
        extra: the name of an optional part, such as "audit", to install as well.
    """
    suffix = f"[{extra}]" if extra else ""
    return shlex.join([*_installer(), *_source(_noted("direct_url.json"), suffix)])


def _installer() -> list[str]:
    if (_noted("INSTALLER") or "").strip() == "uv":
        return ["uv", "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install"]


def _source(note: str | None, suffix: str) -> list[str]:
    """What to hand to pip: a checkout, a file or an address, with an extra."""
    origin: Mapping[str, Any] = json.loads(note) if note else {}
    url, vcs = str(origin.get("url", "")), origin.get("vcs_info")
    if vcs:
        revision = vcs.get("requested_revision") or vcs.get("commit_id", "")
        return [f"{PROJECT}{suffix} @ {vcs['vcs']}+{url}{'@' if revision else ''}{revision}"]
    if urlsplit(url).scheme in {"http", "https"}:
        return [f"{PROJECT}{suffix} @ {url}"]
    path = Path(unquote(urlsplit(url).path))
    if not url or not path.exists():
        return [f"{CHECKOUT}{suffix}"]
    return [*(["-e"] if origin.get("dir_info", {}).get("editable") else []), f"{path}{suffix}"]


def _noted(name: str) -> str | None:
    """A file that pip or uv left beside the installed project; None where it is not installed."""
    from importlib import metadata  # here, because help must come at once

    try:
        return metadata.distribution(PROJECT).read_text(name)
    except metadata.PackageNotFoundError:
        return None
