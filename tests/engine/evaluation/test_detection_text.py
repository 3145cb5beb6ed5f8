from dataclasses import replace
from typing import Any

import pytest

from claf_engine.accuracy.detection import Caught, Count, Detection
from claf_engine.evaluation.card_text import as_markdown
from claf_engine.evaluation.detection_text import UNREADABLE, detection_sentences
from tests.tui.scripted_audit import card

DETECTION = Detection(
    "squeezing:median:2",
    1.14,
    0.05,
    Count(20, 400),
    Count(7, 200),
    Count(190, 200),
    (Caught("8/255", "oblivious", Count(80, 100)), Caught("8/255", "adaptive", Count(0, 0))),
)


def test_what_a_detector_did_is_told_with_intervals() -> None:
    assert detection_sentences(DETECTION.to_record()) == [
        "squeezing:median:2 rejects scores above 1.14: set to reject 5 % of 400 natural validation images",
        "it rejects 3.5 % (95 % interval 1.7 to 7.0) of 200 natural test images, which count as errors; without it "
        "natural accuracy is 95.0 % (95 % interval 91.0 to 97.3)",
        "8/255, oblivious: of 100 images that the attacker had fooling the classifier it stopped 80, 80.0 % (95 % "
        "interval 71.1 to 86.7)",
        "8/255, adaptive: of 0 images that the attacker had fooling the classifier it stopped 0, –",
    ]


@pytest.mark.parametrize("odd", [{}, {"detection": 3}, {**DETECTION.to_record(), "threshold": "high"}])
def test_what_another_program_wrote_breaks_nothing(odd: dict[str, Any]) -> None:
    assert detection_sentences(odd) == [UNREADABLE]


def test_a_card_has_a_section_of_the_detector() -> None:
    page = as_markdown(card(detector=DETECTION.to_record()))
    assert "## Detector\n\n- squeezing:median:2 rejects scores above 1.14" in page
    assert "## Detector" not in as_markdown(card())


def test_a_detector_that_stops_no_more_than_chance_does_is_told_to() -> None:
    caught = (Caught("8/255", "adaptive", Count(4, 100)), Caught("8/255", "oblivious", Count(12, 100)))
    adaptive, oblivious = detection_sentences(replace(DETECTION, caught=caught).to_record())[2:]
    assert adaptive.endswith(", which is no surer than rejecting at random")
    assert oblivious.endswith("(95 % interval 7.0 to 19.8)")
