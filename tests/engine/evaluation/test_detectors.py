from pathlib import Path

import pytest
from torch import nn

from claf_engine.evaluation.defences import DefenceChoice
from claf_engine.evaluation.detectors import DETECTORS, open_detector, parse_detector
from claf_engine.terms.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("squeezing", "squeezing:bit-depth:5+median:2+nlm:13,3,2"),
        ("squeezing:median:3", "squeezing:median:3"),
        ("squeezing:bit-depth:4+median:2", "squeezing:bit-depth:4+median:2"),
    ],
)
def test_a_detector_is_opened_as_it_is_written(text: str, name: str) -> None:
    assert str(open_detector(parse_detector(text), nn.Flatten(), Path("x"))) == name


def test_its_settings_are_the_squeezers() -> None:
    settings = parse_detector("squeezing:nlm:13,3,2+median:2").settings
    assert settings == (DefenceChoice("nlm", (13, 3, 2)), DefenceChoice("median", (2,)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "unknown detector ''; use squeezing"),
        ("blur", "unknown detector 'blur'; use squeezing"),
        ("squeezing:", "unknown detector 'squeezing:'"),
        ("squeezing:blur:2", "unknown defence 'blur:2'; use bit-depth:N"),
        ("squeezing:median:2+", "unknown defence ''"),
        ("squeezing:median:9", "median of 9 is out of range"),
        ("squeezing:nlm:12,3,2", "nlm of 12,3,2 is out of range"),
        ("squeezing:nlm:13,3", "nlm of 13,3 is out of range"),
        ("squeezing:median:2+median:2", "names a squeezer twice; name each once"),
        (f"squeezing:median:{'9' * 5000}", "unknown defence"),
    ],
)
def test_a_detector_that_does_not_exist_is_refused_with_those_that_do(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_detector(text)
    assert sentence in str(caught.value)


def test_that_of_a_rectifier_has_no_settings() -> None:
    assert parse_detector("rectifier").name == "rectifier"
    with pytest.raises(ConfigError, match="rectifier:5 has settings, and the rectifier's detector takes none"):
        parse_detector("rectifier:5")


def test_every_detector_says_how_it_is_written() -> None:
    assert all(kind.usage.startswith(name) for name, kind in DETECTORS.items())
