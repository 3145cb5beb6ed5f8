"""Audit any network in memory: the diagnostics of an audit, without a checkpoint, a run folder or a card on disk."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

from torch import Tensor, nn

from claf_engine.accuracy.any_model import gathered, place, undisturbed
from claf_engine.audits.bench import CLAIM_STEP, NATURAL, Subject
from claf_engine.audits.card import overall
from claf_engine.audits.checks import CHECKS
from claf_engine.audits.examine import examine_steps, tell_diagnostics
from claf_engine.audits.request import budget_for
from claf_engine.audits.store import Store
from claf_engine.events.audit import DiagnosticFound
from claf_engine.events.ticks import exhaust, pump
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import BudgetName, Verdict
from claf_engine.terms.pixels import Distance, exact_distance


@dataclass(frozen=True)
class ModelAudit:
    """What an audit of a network in memory found.

    Attributes:
        verdict: fails if any diagnostic fails, else warns if any warns, else passes; not-run when nothing was run.
        diagnostics: in the order in which they were run, each with verdict, figure, threshold, meaning and source.
        natural: accuracy in [0, 1] without an attack.
        worst_case: share of the examples, in [0, 1], that survive everything that was run within the ball.
        survives: (N,) bool: which ones.
    """

    verdict: Verdict
    diagnostics: tuple[DiagnosticFound, ...]
    natural: float
    worst_case: float
    survives: Tensor


def audit(  # noqa: PLR0913 (a script names the few that it changes)
    model: nn.Module,
    data: Tensor | Iterable[Any],
    labels: Tensor | None = None,
    eps: Distance = "8/255",
    *,
    budget: BudgetName = "quick",
    steps: int = 10,
    step_size: Distance = CLAIM_STEP,
    num_examples: int | None = None,
    train: tuple[Tensor, Tensor] | None = None,
    surrogate: nn.Module | None = None,
    seed: int = 0,
    batch_size: int = 250,
    tell: Callable[[DiagnosticFound], None] = lambda _: None,
) -> ModelAudit:
    """Ask whether the robust accuracy of any network in an Linf ball can be believed.

    Diagnostics that need an encoder of ours say "not-run". Neither the network nor the caller's process is changed.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, K).
        data: see `claf_engine.measure`.
        labels: see `claf_engine.measure`.
        eps: radius of the claim, above 0.
        budget: quick, standard or full.
        steps: of the claim's own PGD; other numbers are compared with it.
        step_size: of the same.
        num_examples: the first so many; by default what the budget affords (100 in quick).
        train: images and labels that a second network is trained on, where the budget affords one.
        surrogate: a second network for transfer attacks.
        seed: of random starts.
        batch_size: examples attacked at once.
        tell: is called with every diagnostic as soon as it is known.

    Raises:
        ConfigError: the radius is 0 or no distance, or there is no such budget.
        DataError: images or labels have another form, or do not lie in their range.
    """
    if budget not in get_args(BudgetName):
        raise ConfigError(f"budget={budget!r} is unknown; use {' or '.join(map(repr, get_args(BudgetName)))}")
    epsilon, length = exact_distance(eps), exact_distance(step_size)
    if not epsilon:
        raise ConfigError("an audit needs a ball to attack in, and epsilon 0 has none; use eps='8/255'")
    affordable = budget_for(budget, steps, num_examples)
    with undisturbed():
        split, compute = place(model, *gathered(data, labels, affordable.num_examples))
        subject = Subject(
            model=model,
            split=split,
            compute=compute,
            epsilon=epsilon,
            step_size=length,
            seed=seed,
            batch_size=batch_size,
            train=None if train is None else place(model, *train)[0],
            surrogate=surrogate,
        )

        examining = examine_steps(subject, affordable, CHECKS, Store(None, ""))
        examination = exhaust(pump(examining, partial(tell_diagnostics, tell)))
    natural = next(outcome for outcome in examination.outcomes if outcome.label == NATURAL)
    return ModelAudit(
        verdict=overall([diagnostic.verdict for diagnostic in examination.diagnostics]),
        diagnostics=examination.diagnostics,
        natural=natural.accuracy,
        worst_case=float(examination.worst_case.double().mean()),
        survives=examination.worst_case,
    )
