"""Where data and a person's own settings live on this machine; each place can be moved by an environment variable."""

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "CLAF_CACHE_DIR"
CONFIG_VARIABLE = "CLAF_CONFIG_DIR"
DATA_VARIABLE = "CLAF_DATA_DIR"


def cache_dir() -> Path:
    """What can be rebuilt and may be deleted at any time: CLAF_CACHE_DIR, or the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("claf-tui")).expanduser()


def data_dir() -> Path:
    """What was downloaded: CLAF_DATA_DIR, or the user's data folder."""
    return Path(os.environ.get(DATA_VARIABLE) or platformdirs.user_data_dir("claf-tui")).expanduser()


def config_dir() -> Path:
    """What a person writes for every run and console: CLAF_CONFIG_DIR, or the user's configuration folder."""
    return Path(os.environ.get(CONFIG_VARIABLE) or platformdirs.user_config_dir("claf-tui")).expanduser()
