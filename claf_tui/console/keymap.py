"""Which keys a person may change, and whether new ones can be taken. Pure, but for loading every screen."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from textual.binding import Binding
from textual.keys import Keys, _character_to_key

from claf_engine.config.suggestion import suggestion
from claf_tui.widgets.keys import OwnKey
from claf_tui.words.safe_text import safe

APP = "app"
"""The group of keys that work on every screen."""
MODIFIERS = {"ctrl", "shift", "alt", "super", "hyper", "meta"}
NAMED_KEYS = {key.value for key in Keys if not key.value.startswith("<")}
FIXED = {"ctrl+c": "leave", "ctrl+q": "leave", "ctrl+p": "show all commands"}
"""Keys that stay as they are, so that a console can always be left."""


@dataclass(frozen=True)
class Action:
    """Something that a key does.

    Attributes:
        id: by which a person names it, such as "dashboard.probe".
        keys: as Textual calls them, separated by commas.
        text: what it does.
    """

    id: str
    keys: str
    text: str

    @property
    def group(self) -> str:
        """The screen that it belongs to, or `APP`."""
        return self.id.partition(".")[0]


@dataclass(frozen=True)
class Keymap:
    """Keys that are taken, by id, and a sentence for each that is not."""

    keys: Mapping[str, str]
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clash:
    """A key that does something else already, said in words."""

    name: str
    text: str


def all_actions() -> list[Action]:
    """Everything that a person may give another key, screen by screen."""
    from claf_tui.console.base import ConsoleApp
    from claf_tui.console.run_console import RunConsole
    from claf_tui.screens.audit import AuditScreen
    from claf_tui.screens.card import CardScreen
    from claf_tui.screens.checkpoints.browser import CheckpointBrowser
    from claf_tui.screens.checkpoints.difference import DifferenceScreen
    from claf_tui.screens.checkpoints.tensor_tree import TensorTree
    from claf_tui.screens.comparison import ComparisonScreen
    from claf_tui.screens.dashboard import Dashboard
    from claf_tui.screens.examples import ExamplesScreen
    from claf_tui.screens.help import HelpScreen
    from claf_tui.screens.history import HistoryScreen
    from claf_tui.screens.new_run import NewRunScreen
    from claf_tui.screens.reproduction import ReproductionScreen
    from claf_tui.screens.run_board import RunBoard
    from claf_tui.screens.runs.runs_screen import RunsScreen
    from claf_tui.screens.settings import SettingsScreen
    from claf_tui.widgets.run_table import RunTable

    classes = [ConsoleApp, RunConsole, Dashboard, ExamplesScreen, SettingsScreen, CheckpointBrowser, TensorTree]
    classes += [DifferenceScreen, AuditScreen, CardScreen, ReproductionScreen, RunBoard, NewRunScreen, HelpScreen]
    classes += [RunsScreen, RunTable, ComparisonScreen, HistoryScreen]
    return list(actions_of(classes))


def actions_of(classes: Iterable[type]) -> Iterator[Action]:
    """What the bindings of these apps, screens and widgets do, each once."""
    declared = chain.from_iterable(each.__dict__.get("BINDINGS", ()) for each in classes)
    bindings = {each.id: each for each in declared if isinstance(each, Binding) and each.id}
    for name, binding in bindings.items():
        yield Action(name, binding.key, binding.description or name.partition(".")[2].replace("-", " "))


def checked(wanted: Mapping[str, str], actions: Iterable[Action], origin: str) -> Keymap:
    """Take those keys that can be taken.

    Args:
        wanted: keys, separated by commas, by id.
        actions: what there is.
        origin: the file, for a complaint.
    """
    known = {action.id: action for action in actions}
    taken: dict[str, str] = {}
    complaints: list[str] = []
    for name, text in wanted.items():
        keys = [normal_key(part.strip()) for part in text.split(",")]
        if name not in known:
            near = suggestion(name, known)
            complaints.append(f"there is no {safe(name, 60)}{near}; `claf-tui config keys` lists all")
        elif None in keys or not text.strip():
            complaints.append(
                f"{name} = {safe(text, 40)!r}: that is no key; use one such as P, f5, ctrl+n, slash or shift+left"
            )
        else:
            taken[name] = ",".join(key for key in keys if key is not None)
    while clash := next((each for name in taken if (each := _clash(name, taken, known))), None):
        complaints.append(f"{clash.name} = {taken.pop(clash.name)!r}: {clash.text}; choose another key")
    return Keymap(taken, tuple(f"{origin}: {text}" for text in complaints))


def normal_key(text: str) -> str | None:
    """A key as Textual calls it, such as "question_mark" for "?"; None where there is no such key."""
    *modifiers, key = text.split("+") if text != "+" else ["+"]
    if not set(modifiers) <= MODIFIERS or not key:
        return None
    if modifiers == ["shift"] and len(key) == 1 and key.isalpha():  # terminals send the capital
        return key.upper()
    if len(key) == 1 and key.isprintable():
        return "+".join([*modifiers, _character_to_key(key)])
    is_known = text in NAMED_KEYS or key in NAMED_KEYS or key in _SIGNS
    return text if is_known else None


def _clash(name: str, taken: Mapping[str, str], known: Mapping[str, Action]) -> Clash | None:
    keys, group = set(taken[name].split(",")), known[name].group
    for key in keys & FIXED.keys():
        return Clash(name, f"{key} is always there to {FIXED[key]}")
    before = set(known[name].keys.split(","))
    for other in known.values():
        meets = group == other.group or APP in (group, other.group)
        shared = set(taken.get(other.id, other.keys).split(",")) & keys
        if other.id != name and meets and not shared <= before:
            return Clash(name, f"{min(shared)} is also {other.id} ({other.text})")
    return None


_SIGNS = {_character_to_key(chr(code)) for code in range(32, 127)}
"""Keys of ASCII characters by their names, such as "slash"."""


def own_keys(changed: Mapping[str, str], actions: Iterable[Action]) -> tuple[OwnKey, ...]:
    """What a help page says of keys that a person has changed."""
    return tuple(
        OwnKey(each.group, tuple(each.keys.split(",")), tuple(changed[each.id].split(",")), each.text)
        for each in actions
        if each.id in changed
    )
