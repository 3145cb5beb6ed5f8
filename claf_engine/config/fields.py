"""Every setting as a person meets it: its key, what it may be, what it means, and which method it matters for.

All of it is read from the declarations in `claf_engine.config`. No torch.
"""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from claf_engine.config import RunConfig
from claf_engine.config.registry import METHODS, OWN_ARCHITECTURES
from claf_engine.config.sources import TORCHVISION, TORCHVISION_NAMES

CONTRASTIVE = ("views", "features_optimizer", "contrastive")
SUPERVISED = ("supervised", "attack", "objective")
SECTIONS: dict[str, tuple[str, ...]] = {
    "claf": (*CONTRASTIVE, "attack", "adversarial", "linear_evaluation"),
    "natural": ("supervised", "objective"),
    "scl": (*CONTRASTIVE, "linear_evaluation", "attack"),
    "at": SUPERVISED,
    "fgsm": ("fgsm", *SUPERVISED),
    "trades": ("trades", *SUPERVISED),
    "alp": ("alp", *SUPERVISED),
    "rocl": ("rocl", *CONTRASTIVE[:2], *SUPERVISED, "linear_evaluation"),
    "acl": ("acl", *CONTRASTIVE[:2], *SUPERVISED, "linear_evaluation"),
    "clp": ("clp", "supervised", "objective"),
    "two-encoders": ("two_encoders", *SUPERVISED),
    "rectifier": ("rectifier", "supervised", "objective"),
    "defense-gan": ("defense_gan", "supervised", "objective"),
    "pretext": ("pretext", *CONTRASTIVE[:2], *SUPERVISED, "linear_evaluation"),
    "union": ("union", "supervised", "objective"),
}
"""The groups of settings that a method of ours has of its own, the most telling one first."""
COMMON = ("", "data", "model", "probe", "evaluation", "checkpoint", "runtime", "averaging", "weight_perturbation")
"""Groups of every method; "" are the settings of no group."""
OWN_GROUPS = frozenset(group for groups in SECTIONS.values() for group in groups)
_KINDS = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Fraction: "distance such as 8/255",
}
_LIMITS = (
    (annotated_types.Ge, "ge", "at least"),
    (annotated_types.Gt, "gt", "greater than"),
    (annotated_types.Le, "le", "at most"),
    (annotated_types.Lt, "lt", "less than"),
)


@dataclass(frozen=True)
class SettingField:
    """One setting.

    Attributes:
        key: its whole name, such as "attack.steps".
        kind: what it holds, with its bounds: "whole number, at least 0".
        choices: the values it may have, or else those that are common; empty where it may be anything.
        is_closed: whether it may have no other value than those.
        description: what it means; empty where its name says it.
        may_be_unset: whether "none" is a value.
    """

    key: str
    kind: str
    choices: tuple[str, ...]
    is_closed: bool
    description: str
    may_be_unset: bool

    @property
    def group(self) -> str:
        """See `group_of`."""
        return group_of(self.key)


def group_of(key: str) -> str:
    """The group of a setting, such as "attack"; of "supervised.optimizer.momentum" it is "supervised"; or empty."""
    return key.partition(".")[0] if "." in key else ""


@cache
def setting_fields() -> tuple[SettingField, ...]:
    """All settings, in the order of the configuration."""
    return tuple(_fields(RunConfig, ""))


@cache
def group_summary(group: str) -> str:
    """What a group of settings is for, in one line."""
    if not group:
        return "the run as a whole"
    field = RunConfig.model_fields[group]
    return field.description or (field.annotation.__doc__ or "").partition("\n")[0].rstrip(".")


def groups_for(method: str) -> tuple[str, ...]:
    """All groups of settings, those that matter for a method first; a plugin's method may use any."""
    every = tuple(dict.fromkeys(field.group for field in setting_fields()))
    if method not in SECTIONS:
        return every
    first = ("", *SECTIONS[method])
    return (*first, *(group for group in COMMON if group not in first), *idle_groups(method))


def idle_groups(method: str) -> tuple[str, ...]:
    """Groups of settings that a method of ours does not read; none of a plugin's."""
    own = SECTIONS.get(method)
    if own is None:
        return ()
    return tuple(
        group
        for group in dict.fromkeys(field.group for field in setting_fields())
        if group in OWN_GROUPS and group not in own
    )


def _fields(model: type[BaseModel], prefix: str) -> Iterator[SettingField]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _fields(inner, f"{prefix}{name}.")
        else:
            yield _field(prefix + name, field)


def _field(key: str, field: FieldInfo) -> SettingField:
    annotation, may_be_unset = _without_none(field.annotation)
    choices, is_closed = _choices(key, annotation, field.description or "")
    metadata = [*field.metadata, *getattr(annotation, "__metadata__", ())]
    kind = ", ".join(filter(None, (_kind(annotation), *_limits(metadata))))
    return SettingField(key, kind, choices, is_closed, field.description or "", may_be_unset)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        kept = [each for each in get_args(annotation) if each is not type(None)]
        return kept[0], len(kept) < len(get_args(annotation))
    return annotation, False


def _choices(key: str, annotation: Any, description: str) -> tuple[tuple[str, ...], bool]:
    if get_origin(annotation) is Literal:
        return tuple(map(str, get_args(annotation))), True
    if annotation is bool:
        return ("true", "false"), True
    if key == "method":
        return (*METHODS.own, *METHODS.entries), True
    known = {
        "model.architecture": OWN_ARCHITECTURES,
        "data.source": ("shapes", "cifar10", *(TORCHVISION + name for name in TORCHVISION_NAMES)),
        "runtime.device": tuple(description.partition(" or ")[0].split(", ")),  # which only its own words may name
    }
    return known.get(key, ()), False


def _kind(annotation: Any) -> str:
    plain = _plain(annotation)
    if get_origin(plain) is Literal:
        return "one of " + ", ".join(map(str, get_args(plain)))
    if get_origin(plain) is tuple:
        first = _plain(get_args(plain)[0])
        if get_origin(first) is Literal:
            return "list of " + ", ".join(map(str, get_args(first)))
        return f"list of {_KINDS.get(first, 'values')}" if first is Fraction else f"list of {_KINDS[first]}s"
    return _KINDS.get(plain, "text")


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def _limits(metadata: list[Any]) -> Iterator[str]:
    flat = [inner for each in metadata for inner in (each.metadata if isinstance(each, FieldInfo) else [each])]
    for kind, attribute, words in _LIMITS:
        for limit in flat:
            if isinstance(limit, kind):
                yield f"{words} {getattr(limit, attribute):g}"
