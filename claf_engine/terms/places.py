"""Where data lives on this machine; each place can be moved by an environment variable."""

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "CLAF_CACHE_DIR"
DATA_VARIABLE = "CLAF_DATA_DIR"


def cache_dir() -> Path:
    """What can be rebuilt and may be deleted at any time: CLAF_CACHE_DIR, or the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("claf-tui")).expanduser()


def data_dir() -> Path:
    """What was downloaded: CLAF_DATA_DIR, or the user's data folder."""
    return Path(os.environ.get(DATA_VARIABLE) or platformdirs.user_data_dir("claf-tui")).expanduser()
