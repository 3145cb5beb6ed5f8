"""Keys that a person may change: an id for each, and how a changed one is shown. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from textual.binding import Binding, BindingType
from textual.keys import format_key


@dataclass(frozen=True)
class OwnKey:
    """A key that a person has changed.

    Attributes:
        group: the screen that it belongs to, or "app".
        before, now: keys as Textual calls them.
        text: what it does.
    """

    group: str
    before: tuple[str, ...]
    now: tuple[str, ...]
    text: str


def named(group: str, bindings: Sequence[BindingType]) -> list[BindingType]:
    """The same bindings, each with an id by which a person may give it another key, such as "dashboard.probe".

    The id is that of the binding, or else the name of its action. What has priority, as ctrl+c, and no id stays.

    Args:
        group: the screen, as a person calls it.
        bindings: those of the screen.

    Raises:
        ValueError: two have the same id.
    """
    result = [_named(group, each) if isinstance(each, Binding) else each for each in bindings]
    ids = [each.id for each in result if isinstance(each, Binding) and each.id]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise ValueError(f"two bindings are called {', '.join(twice)}: give them an id")
    return result


def plain_action(action: str) -> str:
    """The action without who has it and its arguments: "cursor" of "screen.cursor(-1)"."""
    return action.partition("(")[0].rpartition(".")[2]


def shown_key(keys: str) -> str:
    """How one key, or the first of several, is shown: "?" for "question_mark,f1"."""
    *modifiers, key = keys.partition(",")[0].strip().split("+")
    return "+".join([*modifiers, format_key(key)])


def shown_keys(shown: str, action: str, bindings: Iterable[Binding], changed: Mapping[str, str]) -> str:
    """How the keys of an action are shown in a line of keys.

    Args:
        shown: how they are shown unless a person has changed them.
        action: as a click runs it.
        bindings: of the screen and the app that the line belongs to.
        changed: new keys by id.
    """
    name, exact = plain_action(action), "(" in action
    ours = [each for each in bindings if each.id and plain_action(each.action) == name]
    if exact:
        ours = [each for each in ours if each.action.partition("(")[2] == action.partition("(")[2]]
    if not any(each.id in changed for each in ours):
        return shown
    return " ".join(shown_key(changed.get(each.id or "", each.key)) for each in ours if each.show or each.id in changed)


def _named(group: str, binding: Binding) -> Binding:
    own = binding.id or plain_action(binding.action).replace("_", "-")
    return binding if binding.priority and not binding.id else replace(binding, id=f"{group}.{own}")
