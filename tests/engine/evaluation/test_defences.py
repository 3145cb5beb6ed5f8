from pathlib import Path

import pytest

from claf_engine.accuracy.squeezing import Squeezing
from claf_engine.evaluation.defences import open_defence, parse_defence
from claf_engine.terms.errors import ConfigError
from tests.engine.accuracy.test_squeezing import every_defence


@every_defence
def test_a_defence_is_read_as_it_is_written(defence: Squeezing) -> None:
    choice = parse_defence(str(defence))
    assert str(choice) == str(defence)
    assert open_defence(choice, Path("no checkpoint")) == defence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("blur:2", "unknown defence 'blur:2'; use bit-depth:N .N from 1 to 7., median:N"),
        ("", "unknown defence ''"),
        ("median", "unknown defence 'median'"),
        ("median:two", "unknown defence 'median:two'"),
        ("median:2.5", "unknown defence"),
        (" median:2", "unknown defence"),
        ("median:1", "median of 1 is out of range; use median:N .N from 2 to 5."),
        ("median:6", "median of 6 is out of range"),
        ("bit-depth:0", "bit-depth of 0 is out of range; use bit-depth:N .N from 1 to 7."),
        ("bit-depth:8", "bit-depth of 8 is out of range"),
        ("bit-depth:-1", "unknown defence"),
        ("bit-depth:٤", "unknown defence"),
        (f"bit-depth:{'9' * 5000}", "unknown defence"),
    ],
)
def test_a_defence_that_does_not_exist_is_refused_with_those_that_do(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        parse_defence(text)
