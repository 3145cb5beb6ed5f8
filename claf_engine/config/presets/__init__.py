"""From a preset, a TOML file and single values to one `RunConfig`. No torch.

Later layers win: defaults < preset < file < overrides. A table in a later layer changes the keys it names and leaves
the others as they were. Every mistake is a `ConfigError` that names the layer and the dotted key.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from claf_engine.config import RunConfig
from claf_engine.config.fields import setting_fields
from claf_engine.config.messages import Layer, describe
from claf_engine.config.sources import absolute_source
from claf_engine.config.suggestion import suggestion
from claf_engine.terms.errors import ConfigError

DEFAULT_PRESET = "demo"
PRESET_KEY = "preset"
"""Top-level key by which a configuration file, or a preset, names the preset that it builds on."""
MAX_FILE_BYTES = 2**20
"""Of a configuration file, which may also be a pipe; ours are a few KiB."""
KNOWN_IMAGES = ("shapes", "cifar10")
"""Sources whose channel means and deviations are the defaults of the model; those of others are measured."""
UNSET = "none"
"""The value that `--set KEY=none` writes for "not limited", since TOML has no null; a word where a setting has it."""

_KEY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class Override:
    """One value from the command line; `origin` is the flag that a complaint names."""

    key: str
    value: Any
    origin: str = "--set"


@cache
def preset_names() -> tuple[str, ...]:
    """Names of the packaged presets; the default one comes first."""
    names = [path.name.removesuffix(".toml") for path in _folder().iterdir() if path.name.endswith(".toml")]
    return tuple(sorted(names, key=lambda name: (name != DEFAULT_PRESET, name)))


def preset_text(name: str) -> str:
    """The TOML text of a preset.

    Raises:
        ConfigError: there is no such preset.
    """
    if name not in preset_names():
        known = ", ".join(preset_names())
        raise ConfigError(f"unknown preset {name!r}{suggestion(name, preset_names())}; presets are {known}")
    return _folder().joinpath(f"{name}.toml").read_text(encoding="utf-8")


def preset_summary(name: str) -> str:
    """One line on what a preset is for: the first comment of its file."""
    return preset_text(name).partition("\n")[0].removeprefix("#").strip()


def parse_override(text: str) -> Override:
    """Read "attack.epsilon=4/255": the value as TOML where it is TOML, else as plain text; "none" is unset.

    Raises:
        ConfigError: there is no "=", or the key is not a dotted name.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not _KEY.fullmatch(key):
        raise ConfigError(f"--set {text!r} is not KEY=VALUE, such as attack.epsilon=4/255")
    if value == UNSET and any(each.key == key and UNSET in each.choices for each in setting_fields()):
        return Override(key, value)
    try:
        return Override(key, _parse_value(value))
    except RecursionError as error:
        raise ConfigError(f"--set {key}: lists are nested too deeply") from error


def resolve_config(
    preset: str | None = None, file: Path | None = None, overrides: Iterable[Override | str] = ()
) -> RunConfig:
    """Build the configuration of a run.

    A relative path of a data source becomes absolute: in a file it is relative to that file, in an override to the
    working folder.

    Args:
        preset: its name; without it the file's own `preset` key counts, and without a file the default preset.
        file: a TOML file on top of the preset.
        overrides: single values on top of both, such as "attack.epsilon=4/255".

    Raises:
        ConfigError: a preset, file, key or value is wrong.
    """
    from_file = _read_file(file) if file is not None else None
    if from_file is not None:
        named = from_file.values.pop(PRESET_KEY, None)
        if named is not None and not isinstance(named, str):
            raise ConfigError(f"{from_file.origin}: {PRESET_KEY} must be the name of a preset, in quotes")
        preset = preset or named
    elif preset is None:
        preset = DEFAULT_PRESET
    layers = _preset_layers(preset, from_file) if preset is not None else []
    if from_file is not None:
        layers.append(_placed(from_file, file.expanduser().parent) if file is not None else from_file)
    given = (parse_override(each) if isinstance(each, str) else each for each in overrides)
    return resolve_layers(layers, given)


def preset_layers(name: str) -> list[Layer]:
    """A preset and the presets that it builds on, the lowest one first.

    Raises:
        ConfigError: there is no such preset, or presets build on each other in a circle.
    """
    chain: list[str] = []
    layers: list[Layer] = []
    base: str | None = name
    while base is not None:
        if base in chain:
            raise ConfigError(f"preset {chain[0]} builds on itself: {' -> '.join([*chain, base])}; end the circle")
        chain.append(base)
        values = tomllib.loads(preset_text(base))
        layers.insert(0, Layer(f"preset {base}", values, is_packaged=True))
        base = values.pop(PRESET_KEY, None)
    return layers


def resolve_layers(layers: Iterable[Layer], overrides: Iterable[Override] = ()) -> RunConfig:
    """Build a configuration from the defaults, layers and single values; each wins over those before it.

    Raises:
        ConfigError: a key or value is wrong.
    """
    layers = [
        Layer("defaults", RunConfig().model_dump(mode="json")),
        *layers,
        *(_placed(Layer(override.origin, _nested(override)), Path()) for override in overrides),
    ]
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = _merge(merged, layer.values)
    if _section(merged, "data") and _section(merged, "model") and merged["data"].get("source") not in KNOWN_IMAGES:
        merged = _merge(merged, _for_unknown_images(layers[1:]))
    try:
        return RunConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(describe(error, layers)) from error


def _placed(layer: Layer, base: Path) -> Layer:
    """The same layer with an absolute path in its data source."""
    data = layer.values.get("data")
    if not isinstance(data, Mapping) or not isinstance(source := data.get("source"), str):
        return layer
    return Layer(layer.origin, {**layer.values, "data": {**data, "source": absolute_source(source, base)}})


def _for_unknown_images(layers: Iterable[Layer]) -> dict[str, Any]:
    """What a new run takes from its images, unless a layer above the defaults says otherwise.

    These are no defaults of the settings: runs of earlier code, which do not name the keys, go on as they began.
    """
    named = {
        (section, key) for layer in layers for section in ("data", "model") for key in _section(layer.values, section)
    }
    found: dict[str, Any] = {"data": {}} if ("data", "validation") in named else {"data": {"validation": "own"}}
    given = {key for layer in layers if not layer.is_packaged for key in _section(layer.values, "data")}
    if not given & {"num_train", "num_validation", "num_test", "at_most"}:
        # What a preset says of sizes is of its own images.
        found["data"]["at_most"] = True
    if not named & {("model", "mean"), ("model", "std")}:
        found["model"] = {"mean": [], "std": []}
    return found


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name)
    return section if isinstance(section, Mapping) else {}


def _preset_layers(name: str, from_file: Layer | None) -> list[Layer]:
    """The layers of a preset; a complaint names the file that asked for it."""
    try:
        return preset_layers(name)
    except ConfigError as error:
        raise ConfigError(f"{from_file.origin}: {error}" if from_file is not None else str(error)) from error


def _read_file(path: Path) -> Layer:
    try:
        with path.expanduser().open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ConfigError(
                f"{path} is larger than {MAX_FILE_BYTES} bytes, which no configuration is; name another file"
            )
        return Layer(str(path), tomllib.loads(data.decode("utf-8-sig")))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a TOML file: it is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _parse_value(text: str) -> Any:
    if text == UNSET:
        return None
    try:
        value = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        if text.startswith("[") and text.endswith("]"):
            return [_parse_value(item.strip()) for item in text[1:-1].split(",") if item.strip()]
        return text
    return value["value"] if list(value) == ["value"] else text


def _nested(override: Override) -> dict[str, Any]:
    value = override.value
    for part in reversed(override.key.split(".")):
        value = {part: value}
    result: dict[str, Any] = value
    return result


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _folder() -> resources.abc.Traversable:
    return resources.files(__name__)
