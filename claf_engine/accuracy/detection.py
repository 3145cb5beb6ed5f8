"""What a detector of adversarial examples did on test images, as plain values."""

from dataclasses import dataclass
from typing import Any

from claf_engine.accuracy.intervals import CONFIDENCE, wilson


@dataclass(frozen=True)
class Count:
    """`hits` of `total` images."""

    hits: int
    total: int

    def to_record(self) -> dict[str, Any]:
        """As a JSON object with its share and interval; both are None where there is nothing to take a share of."""
        known = {"count": self.hits, "of": self.total, "confidence": CONFIDENCE}
        if not self.total:
            return {**known, "share": None, "interval": None}
        return {**known, "share": self.hits / self.total, "interval": list(wilson(self.hits, self.total))}


@dataclass(frozen=True)
class Caught:
    """What became of one attacker at one radius.

    Attributes:
        epsilon: radius, such as "8/255".
        knowledge: "oblivious" of the detector, or "adaptive".
        detected: of the images for which the attacker had one that fools the classifier, those for which none of these
            got past the detector.
    """

    epsilon: str
    knowledge: str
    detected: Count


@dataclass(frozen=True)
class Detection:
    """A detector with its threshold, and what it did.

    Attributes:
        detector: in words, such as "squeezing:bit-depth:5,median:2".
        threshold: scores above it are rejected.
        wanted_rate: share of natural images that were to be rejected at most, in (0, 1).
        validation: rejected natural images of those that the threshold was set on.
        false_positives: rejected natural images of the test split.
        right: test images that are classified rightly, whether rejected or not.
        caught: each attacker at each radius.
    """

    detector: str
    threshold: float
    wanted_rate: float
    validation: Count
    false_positives: Count
    right: Count
    caught: tuple[Caught, ...]

    def to_record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "detector": self.detector,
            "threshold": self.threshold,
            "wanted_false_positive_rate": self.wanted_rate,
            "validation_false_positives": self.validation.to_record(),
            "false_positives": self.false_positives.to_record(),
            "natural_accuracy_without": self.right.to_record(),
            "detection": [
                {"epsilon": each.epsilon, "knowledge": each.knowledge, "detected": each.detected.to_record()}
                for each in self.caught
            ],
        }
