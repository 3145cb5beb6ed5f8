"""What a person is told of while runs train, and how: `alerts.toml`. No torch.

These are a person's own settings and no run's: they name a command or an address that may hold a secret, so that they
are never written into a run's folder, a checkpoint or a card. Nor are they looked for in a run's folder, where a file
of somebody else could name a command.
"""

import ipaddress
import os
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError

from claf_engine.config.base import Settings
from claf_engine.config.messages import Layer, describe
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.places import config_dir

ALERTS_FILE = "alerts.toml"
MAX_BYTES = 2**16
MAX_SECONDS = 30 * 86_400.0

Seconds = Annotated[float, Field(ge=1, le=MAX_SECONDS)]


def require_target(target: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Give the command or the address back that is told of alerts.

    Raises:
        ValueError: it is neither a list of words nor an https address; plain http is for this machine alone.
    """
    if isinstance(target, tuple):
        if target and not target[0].strip():
            raise ValueError("the first word of the command is empty")
        return target
    address = urlsplit(target)
    host = address.hostname or ""
    if address.scheme == "https" and host:
        return target
    if address.scheme == "http" and _is_here(host):
        return target
    raise ValueError('it must be a command such as ["my-script", "--all"], or an address that begins with https://')


class Rule(Settings):
    """One thing that is watched."""

    on: bool = True
    repeat: Seconds | None = Field(None, description="tell again every so many seconds while it lasts; once by default")
    cooldown: float = Field(
        300.0, ge=0, le=MAX_SECONDS, description="least seconds between two beginnings that are told, whatever ended"
    )


class OffRule(Rule):
    """One that is watched where it is asked for."""

    on: bool = False


class DropRule(OffRule):
    """Robust accuracy of a probe under its best."""

    points: float = Field(10.0, gt=0, le=100, description="under the best probe by the same classifier, in points")


class SilenceRule(Rule):
    """No sign of life."""

    seconds: Seconds = 300.0


class DiskRule(Rule):
    """Room on the disk of the run."""

    free_mib: float = Field(1024.0, gt=0, description="told when less is free, in MiB")


class MemoryRule(Rule):
    """Memory of the accelerator."""

    percent: float = Field(97.0, gt=0, le=100, description="told when more is in use")


class AlertSettings(Settings):
    """All of `alerts.toml`."""

    notify: Annotated[str | tuple[str, ...], AfterValidator(require_target)] = Field(
        (), description="a command as a list of words, or an https address; told of every alert, as JSON"
    )
    notify_timeout: float = Field(10.0, gt=0, le=60, description="seconds that it may take")
    notify_pause: float = Field(2.0, ge=0, le=3600, description="least seconds between two")
    bell: bool = True
    notification: bool = Field(True, description="of the terminal (OSC 9)")
    title: bool = Field(True, description="of the terminal: run, progress and state")
    progress: Literal["auto", "on", "off"] = Field(
        "auto", description="of the terminal (OSC 9;4); auto: of those that are known to show it"
    )
    sentinels: Rule = Field(Rule(), description="figures that stopped deserving trust, and collapses")
    robust_drop: DropRule = DropRule()
    stall: SilenceRule = SilenceRule()
    no_heartbeat: SilenceRule = Field(
        SilenceRule(seconds=60.0), description="of the process that trains, as seen by another one"
    )
    disk: DiskRule = DiskRule()
    gpu_memory: MemoryRule = MemoryRule()
    diverged: Rule = Field(Rule(), description="a loss or weight that is not finite; the run ends")
    failed: Rule = Rule()
    finished: Rule = Field(Rule(), description="the run has ended as planned, or was stopped")
    paused: OffRule = Field(OffRule(), description="the run waits")


def read_alerts(path: Path | None = None) -> AlertSettings:
    """Read what a person wants to be told of.

    Args:
        path: the file; by default `alerts.toml` in the person's own folder of settings, where there is one.

    Raises:
        ConfigError: it cannot be read, a key or value is wrong, or the found one may be written by somebody else.
    """
    place = own_file() if path is None else path.expanduser()
    if path is None and not place.exists():
        return AlertSettings()
    try:
        if path is None:
            _require_own(place)
        with place.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        values = tomllib.loads(data[:MAX_BYTES].decode())
    except OSError as error:
        raise ConfigError(f"cannot read {place}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{place} is not valid TOML: {error}") from error
    try:
        return AlertSettings.model_validate(values)
    except ValidationError as error:
        # What was written may hold a secret, so of `notify` only the reason is told.
        if any(problem["loc"][:1] == ("notify",) for problem in error.errors()):
            raise ConfigError(
                f'{place}: notify must be a command such as ["my-script", "--all"], or an address that begins with '
                "https://"
            ) from None
        raise ConfigError(describe(error, [Layer(str(place), values)])) from error


def own_file() -> Path:
    """Where the alerts of this person are described."""
    return config_dir() / ALERTS_FILE


def masked(target: str | tuple[str, ...]) -> str:
    """The command or address that is told, without what may be a secret: its other words, its path and its user."""
    if isinstance(target, tuple):
        more = len(target) - 1
        return Path(target[0]).name + (f" (and {more} more word{'s' * (more > 1)})" if more else "") if target else ""
    address = urlsplit(target)
    return f"{address.scheme}://{address.hostname}/…"


def _require_own(path: Path) -> None:
    """Refuse a file that names a command and that somebody else could have written.

    Raises:
        ConfigError: it belongs to another user, or any user may write it.
    """
    status = path.stat()
    if status.st_uid not in (os.geteuid(), 0) or status.st_mode & stat.S_IWOTH:
        raise ConfigError(f"{path} may be written by other users, and names a command: make it yours alone")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
