"""What the phases of our methods cost, from the settings alone: their loops, and forward-units an image. No torch.

A forward pass of the encoder over one image is one unit, a pass back to the image one more, a full backward pass two.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from claf_engine.config import AdversarialConfig, ObjectiveConfig, RunConfig, WeightPerturbationConfig
from claf_engine.config.pretext import NUM_TURNS

PASS = 3
"""A pass that is trained through."""
FEATURES_COST = 0.02
"""Of a classifier's step on features that are there already."""
GENERATOR_COST = 2.5
"""Of an image in a critic's step, with its share of a generator's: a guess that holds for networks of like sizes."""


@dataclass(frozen=True)
class Part:
    """One loop of a phase: how often it passes over the images in an epoch, and what one image costs.

    Attributes:
        cost: in forward-units.
        share: of the batches that each pass takes.
    """

    name: str
    sweeps: int
    cost: float
    share: float = 1.0

    def steps(self, steps_per_sweep: int) -> int:
        """Optimiser steps in an epoch, where a pass over all images takes so many."""
        return self.sweeps * steps_of_share(self.share, steps_per_sweep)


@dataclass(frozen=True)
class Loops:
    """How long a phase is: its epochs, and what each of them consists of."""

    epochs: int
    parts: tuple[Part, ...]


def steps_of_share(share: float, steps_per_sweep: int) -> int:
    """Optimiser steps of a pass over a share of the batches, rounded up; the share is meant as it is written."""
    return math.ceil(Fraction(str(share)) * steps_per_sweep)


def units_of_epoch(parts: tuple[Part, ...]) -> float:
    """Forward-units that one training image costs in an epoch of these loops."""
    return sum(part.sweeps * part.share * part.cost for part in parts)


def contrastive_loops(config: RunConfig) -> Loops:
    """Of stage 1: two views, trained through."""
    return Loops(config.contrastive.epochs, (Part("encoder", 1, step_cost(config, 0, 2 * PASS)),))


def adversarial_loops(config: RunConfig) -> Loops:
    """Of stage 2: retraining of the classifier, with passes that replay what was crafted, then three views."""
    encoder = Part("encoder", 1, step_cost(config, 2 * config.attack.steps, 3 * PASS))
    return Loops(config.adversarial.epochs, (*_retraining(config), encoder))


def instance_loops(config: RunConfig) -> Loops:
    """Of robust contrastive pretraining: an attack on one view, and three views, trained through."""
    parts = (Part("encoder", 1, step_cost(config, 2 * config.attack.steps + 1, 3 * PASS)),)
    return Loops(config.rocl.epochs, parts)


def acl_loops(config: RunConfig) -> Loops:
    """Of adversarial contrastive pretraining: an attack on both views, and each stream's two views, trained through."""
    num_attacked, num_trained = {"standard": (0, 2), "adversarial": (2, 2), "dual": (2, 4)}[config.acl.streams]
    cost = step_cost(config, 2 * config.attack.steps * num_attacked, num_trained * PASS)
    return Loops(config.acl.epochs, (Part("encoder", 1, cost),))


def linear_loops(config: RunConfig) -> Loops:
    """Of linear evaluation, on features that are there already."""
    return Loops(config.linear_evaluation.epochs, (Part("natural", 1, FEATURES_COST),))


def adversarial_linear_loops(config: RunConfig) -> Loops:
    """Of linear evaluation on attacked images."""
    steps = config.linear_evaluation.adversarial_steps
    return Loops(config.linear_evaluation.adversarial_epochs, (Part("adversarial", 1, 2 * steps + 1),))


def pretext_loops(config: RunConfig) -> Loops:
    """Of pretraining on a pretext task: a pass over natural images, and an attack and a pass over attacked ones."""
    is_attacked = config.pretext.images == "adversarial"
    cost = step_cost(config, 2 * config.attack.steps * is_attacked, PASS + PASS * is_attacked)
    return Loops(config.pretext.epochs, (Part("encoder", 1, cost),))


def supervised_loops(config: RunConfig, cost: float) -> Loops:
    """Of a supervised phase of which one image costs so much."""
    return Loops(config.supervised.epochs, (Part("supervised", 1, cost),))


def natural_loops(config: RunConfig) -> Loops:
    """Of training without an attack."""
    return supervised_loops(config, step_cost(config, 0, PASS))


def classification_loops(config: RunConfig) -> Loops:
    """Of adversarial training."""
    return supervised_loops(config, classification_cost(config, config.attack.steps))


def fgsm_loops(config: RunConfig) -> Loops:
    """Of adversarial training with one step."""
    return supervised_loops(config, classification_cost(config, 1))


def trades_loops(config: RunConfig) -> Loops:
    """Of an attack against natural logits, and of passes over image and attacked image."""
    crafting = attack_cost(config, config.attack.steps) + 1 + _terms_cost(config.objective, has_natural=True)
    return supervised_loops(config, step_cost(config, crafting, 2 * PASS + _turns_cost(config.objective)))


def alp_loops(config: RunConfig) -> Loops:
    """Of an attack, and of passes over image and attacked image."""
    crafting = attack_cost(config, config.attack.steps) + _terms_cost(config.objective, has_natural=False)
    return supervised_loops(config, step_cost(config, crafting, 2 * PASS + _turns_cost(config.objective)))


def two_encoders_loops(config: RunConfig) -> Loops:
    """Of an attack, and of a pass of each encoder; one that stands still is only asked."""
    trained = 2 * PASS if config.two_encoders.training == "joint" else PASS + 1
    cost = step_cost(config, 2 * config.attack.steps, trained)
    return Loops(config.supervised.epochs, (Part("encoders", 1, cost),))


def generator_loops(config: RunConfig) -> Loops:
    """Of a generator and its critic, which pass no image through the encoder."""
    return Loops(config.defense_gan.epochs, (Part("critic", 1, GENERATOR_COST),))


def union_loops(config: RunConfig) -> Loops:
    """Of attacks in several balls at once; choosing between them takes a pass over each."""
    num_balls, steps = len(config.union.norms), config.union.steps
    choosing = {"max": num_balls, "avg": 0, "msd": steps * num_balls}[config.union.strategy]
    crafting = 2 * steps * (1 if config.union.strategy == "msd" else num_balls) + choosing
    learned = num_balls if config.union.strategy == "avg" else 1
    return supervised_loops(config, step_cost(config, crafting, learned * PASS))


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
    crafting = attack_cost(config, steps) + _terms_cost(config.objective, has_natural=False)
    trained = PASS + PASS * shows_natural(config.objective) + _turns_cost(config.objective)
    return step_cost(config, crafting, trained)


def attack_cost(config: RunConfig, steps: int) -> int:
    """Of the steps of a supervised attack, which may climb the loss of four turns of each image as well."""
    return 2 * steps * (1 + NUM_TURNS * config.objective.rotation_in_attack)


def shows_natural(terms: ObjectiveConfig) -> bool:
    """Whether training on attacked images needs natural ones beside them."""
    return terms.nuclear_weight > 0 or terms.cross_entropy == "natural"


def perturbed_share(config: WeightPerturbationConfig) -> float:
    """The share of a phase's steps that move weights, and compute their loss twice."""
    return 1 - config.after if config.gamma else 0.0


def is_replayed(config: AdversarialConfig, sweep: int) -> bool:
    """Whether a retraining sweep (from 0) takes the features that an earlier one kept."""
    if has_fixed_features(config):
        return sweep > 0
    return config.classifier_refresh == "replay" and sweep % config.replay_passes != 0


def has_fixed_features(config: AdversarialConfig) -> bool:
    """Whether every sweep of an epoch sees the same features anyway: of all natural images, as they are.

    Keeping them is exact, because the encoder stands still meanwhile.
    """
    is_natural = config.classifier_images == "natural" and config.source == "image"
    return is_natural and config.classifier_fraction == 1


def num_replayed(config: AdversarialConfig) -> int:
    """How many retraining sweeps of an epoch craft nothing."""
    return sum(is_replayed(config, sweep) for sweep in range(config.classifier_epochs))


def _retraining(config: RunConfig) -> tuple[Part, ...]:
    """The passes that craft, and those that replay what was crafted, if there are any."""
    attack_cost = 2 * config.attack.steps if config.adversarial.classifier_images == "adversarial" else 0
    share, replayed = config.adversarial.classifier_fraction, num_replayed(config.adversarial)
    crafting = Part("retrain", config.adversarial.classifier_epochs - replayed, attack_cost + 1, share)
    return (crafting, Part("replay", replayed, FEATURES_COST, share)) if replayed else (crafting,)


def _terms_cost(terms: ObjectiveConfig, *, has_natural: bool) -> int:
    """Of its natural logits, which an attack climbs away from, unless it has them, and of its key."""
    return (terms.nuclear_weight > 0 and not has_natural) + (terms.contrast_weight > 0)


def universal_epochs(config: RunConfig) -> int:
    """Passes over the images in which universal perturbations are crafted."""
    return config.rectifier.num_perturbations * config.rectifier.perturbation_epochs


def universal_loops(config: RunConfig) -> Loops:
    """Of universal perturbations: a gradient by each image."""
    return Loops(universal_epochs(config), (Part("universal", 1, 2),))


def rectifier_loops(config: RunConfig) -> Loops:
    """Of the rectifier: the network's own answer, and a gradient through it; its own convolutions are not counted."""
    return Loops(config.rectifier.epochs, (Part("rectifier", 1, 3),))


def detector_loops(config: RunConfig) -> Loops:
    """Of the detector, which asks the rectifier alone."""
    return Loops(config.rectifier.detector_epochs, (Part("detector", 1, FEATURES_COST),))


def _turns_cost(terms: ObjectiveConfig) -> int:
    """Of the loss of the rotation head, which sees every image in four turns."""
    return NUM_TURNS * PASS if terms.rotation_weight else 0


def _claf(config: RunConfig) -> tuple[Loops, ...]:
    return (contrastive_loops(config), adversarial_loops(config), *_linear_evaluations(config))


def _scl(config: RunConfig) -> tuple[Loops, ...]:
    return (contrastive_loops(config), *_linear_evaluations(config))


def _linear_evaluations(config: RunConfig) -> tuple[Loops, ...]:
    return (linear_loops(config), adversarial_linear_loops(config))


def _rocl(config: RunConfig) -> tuple[Loops, ...]:
    return (instance_loops(config), HEADS[config.rocl.head](config))


def _acl(config: RunConfig) -> tuple[Loops, ...]:
    return (acl_loops(config), HEADS[config.acl.head](config))


HEADS: dict[str, Callable[[RunConfig], Loops]] = {
    "linear": linear_loops,
    "robust-linear": adversarial_linear_loops,
    "fine-tune": classification_loops,
}
"""What is trained on a pretrained encoder."""


def _two_encoders(config: RunConfig) -> tuple[Loops, ...]:
    before = (natural_loops(config),) if config.two_encoders.training == "separate" else ()
    return (*before, two_encoders_loops(config))


LOOPS: dict[str, Callable[[RunConfig], tuple[Loops, ...]]] = {
    "claf": _claf,
    "scl": _scl,
    "rocl": _rocl,
    "natural": lambda config: (natural_loops(config),),
    "at": lambda config: (classification_loops(config),),
    "fgsm": lambda config: (fgsm_loops(config),),
    "trades": lambda config: (trades_loops(config),),
    "alp": lambda config: (alp_loops(config),),
    "acl": _acl,
    "clp": lambda config: (natural_loops(config),),
    "two-encoders": _two_encoders,
    "rectifier": lambda config: (
        natural_loops(config),
        universal_loops(config),
        rectifier_loops(config),
        detector_loops(config),
    ),
    "defense-gan": lambda config: (generator_loops(config), natural_loops(config)),
    "pretext": lambda config: (pretext_loops(config), HEADS[config.pretext.head](config)),
    "union": lambda config: (union_loops(config),),
}
"""The loops of the phases of our methods, phase by phase as in `training.methods.METHODS`; those of no epochs too."""
