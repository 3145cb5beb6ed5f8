"""A run that a person is putting together: a preset, what differs from it, and the command that says the same. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from claf_engine.config import RunConfig
from claf_engine.config.fields import SettingField, group_summary, groups_for, idle_groups, setting_fields
from claf_engine.config.presets import (
    DEFAULT_PRESET,
    UNSET,
    Override,
    parse_override,
    preset_names,
    preset_summary,
    resolve_config,
)
from claf_engine.runs.folder import flat_settings, to_plain
from claf_engine.terms.method_pages import METHOD_PAGES

PRESET, NAME, METHOD, DATA = "preset", "name", "method", "data.source"
FLAGS = {DATA: "--data", METHOD: "--method", "seed": "--seed", "runtime.device": "--device"}
"""Settings with a flag of their own."""
FIRST = (PRESET, DATA, METHOD, NAME)
"""What is chosen before anything else, in this order."""


@dataclass(frozen=True)
class Draft:
    """A run that has not begun.

    Attributes:
        preset: that it begins with.
        changes: what was typed for settings, by whole name.
        name: of its folder; empty for that of the preset.
        plugins: files that its command names.
    """

    preset: str = DEFAULT_PRESET
    changes: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    plugins: tuple[Path, ...] = ()

    def changed(self, key: str, text: str) -> "Draft":
        """The same draft with another value of a setting, the preset or the name; an empty one takes it back."""
        if key == PRESET:
            return replace(self, preset=text or DEFAULT_PRESET)
        if key == NAME:
            return replace(self, name=text)
        others = {name: value for name, value in self.changes.items() if name != key}
        return replace(self, changes={**others, key: text} if text else others)

    def config(self) -> RunConfig:
        """The settings that the run would have.

        Raises:
            ConfigError: one is wrong; in the words that the command line uses.
        """
        return resolve_config(self.preset, None, [_override(key, text) for key, text in self.changes.items()])

    def tidy(self) -> "Draft":
        """The same draft without changes to what the preset says anyhow.

        Raises:
            ConfigError: see `config`.
        """
        usual, own = _values(resolve_config(self.preset)), _values(self.config())
        kept = {key: text for key, text in self.changes.items() if own.get(key) != usual.get(key)}
        return replace(self, changes=kept)

    def command(self) -> list[str]:
        """The command line that begins the same run."""
        words = ["claf-tui", "train", "--preset", self.preset]
        words += [word for file in self.plugins for word in ("--plugin", str(file))]
        for key, text in self.changes.items():
            words += [FLAGS[key], text] if key in FLAGS else ["--set", f"{key}={text}"]
        return [*words, "--name", self.name] if self.name else words


@dataclass(frozen=True)
class Row:
    """One line of the form.

    Attributes:
        key: of the setting, or `PRESET` or `NAME`.
        value: as it would be typed.
        usual: the preset's own value; empty where there is none.
    """

    key: str
    value: str
    usual: str = ""

    @property
    def differs(self) -> bool:
        """Whether a person has changed it."""
        return bool(self.usual) and self.value != self.usual


@dataclass(frozen=True)
class Heading:
    """The beginning of a group of settings."""

    group: str
    text: str


def form_lines(draft: Draft, config: RunConfig, words: str = "", *, is_whole: bool = False) -> Iterator[Row | Heading]:
    """Lines of the form: what is chosen first, then the groups of settings that matter for the method.

    Args:
        draft: what was typed.
        config: the last settings that could be resolved.
        words: all of which a setting's name or meaning must hold; then idle groups are searched too.
        is_whole: also the groups that the method does not read.
    """
    usual, own = _values(resolve_config(draft.preset)), _values(config)
    wanted = words.lower().split()
    if not wanted:
        yield Row(PRESET, draft.preset)
        yield Row(DATA, draft.changes.get(DATA, own[DATA]), usual[DATA])
        yield Row(METHOD, draft.changes.get(METHOD, own[METHOD]), usual[METHOD])
        yield Row(NAME, draft.name)
    idle = () if is_whole or wanted else idle_groups(config.method)
    for group in groups_for(config.method):
        found = [each for each in setting_fields() if each.group == group and _fits(each, wanted)]
        rows = [
            Row(each.key, draft.changes.get(each.key, own.get(each.key, UNSET)), usual.get(each.key, UNSET))
            for each in found
            if wanted or each.key not in FIRST
        ]
        if rows and group not in idle:
            yield Heading(group, group_summary(group))
            yield from rows


def choices_of(key: str) -> tuple[tuple[str, str], ...]:
    """The values that a line of the form can have, each with what it means; empty where anything may be typed."""
    if key == PRESET:
        return tuple((name, preset_summary(name)) for name in preset_names())
    found = field_of(key)
    texts = {name: page.title for name, page in METHOD_PAGES.items()} if key == METHOD else {}
    if found is None or not found.is_closed:
        return ()
    return tuple((choice, texts.get(choice, "")) for choice in found.choices)


def field_of(key: str) -> SettingField | None:
    """The setting of this name, if it is one."""
    return next((each for each in setting_fields() if each.key == key), None)


def meaning(key: str) -> str:
    """What a line of the form is about, and what may be typed."""
    if key == PRESET:
        return "packaged settings to begin with"
    if key == NAME:
        return "name of the run's folder, after its date; by default that of the preset"
    found = field_of(key)
    if found is None:
        return ""
    if key == METHOD:
        return "what is trained, and how; enter shows the page of each: what it costs, what is known of it under attack"
    unset = f"; {UNSET}: not set" if found.may_be_unset else ""
    return f"{found.description or group_summary(found.group)} ({found.kind}{unset})"


def _override(key: str, text: str) -> Override:
    if key in FLAGS:
        return Override(key, parse_override(f"{key}={text}").value if key == "seed" else text, FLAGS[key])
    return parse_override(f"{key}={text}")


def _fits(each: SettingField, wanted: list[str]) -> bool:
    text = f"{each.key} {each.description}".lower()
    return all(word in text for word in wanted)


def _values(config: RunConfig) -> dict[str, str]:
    return {key: _text(value) for key, value in flat_settings(to_plain(config))}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
