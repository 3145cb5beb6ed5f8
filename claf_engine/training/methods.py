"""Which phases a method consists of, as a table: `METHODS[name]` gives the phases of our own in order.

Methods share phases: none has a trainer of its own.
"""

from collections.abc import Callable
from functools import partial

from claf_engine.config import ObjectiveConfig, RunConfig, registry
from claf_engine.terms.errors import ConfigError
from claf_engine.training import pretrained_methods, supervised_methods
from claf_engine.training.phase import Phase
from claf_engine.training.state import Cursor
from claf_engine.training.supervised_methods import COMPARED

METHODS: dict[str, Callable[[RunConfig], tuple[Phase, ...]]] = {
    "claf": pretrained_methods.claf_phases,
    "natural": supervised_methods.natural_phases,
    "scl": pretrained_methods.scl_phases,
    "at": supervised_methods.at_phases,
    "fgsm": supervised_methods.fgsm_phases,
    "trades": supervised_methods.trades_phases,
    "alp": supervised_methods.alp_phases,
    "rocl": pretrained_methods.rocl_phases,
    "acl": pretrained_methods.acl_phases,
    "clp": supervised_methods.clp_phases,
    "two-encoders": supervised_methods.two_encoders_phases,
    "rectifier": supervised_methods.rectifier_phases,
    "defense-gan": supervised_methods.defense_gan_phases,
    "pretext": pretrained_methods.pretext_phases,
    "union": supervised_methods.union_phases,
}


def phases_of(config: RunConfig) -> tuple[Phase, ...]:
    """The phases of the configured method, in order; phases of no epochs are left out.

    Raises:
        ConfigError: none is left, what follows pretraining is to be trained for no epochs, attacks are to start warm
            where they cannot, a term of the objective would be ignored, or a plugin's method gives no phases.
    """
    if config.attack.warm_start:
        _require_warm_start(config)
    method = METHODS.get(config.method) or partial(registered_phases, config.method)
    phases = tuple(phase for phase in method(config) if phase.epochs > 0)
    if not phases:
        raise ConfigError(f"method {config.method} trains for no epochs: set the epochs of one of its phases above 0")
    _require_terms(config, phases)
    return phases


def units_per_image(config: RunConfig) -> float:
    """Forward-units that a whole run spends on each training image; what it measures is not counted.

    A forward pass of the encoder counts 1, a backward pass to the images 1, a full one 2: adversarial training of ten
    steps costs 23 an epoch.

    Raises:
        ConfigError: the method trains for no epochs.
    """
    return sum(phase.epochs * phase.units_per_epoch for phase in phases_of(config))


def registered_phases(name: str, config: RunConfig) -> tuple[Phase, ...]:
    """The phases that a plugin's method consists of.

    Raises:
        ConfigError: there is no such method, or it gives something else than phases.
    """
    if name not in registry.METHODS.entries:
        raise ConfigError(registry.METHODS.complaint(name))
    with registry.METHODS.calling(name):
        phases = registry.METHODS.entries[name].value(config)
    if not isinstance(phases, tuple | list) or not all(isinstance(phase, Phase) for phase in phases):
        raise ConfigError(f"method {name!r} gives {phases!r:.80}; return a tuple of claf_engine.training.phase.Phase")
    return tuple(phases)


def reported_classifiers(phases: tuple[Phase, ...]) -> set[str]:
    """The classifiers that a run of these phases reports: those of linear evaluation, or else all that it trains."""
    fitted_last = {phase.classifier for phase in phases if phase.is_frozen} - {None}
    return {name for name in fitted_last or {phase.classifier for phase in phases} if name is not None}


def begun_classifiers(phases: tuple[Phase, ...], cursor: Cursor) -> tuple[str, ...]:
    """The classifiers that have taken a step by then, in the order of their phases."""
    begun = phases[: cursor.phase + cursor.has_begun_phase]
    return tuple(dict.fromkeys(phase.classifier for phase in begun if phase.classifier is not None))


def feature_epochs(phases: tuple[Phase, ...]) -> int:
    """Epochs that encoder and projection head train for by their common schedule."""
    return sum(phase.epochs for phase in phases if phase.trains_features)


def _require_warm_start(config: RunConfig) -> None:
    """Refuse a warm start that would be ignored, or would begin at a perturbation of another crop."""
    if config.method != "claf":
        raise ConfigError(f"attack.warm_start works in method claf alone, not in {config.method}; set it to false")
    if config.adversarial.source == "crop":
        raise ConfigError("attack.warm_start needs adversarial.source = 'image': every crop of an image is another one")


def _require_terms(config: RunConfig, phases: tuple[Phase, ...]) -> None:
    """Refuse terms of the objective that no phase heeds."""
    plain, heeded = ObjectiveConfig(), {name for phase in phases for name in phase.terms}
    for name in (*COMPARED, "cross_entropy"):
        if getattr(config.objective, name) != getattr(plain, name) and name not in heeded:
            raise ConfigError(f"objective.{name} does nothing in the phases of this {config.method} run; leave it out")
