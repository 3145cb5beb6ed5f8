"""What a detector did, in sentences for cards and reports. No torch."""

from collections.abc import Mapping
from typing import Any

UNREADABLE = "what the detector did cannot be read"


def detection_sentences(record: Mapping[str, Any]) -> list[str]:
    """A sentence each for the threshold, natural images, and every attacker.

    Args:
        record: of `Detection.to_record`; another program may have written it, whose text is not cleaned here.
    """
    try:
        return _sentences(record)
    except (KeyError, TypeError, ValueError, AttributeError):
        return [UNREADABLE]


def share_text(count: Mapping[str, Any]) -> str:
    """A share with its interval: "3.5 % (95 % interval 1.7 to 7.0)"; "–" where there is nothing to take one of.

    Raises:
        KeyError: the count is no record of ours; likewise TypeError and ValueError.
    """
    if count["share"] is None:
        return "–"
    low, high = count["interval"]
    return f"{100 * count['share']:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f})"


def _sentences(record: Mapping[str, Any]) -> list[str]:
    validation, natural = record["validation_false_positives"], record["false_positives"]
    lines = [
        f"{record['detector']} rejects scores above {record['threshold']:.4g}: set to reject "
        f"{100 * record['wanted_false_positive_rate']:g} % of {validation['of']} natural validation images",
        f"it rejects {share_text(natural)} of {natural['of']} natural test images, which count as errors; without it "
        f"natural accuracy is {share_text(record['natural_accuracy_without'])}",
    ]
    for item in record["detection"]:
        detected = item["detected"]
        lines.append(
            f"{item['epsilon']}, {item['knowledge']}: of {detected['of']} images that the attacker had fooling the "
            f"classifier it stopped {detected['count']}, {share_text(detected)}{_chance(detected, natural)}"
        )
    return lines


def _chance(detected: Mapping[str, Any], natural: Mapping[str, Any]) -> str:
    """Said of a detector that may as well reject at random."""
    if detected["share"] is None or natural["share"] is None or detected["interval"][0] > natural["share"]:
        return ""
    return ", which is no surer than rejecting at random"
