"""What one image costs in a step, in forward passes of the encoder: a pass back to the images is 1, a full one 2."""

from claf_engine.config import ObjectiveConfig, RunConfig
from claf_engine.training.phases.terms import shows_natural
from claf_engine.training.weight_perturbation import perturbed_share

PASS = 3
"""A pass that is trained through."""


def step_cost(config: RunConfig, crafting: float, trained: float) -> float:
    """Of one image in the mean over a phase.

    Args:
        config: of the run.
        crafting: what comes before the loss, once in every step.
        trained: the loss and its gradient, which weight perturbation takes twice.
    """
    return crafting + (1 + perturbed_share(config.weight_perturbation)) * trained


def classification_cost(config: RunConfig, steps: int) -> float:
    """Of an attack of so many steps, of the pass over what it made, and of one over the image where it is shown too."""
    crafting = 2 * steps + _terms_cost(config.objective, has_natural=False)
    return step_cost(config, crafting, PASS + PASS * shows_natural(config.objective))


def trades_cost(config: RunConfig) -> float:
    """Of an attack against natural logits, and of passes over image and attacked image."""
    return step_cost(config, 2 * config.attack.steps + 1 + _terms_cost(config.objective, has_natural=True), 2 * PASS)


def alp_cost(config: RunConfig) -> float:
    """Of an attack, and of passes over image and attacked image."""
    return step_cost(config, 2 * config.attack.steps + _terms_cost(config.objective, has_natural=False), 2 * PASS)


def _terms_cost(terms: ObjectiveConfig, *, has_natural: bool) -> int:
    """Of its natural logits, which an attack climbs away from, unless it has them, and of its key."""
    return (terms.nuclear_weight > 0 and not has_natural) + (terms.contrast_weight > 0)
