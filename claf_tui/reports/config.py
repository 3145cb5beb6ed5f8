"""A configuration as TOML with a comment for each setting; the file can be edited and used again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tomli_w
from pydantic import BaseModel


def annotated_toml(config: BaseModel) -> str:
    """Write a configuration as TOML; each setting's description stands above it."""
    return "\n".join(_lines(config, ())).strip() + "\n"


def printable_toml(text: str) -> str:
    """The same TOML with escapes for what a terminal would obey; such characters only stand inside quotes."""
    return "".join(char if char.isprintable() or char == "\n" else _escape(char) for char in text)


def key_lines(actions: Sequence[tuple[str, str, str]], changed: Mapping[str, str]) -> list[str]:
    """Write a table of keys; a star marks those that a person has changed.

    Args:
        actions: id, keys and what they do.
        changed: new keys by id.
    """
    rows = [(name, changed.get(name, keys).replace(",", ", "), text, name in changed) for name, keys, text in actions]
    width, room = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    return [f"{'*' if row[3] else ' '} {row[0]:{width}}  {row[1]:{room}}  {row[2]}".rstrip() for row in rows]


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def _lines(group: BaseModel, path: tuple[str, ...]) -> Iterator[str]:
    plain = group.model_dump(mode="json")
    fields = type(group).model_fields
    groups = {name: value for name, value in group if isinstance(value, BaseModel)}
    for name, field in fields.items():
        if name in groups:
            continue
        if field.description:
            yield f"# {field.description}"
        value = plain[name]
        yield f"# {name} = (not set)" if value is None else f"{name} = {_value(value)}"
    for name, inner in groups.items():
        yield ""
        yield f"# {fields[name].description or _summary(inner)}"
        yield f"[{'.'.join((*path, name))}]"
        yield from _lines(inner, (*path, name))


def _value(value: Any) -> str:
    """Write a value as TOML on one line; what TOML writes over several lines are only our lists."""
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return printable_toml(tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n"))


def _summary(group: BaseModel) -> str:
    return (type(group).__doc__ or "").partition("\n")[0]
