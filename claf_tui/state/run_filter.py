"""The small language that chooses runs in a list: `method:claf robust>40 !tag:old`. Pure, no Textual.

filter  = choice*                       all of them must hold
choice  = ["!" | "-"] part ("|" part)*  one of them must; a part without a field has the field of the one before
part    = [field] value                 field is "method:", "robust>=" and so on; a value alone is looked for
value   = word | "quoted words"
"""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from claf_engine.runs.listing import GOING_ON
from claf_engine.runs.overview import Overview
from claf_engine.terms.errors import ConfigError

Test = Callable[[Overview, float], bool]
"""Whether a run is meant, at a moment in seconds since the epoch."""

ARCHIVED, LIVE = "archived", "live"
STATES = (LIVE, *sorted(GOING_ON), "finished", "interrupted", "stopped", "diverged", "failed", "imported", ARCHIVED)
TEXT_FIELDS = ("method", "state", "data", "tag", "name", "note")
NUMBER_FIELDS = ("robust", "natural", "age", "step")
EXAMPLE = "such as method:claf robust>40"
COUNTS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
TENTH = 0.0005
"""Half of what the last digit of a shown percentage stands for."""
DIGITS = 9
"""After the point, by which a fraction is compared: 41.2 / 100 is not 0.412 to the last bit."""
_FIELD = re.compile(r"([A-Za-z]+)(:|<=|>=|!=|<|>|=)")
_VALUE = re.compile(r'"[^"]*"|[^\s|"]+')
_OR = re.compile(r"\s*\|\s*")


@dataclass(frozen=True)
class RunFilter:
    """Which runs are meant; made by `parse_filter`.

    Attributes:
        tests: all of them must hold.
        shows_archived: whether it asks for runs that were put away, which are left out otherwise.
    """

    tests: tuple[Test, ...] = ()
    shows_archived: bool = False

    def matches(self, run: Overview, now: float) -> bool:
        """Whether a run is meant.

        Args:
            run: how it stands.
            now: seconds since the epoch.
        """
        if run.digest.labels.is_archived and not self.shows_archived:
            return False
        return all(test(run, now) for test in self.tests)


@dataclass(frozen=True)
class _Field:
    """What stands before a value."""

    name: str = ""
    sign: str = ":"


def parse_filter(text: str) -> RunFilter:
    """Read a filter; an empty one means all runs that were not put away.

    Raises:
        ConfigError: it is none, with what to write instead.
    """
    if text.count('"') % 2:
        raise ConfigError('a quotation mark is not closed: write "two words"')
    tests, shows_archived, place = [], False, _spaces_after(text, 0)
    while place < len(text):
        is_negated = text[place] in "!-"
        place += is_negated
        if place == len(text) or text[place].isspace():
            raise ConfigError(f"{text[place - 1]} leaves out what follows it at once, such as {text[place - 1]}tag:old")
        chosen, place, names = _choice(text, place)
        shows_archived |= ARCHIVED in names
        tests.append(_negated(chosen) if is_negated else chosen)
        place = _spaces_after(text, place)
    return RunFilter(tuple(tests), shows_archived)


def _choice(text: str, place: int) -> tuple[Test, int, set[str]]:
    """Read parts between bars; gives their test, where they end, and the states that they name."""
    tests: list[Test] = []
    field, states = _Field(), set()
    while True:
        if found := _FIELD.match(text, place):
            field, place = _known(_Field(found[1].lower(), found[2])), found.end()
        value = _VALUE.match(text, place)
        if value is None:
            raise ConfigError(_lacking(field))
        word = value[0].strip('"')
        tests.append(_test_of(field, word))
        if field.name == "state":
            states.add(word.lower())
        place = value.end()
        bar = _OR.match(text, place)
        if bar is None:
            return (tests[0] if len(tests) == 1 else _any_of(tests)), place, states
        place = bar.end()


def _known(field: _Field) -> _Field:
    """The same field.

    Raises:
        ConfigError: there is none of this name, or it is not compared so.
    """
    if field.name in TEXT_FIELDS:
        if field.sign not in {":", "=", "!="}:
            raise ConfigError(f"{field.name} is a text: write {field.name}:VALUE")
        return field
    if field.name not in NUMBER_FIELDS:
        texts, numbers = (", ".join(names) for names in (TEXT_FIELDS, NUMBER_FIELDS))
        raise ConfigError(f"there is no {field.name!r}: use {texts} with a colon, {numbers} with < or >; or quote it")
    if field.name == "age" and field.sign not in COMPARISONS:
        raise ConfigError("an age is compared with < or >, such as age<2d")
    return field


def _lacking(field: _Field) -> str:
    if not field.name:
        return f"a word or a field is missing, {EXAMPLE}"
    usual = {"age": "2d", "state": "live", "method": "claf", "step": "1000"}
    example = usual.get(field.name, "40" if field.name in NUMBER_FIELDS else "name")
    return f"{field.name}{field.sign} lacks its value, such as {field.name}{field.sign}{example}"


def _test_of(field: _Field, word: str) -> Test:
    """The test of one part.

    Raises:
        ConfigError: the value is not one of its field.
    """
    if field.name in NUMBER_FIELDS:
        return _number_test(field, word)
    test = _text_test(field.name, word.lower())
    return _negated(test) if field.sign == "!=" else test


def _text_test(name: str, word: str) -> Test:
    match name:
        case "":
            return lambda run, _: word in _written(run)
        case "name":
            return lambda run, _: word in run.name.lower()
        case "note":
            return lambda run, _: word in run.digest.labels.note.lower()
        case "data":
            return lambda run, _: word in run.digest.data.lower()
        case "method":
            return lambda run, _: fnmatchcase(run.digest.method.lower(), word)
        case "tag":
            return lambda run, _: any(fnmatchcase(tag.lower(), word) for tag in run.digest.labels.tags)
    if word not in STATES:
        raise ConfigError(f"there is no state {word!r}: there are {', '.join(STATES)}")
    if word == ARCHIVED:
        return lambda run, _: run.digest.labels.is_archived
    return (lambda run, _: run.is_live) if word == LIVE else (lambda run, _: run.status == word)


def _number_test(field: _Field, word: str) -> Test:
    """Compare a figure; a run without it does not fit."""
    figure_of, wanted, close = _figure(field.name, word)
    compare = COMPARISONS.get(field.sign)

    def fits(value: float) -> bool:
        if compare is not None:
            return bool(compare(round(value, DIGITS), round(wanted, DIGITS)))
        return (abs(value - wanted) <= close) is not (field.sign == "!=")

    def holds(run: Overview, now: float) -> bool:
        value = figure_of(run, now)
        return value is not None and fits(value)

    return holds


def _figure(name: str, word: str) -> tuple[Callable[[Overview, float], float | None], float, float]:
    """How a figure is had of a run, the value that it is compared with, and how near is the same.

    Raises:
        ConfigError: the value is not one of this figure.
    """
    if name == "age":
        return _age_of, _duration(word), 0.0
    if name == "step":
        return (lambda run, _: run.digest.step), _count(word), 0.0
    try:
        number = float(word.removesuffix("%").replace(",", ""))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{name} is compared with a number of percent, such as {name}>40, and {word!r} is none")
    if name == "natural":
        return (lambda run, _: run.measured.natural), number / 100, TENTH
    return (lambda run, _: run.robust), number / 100, TENTH


def _count(word: str) -> float:
    """A number of steps as people write it, or as the list shows it, such as 12,500 or 12.5k."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]?)", word.lower().replace(",", ""))
    if found is None:
        raise ConfigError(f"step is compared with a number, such as step>5000 or step>5k, and {word!r} is none")
    return float(found[1]) * COUNTS[found[2]]


def _age_of(run: Overview, now: float) -> float | None:
    return now - run.digest.begun if run.digest.begun else None


def _duration(word: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]+)", word.lower())
    if found is None or found[2] not in SECONDS:
        raise ConfigError(f"an age is a number of s, m, h, d or w, such as age<2d, and {word!r} is none")
    return float(found[1]) * SECONDS[found[2]]


def _written(run: Overview) -> str:
    labels = run.digest.labels
    return f"{run.name} {' '.join(labels.tags)} {labels.note}".lower()


def _negated(test: Test) -> Test:
    return lambda run, now: not test(run, now)


def _any_of(tests: list[Test]) -> Test:
    return lambda run, now: any(test(run, now) for test in tests)


def _spaces_after(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place
