"""The robustness card of an audit, as a JSON object, and the verdict that its diagnostics come to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from claf_engine.audits.bench import NATURAL, Outcome
from claf_engine.audits.examine import Examination
from claf_engine.evaluation.measured_card import card_frame, proportion, worst_case_record
from claf_engine.terms.names import Verdict
from claf_engine.terms.reach import written_reach


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Fails if any fails, else warns if any warns, else passes; not-run when nothing was run."""
    for verdict in ("fails", "warns", "passes"):
        if verdict in verdicts:
            return verdict
    return "not-run"


def audit_card(examination: Examination, claim: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """The card of an audit.

    Args:
        examination: what was found.
        claim: epsilon, norm and space of the figure that is audited.
        about: facts of the checkpoint and of how it was audited; they are keys of the card.
    """
    attacks = [outcome for outcome in examination.outcomes if outcome.label != NATURAL]
    natural = next(outcome for outcome in examination.outcomes if outcome.label == NATURAL)
    count = len(examination.worst_case)
    counting = sum(outcome.is_in_ball for outcome in attacks)
    worst = float(examination.worst_case.double().mean())
    return {
        **card_frame("audit", overall([item.verdict for item in examination.diagnostics]), claim, about),
        "epsilons": [claim["epsilon"]],
        "num_examples": count,
        "natural": proportion(natural.accuracy, count),
        "worst_case": worst_case_record(proportion(worst, count), claim, counting, is_per_example=True),
        "attacks": [_attack(outcome) for outcome in attacks],
        "diagnostics": [asdict(item) for item in examination.diagnostics],
    }


def _attack(outcome: Outcome) -> dict[str, Any]:
    keys = ("attack", "epsilon", "space", "steps", "step_size", "restarts", "norm", "precision")
    recipe = dict.fromkeys(keys) if outcome.recipe is None else asdict(outcome.recipe)
    return {
        "label": outcome.label,
        **recipe,
        "robust_accuracy": outcome.accuracy,
        "largest_distance": outcome.largest_distance,
        "mean_distance": outcome.mean_distance,
        "notice": written_reach(*(recipe[key] for key in ("attack", "epsilon", "steps", "step_size"))),
        "counts": outcome.is_in_ball,
    }
