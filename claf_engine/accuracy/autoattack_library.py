"""The library `pyautoattack`: loaded on demand, and kept from the rest of the process.

It seeds every generator of the process, replaces the trace function and, where nobody configured logging, writes to
stderr.
"""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from claf_engine.compute.device import Compute
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.installation import install_line

PACKAGE = "pyautoattack"
LOGGER = "auto-attack"


def require_library() -> Any:
    """The class AutoAttack of the library.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import pyautoattack
    except ImportError as error:
        raise ConfigError(f"AutoAttack needs the audit extra: {install_line('audit')}") from error
    return pyautoattack.AutoAttack


@contextmanager
def contained(compute: Compute) -> Iterator[list[str]]:
    """Keep global randomness, tracing and the library's log as they were; the list fills with what it warned of."""
    warnings: list[str] = []
    logger, trace = logging.getLogger(LOGGER), sys.gettrace()
    level, propagates = logger.level, logger.propagate
    collector = _Collector(warnings)
    logger.addHandler(collector)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    is_cpu = compute.device.type == "cpu"
    # The library seeds every device.
    devices = [] if is_cpu else list(range(torch.get_device_module(compute.device).device_count()))
    try:
        with torch.random.fork_rng(devices, device_type=None if is_cpu else compute.device.type):
            yield warnings
    finally:
        sys.settrace(trace)
        logger.removeHandler(collector)
        logger.setLevel(level)
        logger.propagate = propagates


class _Collector(logging.Handler):
    """Turns the library's warnings into notices, without counts, which differ from batch to batch."""

    def __init__(self, warnings: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.warnings = warnings

    def emit(self, record: logging.LogRecord) -> None:
        sentence = record.getMessage().split(" See ")[0]
        self.warnings.append("AutoAttack warns: " + re.sub(r"^there are \d+", "there are", sentence))
